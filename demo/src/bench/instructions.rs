//! Fixed work for counting instructions with callgrind. `.ci/instructions` runs it.
//!
//! # Decisions
//!
//! - **The stores are made first, by a run without callgrind.** Under callgrind a program is fifty times slower, so only
//!   the measured work and the opening of the store run there.
//! - **Counting starts and ends at the function `counted`, for all threads.** Callgrind sets its counts to zero before it
//!   and writes them after it. Its option `--toggle-collect` was rejected: it knows one thread, and a store may fold and
//!   flush on others.
//! - **The work ends with [`Store::settle`]**, so that what a store puts off counts, too.
//! - **Input, clock and origin are fixed.** Counts of two runs differ by a few in a thousand, because hash maps and the
//!   allocator do not start equal.
//! - **The directory may be on any disk.** Callgrind counts instructions of the program only, and none of the kernel.

use super::floor::PAGE_BYTES;
use super::store::{PAGE_CHANGES, SOURCE_ID, copy};
use super::{BenchError, store, traffic};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::store::{ChangeRun, Directory, Incoming, Reader, Store};
use std::path::Path;

/// Changes that each store holds before the measured work.
const HELD: usize = 20_000;
/// Maximum number of changes of one kind of work.
const MAX_CHANGES: usize = 20_000;
/// Arrival of the first payload: 2026-01-15 10:00 UTC.
const START_US: i64 = 1_768_471_200_000_000;
/// Time between two payloads, those of a busy chute played tenfold.
const STEP_MS: u64 = 100;
/// Malformed payloads per well-formed one, as on a busy day.
const MALFORMED: f64 = 0.05;

/// Work whose instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// A source appends groups of 1,000 payloads
    #[value(name = "append-1000")]
    Append1000,
    /// A source appends groups of 100 payloads
    #[value(name = "append-100")]
    Append100,
    /// A source appends one payload at a time
    #[value(name = "append-lone")]
    AppendLone,
    /// A replica applies pages of 10,000 changes
    #[value(name = "apply-10000")]
    Apply10000,
}

impl Work {
    /// All kinds of work.
    pub const ALL: [Self; 4] = [Self::Append1000, Self::Append100, Self::AppendLone, Self::Apply10000];

    /// Returns the name of the directory of its stores.
    fn name(self) -> &'static str {
        match self {
            Self::Append1000 => "append-1000",
            Self::Append100 => "append-100",
            Self::AppendLone => "append-lone",
            Self::Apply10000 => "apply-10000",
        }
    }

    /// Returns the number of changes in a commit.
    fn group(self) -> usize {
        match self {
            Self::Append1000 => 1_000,
            Self::Append100 => 100,
            Self::AppendLone => 1,
            Self::Apply10000 => PAGE_CHANGES,
        }
    }

    /// Returns the number of changes that are counted. Enough that a lone commit is not among the first ones only.
    fn changes(self) -> usize {
        match self {
            Self::Append1000 => 10_000,
            Self::Append100 => 3_000,
            Self::AppendLone => 300,
            Self::Apply10000 => MAX_CHANGES,
        }
    }
}

/// Creates the stores for all kinds of work in `directory`.
pub fn prepare(directory: &Path) -> Result<(), BenchError> {
    let payloads = payloads();
    for work in Work::ALL {
        let place = directory.join(work.name());
        let mut source = open_source(&place.join("source"))?;
        append(&mut source, &payloads[..HELD], 1_000)?;
        if work == Work::Apply10000 {
            let (mut replica, _) = copy(&source.reader(), &place.join("replica"))?;
            replica.settle()?;
            append(&mut source, &payloads[HELD..HELD + MAX_CHANGES], 1_000)?;
        }
        source.settle()?;
    }
    Ok(())
}

/// Does the work on the stores in `directory`, once, and returns the number of changes that it was.
pub fn work(directory: &Path, work: Work) -> Result<usize, BenchError> {
    let place = directory.join(work.name());
    let mut source = open_source(&place.join("source"))?;
    if work == Work::Apply10000 {
        return apply(&source.reader(), &place.join("replica"));
    }
    let payloads = &payloads()[HELD..HELD + work.changes()];
    let before = source.head().position.sequence.0;
    counted(&mut || append(&mut source, payloads, work.group()))?;
    let appended = source.head().position.sequence.0 - before;
    anyhow::ensure!(appended == payloads.len() as u64, "{} payloads became {appended} changes", payloads.len());
    Ok(payloads.len())
}

/// The function whose instructions callgrind counts, by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> Result<(), BenchError>) -> Result<(), BenchError> {
    work()
}

fn apply(source: &Reader, directory: &Path) -> Result<usize, BenchError> {
    let mut replica = Store::open_replica(&Directory::new(directory)?, source.store())?;
    let mut runs: Vec<ChangeRun> = Vec::new();
    let (mut at, end) = (replica.head().position, source.head().position);
    while at != end {
        let run = source.run_after(at, PAGE_CHANGES, PAGE_BYTES)?;
        at = run.end;
        runs.push(run);
    }
    let changes = runs.iter().map(|run| run.changes.len()).sum();
    counted(&mut || {
        for run in runs.drain(..) {
            replica.apply(run)?;
        }
        Ok(replica.settle()?)
    })?;
    anyhow::ensure!(replica.head() == source.head(), "the replica differs from its source");
    Ok(changes)
}

fn append(source: &mut Store, payloads: &[Incoming], group: usize) -> Result<(), BenchError> {
    for group in payloads.chunks(group) {
        for receipt in source.append(group)? {
            store::expect_durable(&receipt)?;
        }
    }
    Ok(source.settle()?)
}

fn open_source(directory: &Path) -> Result<Store, BenchError> {
    Ok(Store::open_source(&Directory::new(directory)?, Rules::default(), reading(0).in_boot(1), || SOURCE_ID)?)
}

fn payloads() -> Vec<Incoming> {
    let raw = traffic::in_chute_order(12, HELD + MAX_CHANGES, MALFORMED);
    raw.into_iter().zip(0..).map(|(raw, n)| Incoming { raw, origin: store::origin(), at: reading(n) }).collect()
}

/// Returns the clock at the arrival of the payload `n`.
fn reading(n: u64) -> RawReading {
    let since_boot_ms = n * STEP_MS;
    let received_at_us = START_US.saturating_add_unsigned(since_boot_ms * 1_000);
    RawReading { received_at_us, synchronized: true, since_boot_ms }
}
