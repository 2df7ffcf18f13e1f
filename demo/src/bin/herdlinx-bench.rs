//! The bench: measures the floor of this machine and the programs in one run, and prints ratios as JSON.

use anyhow::Context as _;
use clap::Parser;
use demo::bench::parts::{Outcome, Part, Plan, run};
use demo::bench::{BenchError, Sizes};
use demo::processes::{Programs, programs};
use service::lifecycle::Exit;
use service::process::main_with;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure barn and office against the speed of this machine's disk and TLS.
///
/// Takes at most nineteen minutes. Progress and tables go to stderr, and one JSON object to stdout. Build with `--release`,
/// and run nothing else meanwhile. No figure fails the bench.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-bench", version, after_long_help = EXPLANATION)]
struct Args {
    /// Measure small sizes, to check that the bench works
    #[arg(long)]
    quick: bool,
    /// Measure this part only; can be repeated, and the floor is always measured
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Directory on the disk to measure; a temporary directory in it is removed at the end
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    on: PathBuf,
    /// Directory with `herdlinxd` and `herdlinx-mirror` [default: this executable runs as both]
    #[arg(long, value_name = "DIRECTORY")]
    shipped: Option<PathBuf>,
    /// Also measure the peers, whose programs `.ci/peers` has unpacked in this directory
    #[arg(long, value_name = "DIRECTORY")]
    peers: Option<PathBuf>,
}

const EXPLANATION: &str = "\
Floors, measured again before each part:
  fdatasync, preallocated   a write of 4 KiB into a file that has its size, and fdatasync
  fdatasync, appended       the same at the end of a file that grows; the disk also commits its length
  1 TLS                     a round trip of 100 bytes on a warm connection, both ends on one CPU
  bulk over TLS             64 MiB over TLS into a file, one fdatasync for 4 MiB

Rows:
  Each has its figure, its ratio to a floor or to another figure of the same run, and its goal. A goal in `x` is judged by
  the ratio. All others say something about this machine only.
  lag          request at the barn -> durable there, durable and in the tables at the office, its event received
  lone         one payload after the other, each durable before the next
  100 in flight, chute order    senders take the next payload of one chute
  100 in flight, 100 pens       each sender has a pen of its own
  catch-up     from the start of the office's process until it equals the barn
  scattered    check-ins of random animals of a herd of 300,000
  bytes        written to the block device, with the tables, other processes included

Peers (.ci/peers): each is durable at both ends, has no TLS, and does the same shapes of work. A table of ratios comes last.

Payloads are made before a clock starts. Rates count durable payloads only.";

/// Reason why a bench fails.
#[derive(Debug, thiserror::Error)]
enum MeasureError {
    /// There are no figures.
    #[error("{0:#}")]
    Bench(#[from] BenchError),
    /// Some parts have an error in place of their figures, which are printed.
    #[error("these parts failed: {}", names(.0))]
    Parts(Vec<Part>),
}

impl From<&MeasureError> for Exit {
    fn from(_: &MeasureError) -> Self {
        Self::Failure
    }
}

fn names(parts: &[Part]) -> String {
    parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ")
}

fn main() -> ExitCode {
    // Unless --shipped is given, barn and office are this executable, too.
    let args: Vec<_> = std::env::args_os().collect();
    programs::run_if_requested(&args).unwrap_or_else(|| main_with(args, |args: Args, out| measure(&args, out)))
}

fn measure(args: &Args, out: &mut dyn Write) -> Result<(), MeasureError> {
    let Outcome { figures, failed, .. } = outcome(args)?;
    let text = serde_json::to_string_pretty(&figures).map_err(BenchError::from)?;
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(BenchError::from)?;
    if failed.is_empty() { Ok(()) } else { Err(MeasureError::Parts(failed)) }
}

fn outcome(args: &Args) -> Result<Outcome, BenchError> {
    let directory = tempfile::Builder::new().prefix("herdlinx-bench-").tempdir_in(&args.on);
    let directory = directory.with_context(|| format!("cannot create a directory in {}", args.on.display()))?;
    let mut parts = if args.only.is_empty() { Part::OURS.to_vec() } else { args.only.clone() };
    if args.peers.is_some() && !parts.iter().any(|part| Part::PEERS.contains(part)) {
        parts.extend(Part::PEERS);
    }
    let sizes = if args.quick { Sizes::QUICK } else { Sizes::FULL };
    let programs = Programs::shipped_or_own(args.shipped.as_deref())?;
    let plan =
        Plan { directory: directory.path(), sizes, programs: &programs, parts: &parts, peers: args.peers.as_deref() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut outcome = runtime.block_on(run(&plan))?;
    outcome.figures["sizes"] = serde_json::to_value(sizes)?;
    outcome.figures["programs"] = format!("{programs:?}").into();
    if cfg!(debug_assertions) {
        outcome.figures["warning"] = "not a release build: the figures are meaningless".into();
    }
    Ok(outcome)
}
