//! Fixed work of a store, for counting its instructions with callgrind. `.ci/instructions` runs it.

use clap::{Parser, Subcommand};
use demo::bench::BenchError;
use demo::bench::instructions::{self, Work};
use service::lifecycle::Exit;
use service::process::main_with;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Do a fixed amount of work on fixed stores, for counting its instructions.
#[derive(Debug, Parser)]
#[command(name = "herdlinx-instructions", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the stores that the work starts from
    Prepare {
        /// Directory for the stores
        directory: PathBuf,
    },
    /// Do one kind of work on the prepared stores, once, and print the number of its changes
    Work {
        /// Kind of work
        work: Work,
        /// Directory with the prepared stores
        directory: PathBuf,
    },
}

/// Reason why the work could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct WorkError(#[from] BenchError);

impl From<&WorkError> for Exit {
    fn from(_: &WorkError) -> Self {
        Self::Failure
    }
}

fn main() -> ExitCode {
    main_with(std::env::args_os(), |args: Args, out| run(&args.command, out))
}

fn run(command: &Command, out: &mut dyn Write) -> Result<(), WorkError> {
    match command {
        Command::Prepare { directory } => Ok(instructions::prepare(directory)?),
        Command::Work { work, directory } => {
            let changes = instructions::work(directory, *work)?;
            Ok(writeln!(out, "{changes}").map_err(BenchError::from)?)
        }
    }
}
