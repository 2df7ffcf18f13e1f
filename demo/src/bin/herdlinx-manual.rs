//! Writes the manual pages and the completions of both programs.

use clap::Parser;
use demo::manual::write_manual;
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes the manual pages and the completions of both programs into a directory: PROGRAM/man/*.1 and
/// PROGRAM/completions/*. The packages are made with them.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-manual", version)]
struct Args {
    /// Where; made if it is not there
    directory: PathBuf,
    /// The day at the foot of each page, as YYYY-MM-DD [default: none]
    #[arg(long, default_value = "", hide_default_value = true)]
    date: String,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match write_manual(&args.directory, &args.date) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herdlinx-manual: {error}");
            ExitCode::FAILURE
        }
    }
}
