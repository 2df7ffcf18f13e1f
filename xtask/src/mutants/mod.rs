//! Planted bugs: the share of them that the tests of a crate catch.
//!
//! cargo-mutants changes one expression at a time, such as a comparison or what a function returns, and runs the tests of
//! that crate. A bug that no test notices survives. It shows a claim that nobody makes, or a change that nobody can observe.
//!
//! | module | holds |
//! |---|---|
//! | `tool` | the calls of cargo-mutants |
//! | `sample` | the choice of mutants |
//! | `survivors` | the reasons why known mutants live: `survivors.toml` |
//! | `report` | the result for each crate |
//!
//! # Decisions
//!
//! - **A seeded sample, not every mutant.** There are thousands, and each takes a build and the tests of its crate. Another
//!   seed shows another part.
//! - **The tests of the mutant's own crate alone.** A bug in `herd` that only the tests of `demo` notice would be hard to
//!   find, and each mutant would take many minutes.
//! - **A survivor needs a reason, under its name without line and column,** so that the reason outlives other edits of the
//!   file. A reason whose mutant no longer exists must go. Both fail the command.
//! - **The last commit is mutated, in a clone,** so that a run of hours disturbs nobody and does not see half of an edit.

mod report;
mod sample;
mod survivors;
mod tool;

use crate::tree::Tree;
use clap::ValueEnum;
use report::{CrateReport, Report};
use std::io::{self, Write};
use std::path::PathBuf;
use survivors::Survivors;
use tool::CargoMutants;

/// Arguments of `cargo xtask mutants`.
#[derive(Debug, clap::Args)]
pub struct MutantsArgs {
    /// Mutate this crate only; may be repeated [default: all]
    #[arg(long = "crate", value_name = "CRATE")]
    crates: Vec<MutatedCrate>,
    /// Number of mutants of each crate [default: 100 of herd, 30 of the others]
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Seed of the random choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A crate whose tests are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MutatedCrate {
    Herd,
    Service,
    Daemon,
    Mirror,
    Radio,
}

impl MutatedCrate {
    /// Returns the name of its directory.
    fn directory(self) -> &'static str {
        match self {
            Self::Herd => "herd",
            Self::Service => "service",
            Self::Daemon => "daemon",
            Self::Mirror => "mirror",
            Self::Radio => "radio",
        }
    }

    /// Returns the number of its mutants in a sample.
    fn sample_size(self) -> usize {
        if self == Self::Herd { 100 } else { 30 }
    }
}

/// Reason why the mutants could not be tried, or what is to mend.
#[derive(Debug, thiserror::Error)]
pub enum MutantsError {
    /// A survivor has no reason, or a reason has no mutant.
    #[error("write a test that catches each of these mutants, or a reason into xtask/src/mutants/survivors.toml")]
    Findings,
    /// A program could not be started.
    #[error("cannot run `{command}`: {source}; is it installed?")]
    Start {
        /// The program and its first arguments.
        command: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed; its output is above")]
    Command {
        /// The program and its first arguments.
        command: String,
    },
    /// The reasons cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Reasons {
        /// The file.
        path: PathBuf,
        /// Kind of the mistake.
        why: String,
    },
    /// A file or directory of a run cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The action, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The report could not be printed.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Tries a sample of mutants and prints the result for each crate. Fails if a survivor has no reason.
pub fn try_mutants(args: &MutantsArgs, out: &mut dyn Write) -> Result<(), MutantsError> {
    let root = Tree::own_root();
    let survivors = Survivors::load(&root)?;
    let tool = CargoMutants::prepare(&root)?;
    let crates = if args.crates.is_empty() { MutatedCrate::value_variants() } else { &args.crates };
    let mut report = Report::default();
    for mutated in crates {
        let name = mutated.directory();
        let mutants = tool.list(name)?;
        let sample = sample::pick(&mutants, args.sample.unwrap_or(mutated.sample_size()), args.seed);
        let outcomes = tool.run(name, &mutants, &sample)?;
        report.add(CrateReport { name, mutants, outcomes });
    }
    report.write(&survivors, out)?;
    if report.has_findings(&survivors) { Err(MutantsError::Findings) } else { Ok(()) }
}
