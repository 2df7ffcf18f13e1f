//! Verifies a store: recomputes the chain from the raw bytes, folds the tables again, and compares them row by row.
//!
//! No stored digest is trusted; every one is computed again. Memory is bounded by one page of the log and the page caches.
//! The tables for comparison are built on a scratch disk of the caller.

use super::log::{Log, epoch_begun};
use super::tables_file::{TablesFile, TablesReader, TablesState};
use super::{
    Changes, Disk, LOG_CACHE_BYTES, REFOLD_BYTES, REFOLD_CHANGES, Reader, StoreError, TABLES_CACHE_BYTES, TABLES_FILE,
    digest_at, fold_run,
};
use crate::fold::{FOLD_VERSION, KeyRange, Rows, StagedRows};
use crate::position::{Digest, Epoch, Position, Sequence};
use crate::tables::{Key, Table, after_key};
use std::cmp::Ordering;

/// Number of rows that are compared at once.
const COMPARE_ROWS: usize = 1_000;
/// Name of the tables for comparison, on the scratch disk.
const SCRATCH_FILE: &str = "verify-tables.redb";

/// A step of the verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recomputing the digests over the log.
    Chain,
    /// Folding the tables again from the log.
    Fold,
    /// Comparing the rows.
    Rows,
}

/// Progress of the verification: changes for the chain and the fold, tables for the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The current step.
    pub phase: Phase,
    /// Units that are done.
    pub done: u64,
    /// Units in total.
    pub of: u64,
}

/// The outcome for a log that is intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// Head of the log. Every change up to it is present and chained.
    pub head: Position,
    /// The state of the tables, which can always be rebuilt.
    pub tables: TablesVerdict,
}

/// The verdict about the tables. None of them is an error of the log: the tables can always be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TablesVerdict {
    /// Every row equals the one that the fold makes of the log.
    Equal {
        /// The last change in them.
        folded: Sequence,
        /// The fold digest after it.
        fold_digest: Digest,
        /// Number of rows compared.
        rows: u64,
    },
    /// There are no tables.
    Missing,
    /// The tables cannot be opened or read.
    Unreadable {
        /// Message of the storage.
        why: String,
    },
    /// Another version of the fold made the tables.
    OtherFold {
        /// Their fold version.
        found: u32,
    },
    /// The tables are not of this log.
    NoPrefix {
        /// The last change in them, as stored.
        folded: Sequence,
    },
    /// Folding the log again gives another digest.
    OtherDigest {
        /// The last change in them.
        folded: Sequence,
        /// Digest in the tables.
        stored: Digest,
        /// Digest of the new fold.
        recomputed: Digest,
    },
    /// A row differs from the one that the fold makes.
    Row {
        /// The table.
        table: &'static str,
        /// The key in hexadecimal.
        key: String,
        /// Kind of the difference.
        how: RowDifference,
    },
}

impl std::fmt::Display for TablesVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equal { folded, rows, .. } => {
                write!(f, "the tables are equal, row by row, to those folded again up to change {folded}: {rows} rows")
            }
            Self::Missing => f.write_str("there are no tables; the next start builds them from the log"),
            Self::Unreadable { why } => write!(f, "cannot read the tables ({why}); the next start rebuilds them"),
            Self::OtherFold { found } => {
                write!(f, "the tables have fold version {found}, this program has {FOLD_VERSION}; they will be rebuilt")
            }
            Self::NoPrefix { folded } => {
                write!(f, "the tables are at change {folded} of another history; the next start rebuilds them")
            }
            Self::OtherDigest { folded, stored, recomputed } => {
                write!(
                    f,
                    "the tables hold the fold digest {stored} at change {folded}, but the fold gives {recomputed}"
                )
            }
            Self::Row { table, key, how } => write!(f, "a row of table `{table}` {how} (key {key})"),
        }
    }
}

/// Kind of the difference between two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowDifference {
    /// The tables lack a row that the fold makes.
    Missing,
    /// The tables hold a row that the fold does not make.
    Extra,
    /// The values differ.
    Altered,
}

impl std::fmt::Display for RowDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Extra => "should not exist",
            Self::Altered => "differs from the one that the fold makes",
        })
    }
}

/// Why the log is not intact, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Changes are missing.
    #[error("changes are missing after {after}; restore the log from a backup, or copy it again")]
    Gap {
        /// The last one before the gap.
        after: Sequence,
    },
    /// The changes do not lead to the stored digest.
    #[error(
        "the changes after {after} up to {end} do not lead to the digest in the log ({stored}, recomputed \
         {recomputed}); restore the log from a backup, or copy it again"
    )]
    Chain {
        /// The change before the checked range.
        after: Sequence,
        /// The last change of the range.
        end: Sequence,
        /// Digest in the log.
        stored: Digest,
        /// Digest of the bytes.
        recomputed: Digest,
    },
    /// The list of epochs does not match the changes.
    #[error("the log lists the epochs {stored:?}, but its changes begin {found:?}; restore it, or copy it again")]
    Epochs {
        /// Epochs in the list.
        stored: Vec<(Epoch, Sequence)>,
        /// Epochs in the changes.
        found: Vec<(Epoch, Sequence)>,
    },
    /// The files could not be read, or the scratch disk not written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies the store in `disk`, which no process may have open.
///
/// Nothing is changed, except that the storage may repair a file when it opens it after a crash.
pub fn verify_disk(
    disk: &dyn Disk,
    scratch: &dyn Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyOutcome, VerifyError> {
    let log = Log::open_existing(disk, LOG_CACHE_BYTES)?;
    let log = log.ok_or_else(|| StoreError::Missing { place: disk.place() })?;
    let head = verify_chain(&log, progress)?;
    if !disk.holds(TABLES_FILE) {
        return Ok(VerifyOutcome { head, tables: TablesVerdict::Missing });
    }
    let tables = match TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES) {
        Ok(tables) => verify_tables(&log, &tables, scratch, progress)?,
        Err(locked @ StoreError::Locked { .. }) => return Err(locked.into()),
        Err(error) => TablesVerdict::Unreadable { why: error.to_string() },
    };
    Ok(VerifyOutcome { head, tables })
}

/// Verifies the store behind `reader` while its writer goes on. Changes appended meanwhile are not checked.
pub fn verify_reader(
    reader: &Reader,
    scratch: &dyn Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyOutcome, VerifyError> {
    let head = verify_chain(&reader.log, progress)?;
    let tables = verify_tables(&reader.log, &reader.tables, scratch, progress)?;
    Ok(VerifyOutcome { head, tables })
}

/// Returns the next changes after `after`, up to `through`, and the position that the log stores for their end.
fn page(log: &Log, after: Sequence, through: Sequence) -> Result<(Changes, Position), VerifyError> {
    let limit = usize::try_from(through.0 - after.0).unwrap_or(usize::MAX).min(REFOLD_CHANGES);
    let (changes, end) = log.reader()?.changes_after(after, limit, REFOLD_BYTES)?;
    match end {
        Some(end) if end.sequence.0 == after.0 + changes.len() as u64 && !changes.is_empty() => Ok((changes, end)),
        _ => Err(VerifyError::Gap { after }),
    }
}

fn verify_chain(log: &Log, progress: &mut dyn FnMut(Progress)) -> Result<Position, VerifyError> {
    let head = log.reader()?.head()?;
    let mut at = crate::digest::chain_start(log.store());
    let mut after = Sequence::ZERO;
    let mut epochs = Vec::new();
    while after < head.sequence {
        let (changes, end) = page(log, after, head.sequence)?;
        let recomputed = changes.chain(at, after);
        if recomputed != end.digest {
            return Err(VerifyError::Chain { after, end: end.sequence, stored: end.digest, recomputed });
        }
        let numbered = changes.iter().zip(after.0 + 1..);
        epochs.extend(numbered.filter_map(|(bytes, n)| epoch_begun(bytes).map(|epoch| (epoch, Sequence(n)))));
        (at, after) = (recomputed, end.sequence);
        progress(Progress { phase: Phase::Chain, done: after.0, of: head.sequence.0 });
    }
    let stored = log.epochs_through(head.sequence);
    if stored != epochs {
        return Err(VerifyError::Epochs { stored, found: epochs });
    }
    if at != head.digest {
        return Err(VerifyError::Chain { after, end: head.sequence, stored: head.digest, recomputed: at });
    }
    Ok(head)
}

/// New tables on the scratch disk.
struct ScratchTables<'a> {
    log: &'a Log,
    tables: TablesFile,
    state: TablesState,
}

impl ScratchTables<'_> {
    /// Folds up to `through`. Stops before a change that this program cannot decode.
    fn fold_through(&mut self, through: Sequence, progress: &mut dyn FnMut(Progress)) -> Result<(), VerifyError> {
        while self.state.folded < through {
            let (changes, _) = page(self.log, self.state.folded, through)?;
            let mut staged = StagedRows::new(self.tables.reader()?, self.state.folded, self.state.fold_digest);
            let blocked = fold_run(&mut staged, &changes, self.state.folded)?;
            self.state.folded = staged.folded();
            self.state.fold_digest = staged.digest();
            self.tables.write(&staged, &self.state, true)?;
            progress(Progress { phase: Phase::Fold, done: self.state.folded.0, of: through.0 });
            if blocked.is_some() {
                break;
            }
        }
        Ok(())
    }
}

fn verify_tables(
    log: &Log,
    tables: &TablesFile,
    scratch: &dyn Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<TablesVerdict, VerifyError> {
    let Some(state) = tables.state()? else { return Ok(TablesVerdict::Missing) };
    if state.fold_version != FOLD_VERSION {
        return Ok(TablesVerdict::OtherFold { found: state.fold_version });
    }
    scratch.remove(SCRATCH_FILE)?;
    let file = TablesFile::open(scratch, SCRATCH_FILE, TABLES_CACHE_BYTES)?;
    let mut scratch_tables = ScratchTables { log, tables: file, state: TablesState::start(log.store()) };
    if is_of(&state, log)? {
        scratch_tables.fold_through(state.folded, progress)?;
    }
    // Only the rest is read in one transaction: a long one would keep a running writer from reusing its pages.
    let actual = tables.reader()?;
    let verdict = compare(&actual, &mut scratch_tables, progress);
    drop(scratch_tables);
    scratch.remove(SCRATCH_FILE)?;
    verdict
}

fn is_of(state: &TablesState, log: &Log) -> Result<bool, StoreError> {
    let head = log.reader()?.head()?;
    let within = state.store == log.store() && state.folded <= head.sequence;
    Ok(within && digest_at(&log.reader()?, state.folded)? == state.digest)
}

fn compare(
    actual: &TablesReader,
    scratch: &mut ScratchTables<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<TablesVerdict, VerifyError> {
    let Some(state) = actual.state()? else { return Ok(TablesVerdict::Missing) };
    if !is_of(&state, scratch.log)? {
        return Ok(TablesVerdict::NoPrefix { folded: state.folded });
    }
    scratch.fold_through(state.folded, progress)?;
    let (folded, stored, recomputed) = (state.folded, state.fold_digest, scratch.state.fold_digest);
    if scratch.state.folded != folded || stored != recomputed {
        return Ok(TablesVerdict::OtherDigest { folded, stored, recomputed });
    }
    let expected = scratch.tables.reader()?;
    let mut rows = 0;
    for (done, table) in Table::ALL.into_iter().enumerate() {
        match compare_table(table, actual, &expected)? {
            TableComparison::Equal { rows: count } => rows += count,
            TableComparison::Differs { key, how } => {
                return Ok(TablesVerdict::Row { table: table.name(), key: hex::encode(key), how });
            }
        }
        progress(Progress { phase: Phase::Rows, done: done as u64 + 1, of: Table::ALL.len() as u64 });
    }
    Ok(TablesVerdict::Equal { folded, fold_digest: stored, rows })
}

/// The outcome of comparing a table.
enum TableComparison {
    Equal { rows: u64 },
    Differs { key: Key, how: RowDifference },
}

/// Compares a table row by row, up to the first difference.
fn compare_table(table: Table, actual: &TablesReader, expected: &TablesReader) -> Result<TableComparison, StoreError> {
    let (mut from, mut rows) = (Key::new(), 0);
    loop {
        let range = KeyRange { from: &from, to: None, backwards: false, limit: COMPARE_ROWS };
        let (ours, theirs) = (actual.range(table, range)?, expected.range(table, range)?);
        if let Some((key, how)) = first_difference(&ours, &theirs) {
            return Ok(TableComparison::Differs { key, how });
        }
        rows += ours.len() as u64;
        match ours.last() {
            Some((last, _)) if ours.len() == COMPARE_ROWS => from = after_key(last),
            _ => return Ok(TableComparison::Equal { rows }),
        }
    }
}

/// Returns the first row in which two ranges of rows differ.
fn first_difference(ours: &[(Key, Vec<u8>)], theirs: &[(Key, Vec<u8>)]) -> Option<(Key, RowDifference)> {
    if let Some((own, other)) = ours.iter().zip(theirs).find(|(own, other)| own != other) {
        return Some(match own.0.cmp(&other.0) {
            Ordering::Less => (own.0.clone(), RowDifference::Extra),
            Ordering::Equal => (own.0.clone(), RowDifference::Altered),
            Ordering::Greater => (other.0.clone(), RowDifference::Missing),
        });
    }
    let both = ours.len().min(theirs.len());
    match (ours.get(both), theirs.get(both)) {
        (Some((key, _)), None) => Some((key.clone(), RowDifference::Extra)),
        (None, Some((key, _))) => Some((key.clone(), RowDifference::Missing)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
