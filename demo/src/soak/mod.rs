//! The soak: a barn and an office as processes, over TLS and a link that fails, for longer than a test may take.
//!
//! | module | holds |
//! |---|---|
//! | `hour` | payloads and incidents, and the claims at the end |
//! | `day` | a day with the office away for 20 hours of it, and a slow link afterwards |
//! | `links` | a first copy and a catch-up over each kind of bad link |
//! | `pair` | both processes and the link between them |
//! | `senders`, `ledger` | payloads, every answer to them, and the comparison with the logs |
//! | `deck`, `storm`, `exports` | incidents in an order that a seed decides, and the recoveries |
//! | `samples` | memory, descriptors and disk, once a second |
//! | `fill`, `transfer`, `tables` | files of a barn on a simulated clock; copies; what is printed |
//!
//! # Decisions
//!
//! - **A claim that fails is a sentence, and the soak goes on**, so that an hour gives all that it has found.
//! - **Sizes at the end are compared with those of an earlier quarter**, each with a bound. An absolute limit was rejected: it
//!   would say more about the machine and the number of payloads than about a leak.
//! - **No time is a claim**, except that each recovery has a limit of minutes, which bounds the wait.

mod day;
mod deck;
mod error;
mod exports;
mod fill;
mod hour;
mod ledger;
mod links;
mod pair;
mod samples;
mod senders;
mod storm;
mod tables;
mod transfer;

pub use error::SoakError;

use crate::processes::Programs;
use service::lifecycle::{print_notice, shutdown_on_signals};
use std::path::Path;
use std::time::Duration;

/// Part of the soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Payloads and incidents.
    Hour {
        /// Time in which incidents happen.
        duration: Duration,
        /// Seed of payloads and incidents.
        seed: u64,
    },
    /// A day with the office away.
    Day,
    /// Bad links.
    Links,
}

/// Result of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The tables, in Markdown.
    pub text: String,
    /// A sentence for each claim that fails.
    pub faults: Vec<String>,
}

/// Runs a part of the soak until its end or a signal. Some calls block, so the runtime must have several threads.
///
/// The files are in a temporary directory in `on`, and stay there if a claim fails. All children are ended at the end.
pub async fn run(programs: &Programs, on: &Path, part: Part) -> Result<Outcome, SoakError> {
    let signals = shutdown_on_signals().map_err(SoakError::system("handle signals"))?;
    let directory = tempfile::Builder::new().prefix("herdlinx-soak-").tempdir_in(on);
    let directory = directory.map_err(SoakError::system("create the directory of the soak"))?;
    let shutdown = signals.signal();
    let outcome = tokio::select! {
        outcome = run_in(programs, directory.path(), part) => outcome,
        () = shutdown.requested() => Err(SoakError::Interrupted),
    };
    let deserves_a_look = match &outcome {
        Ok(outcome) => !outcome.faults.is_empty(),
        Err(error) => !matches!(error, SoakError::Interrupted),
    };
    if deserves_a_look {
        print_notice(format_args!("The files are kept in {}.", directory.keep().display()));
    }
    outcome
}

async fn run_in(programs: &Programs, directory: &Path, part: Part) -> Result<Outcome, SoakError> {
    match part {
        Part::Hour { duration, seed } => hour::hour(programs, directory, duration, seed).await,
        Part::Day => day::day(programs, directory).await,
        Part::Links => links::links(programs, directory).await,
    }
}
