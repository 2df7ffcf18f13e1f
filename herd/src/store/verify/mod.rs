//! Proves a store: the chain recomputed from the raw bytes, the tables folded again and compared row by row.
//!
//! Nothing that the store says of itself is believed: every digest is computed anew. Memory is bounded by one page of
//! the log and the page caches; the tables folded anew lie in a scratch disk of the caller's.

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

/// So many rows of a table are compared at once.
const COMPARE_ROWS: usize = 1_000;
/// The name of the tables folded anew, in the scratch disk.
const SCRATCH_FILE: &str = "verify-tables.redb";

/// What is being proved at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The digests over the log.
    Chain,
    /// The tables, folded again from the log.
    Fold,
    /// The rows of both tables.
    Rows,
}

/// How far it is: changes for the chain and the fold, tables for the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being proved.
    pub phase: Phase,
    /// So much is done.
    pub done: u64,
    /// Of so much.
    pub of: u64,
}

/// A log that holds, and what its tables are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// The log's head: every change up to it is there and chained.
    pub head: Position,
    /// The tables, which can always be folded again.
    pub tables: TablesVerdict,
}

/// What the tables are worth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TablesVerdict {
    /// They are, row by row, what the fold makes of the log.
    #[error("the tables are equal, row by row, to those folded again up to change {folded}: {rows} rows")]
    Equal {
        /// The last change in them.
        folded: Sequence,
        /// The fold digest after it.
        fold_digest: Digest,
        /// How many rows were compared.
        rows: u64,
    },
    /// There are none.
    #[error("there are no tables: they are folded from the log at the next start")]
    Missing,
    /// They do not open or read.
    #[error("the tables do not read ({why}): they are folded again at the next start")]
    ChangeError {
        /// What the storage said.
        why: String,
    },
    /// Another version of this program made them.
    #[error("the tables are of fold version {found}, this program has {FOLD_VERSION}: they are folded again")]
    OtherFold {
        /// Their version.
        found: u32,
    },
    /// They were not made of this log.
    #[error("the tables stand at change {folded} of another history: they are folded again at the next start")]
    NoPrefix {
        /// Where they say that they stand.
        folded: Sequence,
    },
    /// Folding the log again gives another digest than they carry.
    #[error("the tables claim the fold digest {stored} at change {folded}, folded again it is {recomputed}")]
    OtherDigest {
        /// The last change in them.
        folded: Sequence,
        /// What they claim.
        stored: Digest,
        /// What the fold gives.
        recomputed: Digest,
    },
    /// A row differs from what the fold writes.
    #[error("a row of table `{table}` {how} (key {key})")]
    Row {
        /// Its table.
        table: &'static str,
        /// Hexadecimal.
        key: String,
        /// In which way.
        how: RowDifference,
    },
}

/// How a row of the tables differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowDifference {
    /// The fold writes it, the tables lack it.
    Missing,
    /// The tables have it, the fold writes none.
    Extra,
    /// Both have it with different values.
    Altered,
}

impl std::fmt::Display for RowDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Extra => "is there and should not be",
            Self::Altered => "has another value than the fold writes",
        })
    }
}

/// The log itself does not hold, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Changes are missing in it.
    #[error("changes are missing after {after}: restore the log from a backup, or copy it again")]
    Gap {
        /// The last one before the gap.
        after: Sequence,
    },
    /// The bytes do not lead to the digest that stands beside them.
    #[error(
        "the changes after {after} up to {end} do not lead to the digest in the log ({stored}, recomputed \
         {recomputed}): restore the log from a backup, or copy it again"
    )]
    Chain {
        /// The last change before those that were read together.
        after: Sequence,
        /// The last of them.
        end: Sequence,
        /// What stands in the log.
        stored: Digest,
        /// What the bytes give.
        recomputed: Digest,
    },
    /// The list of epochs is not the one that the changes make.
    #[error("the log lists the epochs {stored:?}, its changes begin {found:?}: restore it, or copy it again")]
    Epochs {
        /// What is listed.
        stored: Vec<(Epoch, Sequence)>,
        /// What the changes say.
        found: Vec<(Epoch, Sequence)>,
    },
    /// The files could not be read or the scratch disk not written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proves the store in `disk`, which no process has open. It alters nothing by itself; after a crash the storage may
/// have to repair its file in opening it.
pub fn verify_disk(
    disk: &dyn Disk,
    scratch: &dyn Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyOutcome, VerifyError> {
    let log = Log::open_existing(disk, LOG_CACHE_BYTES)?;
    let log = log.ok_or_else(|| StoreError::Missing { place: disk.place() })?;
    let head = prove_chain(&log, progress)?;
    if !disk.holds(TABLES_FILE) {
        return Ok(VerifyOutcome { head, tables: TablesVerdict::Missing });
    }
    let tables = match TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES) {
        Ok(tables) => prove_tables(&log, &tables, scratch, progress)?,
        Err(locked @ StoreError::Locked { .. }) => return Err(locked.into()),
        Err(error) => TablesVerdict::ChangeError { why: error.to_string() },
    };
    Ok(VerifyOutcome { head, tables })
}

/// Proves the store behind `reader` while its writer goes on; what is appended meanwhile is left out of the chain.
pub fn verify_reader(
    reader: &Reader,
    scratch: &dyn Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyOutcome, VerifyError> {
    let head = prove_chain(&reader.log, progress)?;
    let tables = prove_tables(&reader.log, &reader.tables, scratch, progress)?;
    Ok(VerifyOutcome { head, tables })
}

/// The next changes after `after`, not beyond `through`, and the position that the log names for their end.
fn page(log: &Log, after: Sequence, through: Sequence) -> Result<(Changes, Position), VerifyError> {
    let limit = usize::try_from(through.0 - after.0).unwrap_or(usize::MAX).min(REFOLD_CHANGES);
    let (changes, end) = log.reader()?.changes_after(after, limit, REFOLD_BYTES)?;
    match end {
        Some(end) if end.sequence.0 == after.0 + changes.len() as u64 && !changes.is_empty() => Ok((changes, end)),
        _ => Err(VerifyError::Gap { after }),
    }
}

fn prove_chain(log: &Log, progress: &mut dyn FnMut(Progress)) -> Result<Position, VerifyError> {
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

/// The tables folded anew, in the scratch disk.
struct Anew<'a> {
    log: &'a Log,
    tables: TablesFile,
    state: TablesState,
}

impl Anew<'_> {
    /// Folds on through `through`; stops before a change that this program does not know.
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

fn prove_tables(
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
    let anew = TablesFile::open(scratch, SCRATCH_FILE, TABLES_CACHE_BYTES)?;
    let mut anew = Anew { log, tables: anew, state: TablesState::start(log.store()) };
    if is_of(&state, log)? {
        anew.fold_through(state.folded, progress)?;
    }
    // The rest is short: a transaction held for long would keep a running writer from using its pages again.
    let held = tables.reader()?;
    let verdict = compare(&held, &mut anew, progress);
    drop(anew);
    scratch.remove(SCRATCH_FILE)?;
    verdict
}

fn is_of(state: &TablesState, log: &Log) -> Result<bool, StoreError> {
    let head = log.reader()?.head()?;
    let within = state.store == log.store() && state.folded <= head.sequence;
    Ok(within && digest_at(&log.reader()?, state.folded)? == state.digest)
}

fn compare(
    held: &TablesReader,
    anew: &mut Anew<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<TablesVerdict, VerifyError> {
    let Some(state) = held.state()? else { return Ok(TablesVerdict::Missing) };
    if !is_of(&state, anew.log)? {
        return Ok(TablesVerdict::NoPrefix { folded: state.folded });
    }
    anew.fold_through(state.folded, progress)?;
    let (folded, stored, recomputed) = (state.folded, state.fold_digest, anew.state.fold_digest);
    if anew.state.folded != folded || stored != recomputed {
        return Ok(TablesVerdict::OtherDigest { folded, stored, recomputed });
    }
    let expected = anew.tables.reader()?;
    let mut rows = 0;
    for (done, table) in Table::ALL.into_iter().enumerate() {
        match compare_table(table, held, &expected)? {
            TableComparison::Equal { rows: count } => rows += count,
            TableComparison::Differs { key, how } => {
                return Ok(TablesVerdict::Row { table: table.name(), key: hex::encode(key), how });
            }
        }
        progress(Progress { phase: Phase::Rows, done: done as u64 + 1, of: Table::ALL.len() as u64 });
    }
    Ok(TablesVerdict::Equal { folded, fold_digest: stored, rows })
}

/// The outcome of comparing one table.
enum TableComparison {
    Equal { rows: u64 },
    Differs { key: Key, how: RowDifference },
}

/// Compares a table row by row, up to the first difference.
fn compare_table(table: Table, held: &TablesReader, expected: &TablesReader) -> Result<TableComparison, StoreError> {
    let (mut from, mut rows) = (Key::new(), 0);
    loop {
        let range = KeyRange { from: &from, to: None, backwards: false, limit: COMPARE_ROWS };
        let (ours, theirs) = (held.range(table, range)?, expected.range(table, range)?);
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
