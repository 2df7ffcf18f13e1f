//! The bench: measures this machine's floor and the program in one run, and prints ratios as JSON.

use anyhow::Context as _;
use clap::Parser;
use demo::bench::parts::{Part, Plan, run};
use demo::bench::{Failed, Sizes};
use demo::processes::{Programs, programs};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what the disk and TLS of this machine can do, and then barn and office against that, in at most six
/// minutes. Progress goes to standard error; the last thing on standard output is one JSON object. Build it with
/// `--release`, and leave the machine alone meanwhile.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-bench", version)]
struct Args {
    /// Small sizes, for a look in passing.
    #[arg(long)]
    quick: bool,
    /// Only this part (may be given again for others). The floor is always measured.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Where to measure: a directory of one's own is made in it, and removed at the end.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    on: PathBuf,
    /// The directory with `herdlinxd` and `herdlinx-mirror` [default: this executable plays both].
    #[arg(long, value_name = "DIRECTORY")]
    shipped: Option<PathBuf>,
}

fn main() -> ExitCode {
    // The barn and the office of the bench are this executable, too.
    if let Some(code) = programs::run_if_requested(&std::env::args_os().collect::<Vec<_>>()) {
        return code;
    }
    match measure(&Args::parse()) {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("herdlinx-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn programs(args: &Args) -> Result<Programs, Failed> {
    Ok(match &args.shipped {
        None => Programs::Own(std::env::current_exe()?),
        Some(directory) => {
            Programs::Shipped { daemon: directory.join("herdlinxd"), mirror: directory.join("herdlinx-mirror") }
        }
    })
}

fn measure(args: &Args) -> Result<Vec<Part>, Failed> {
    let directory = tempfile::Builder::new().prefix("herdlinx-bench-").tempdir_in(&args.on);
    let directory = directory.with_context(|| format!("making a directory in {}", args.on.display()))?;
    let parts = if args.only.is_empty() { Part::ALL.to_vec() } else { args.only.clone() };
    let sizes = if args.quick { Sizes::QUICK } else { Sizes::FULL };
    let programs = programs(args)?;
    let plan = Plan { directory: directory.path(), sizes, programs: &programs, parts: &parts };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut figures, failed) = runtime.block_on(run(&plan))?;
    figures["sizes"] = serde_json::to_value(sizes)?;
    figures["programs"] = format!("{programs:?}").into();
    if cfg!(debug_assertions) {
        figures["warning"] = "not a release build: these figures say nothing".into();
    }
    #[expect(clippy::print_stdout, reason = "the figures are the product of this program")]
    {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    }
    Ok(failed)
}
