//! Verifies a store: recomputes the chain from the raw bytes, and the sum over the rows of the tables.
//!
//! No stored digest is trusted; every one is computed again. Memory is bounded by one page of the log, the page caches, and what
//! redb writes to closed files meanwhile, which stays in memory (see `read_only`).
//!
//! # Decisions
//!
//! - **The tables are verified by one scan, and not folded again.** The scan shows that the file holds what the fold made.
//!   That the fold made what it should is shown where it is made twice: by the office, whose fold digest is compared with
//!   the barn's with every heartbeat, and by a start without `tables.redb`. Folding again would need a scratch file as
//!   large as the tables, on a card that may have no room for it.

mod pages;
mod readmissions;

use super::log::{Log, epoch_begun};
use super::tables::{StoredState, TablesFile, TablesState, View};
use super::{
    Changes, DamagedRow, Disk, LOG_CACHE_BYTES, REFOLD_BYTES, REFOLD_CHANGES, ReadOnlyDisk, Reader, StoreError,
    TABLES_CACHE_BYTES, TABLES_FILE, digest_at,
};
use crate::digest::{RowHasher, RowSum};
use crate::fold::{FOLD_VERSION, KeyRange, Rows, RowsError};
use crate::position::{Digest, Epoch, Position, Sequence};
use crate::tables::{Key, Table, after_key};
use pages::verify_pages;
use readmissions::{ReadmissionIndex, is_readmission};

/// Maximum number of damaged rows that are looked for. A log with more of them is restored, not repaired.
const MAX_DAMAGED_ROWS: usize = 20;
/// Remedy for damaged tables.
const REBUILD: &str = "Delete tables.redb while nothing runs; the next start rebuilds it from the log";
/// Number of rows that are read at once.
const SCAN_ROWS: usize = 1_000;

/// A step of the verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recomputing the digests over the log.
    Chain,
    /// Recomputing the sum over the tables.
    Rows,
    /// Comparing the pages of the log's file with their digests.
    Pages,
}

/// Progress of the verification: changes for the chain, tables for the rows, the file as a whole for its pages.
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
    /// The rows add up to the digest that the fold stored with them.
    Equal {
        /// The last change in them.
        folded: Sequence,
        /// The fold digest after it.
        fold_digest: Digest,
        /// Number of rows that the digest covers. Those of indexes are not counted: while a writer goes on, the file has
        /// fewer of them than the tables that readers see.
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
    /// The rows do not add up to the digest that the fold stored with them: at least one is missing, extra or altered.
    OtherDigest {
        /// The last change in them.
        folded: Sequence,
        /// Digest in the tables.
        stored: Digest,
        /// Digest of the rows.
        recomputed: Digest,
    },
    /// The index of payloads that came back says something else than the log.
    OtherReadmission {
        /// The last change in the tables.
        folded: Sequence,
        /// Key of the row: the chain digest of the former place of a payload.
        former: String,
        /// The change that brought it back; `None` if none did.
        in_log: Option<Sequence>,
        /// The change that the row names; `None` if it is missing, or cannot be read.
        in_tables: Option<Sequence>,
    },
}

impl std::fmt::Display for TablesVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equal { folded, rows, .. } => {
                write!(f, "the tables hold what was folded up to change {folded}: all {rows} rows hashed again")
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
                    "the tables at change {folded} are damaged: their rows have the digest {recomputed}, the fold had \
                     {stored}. {REBUILD}"
                )
            }
            Self::OtherReadmission { folded, former, in_log, in_tables } => {
                write!(
                    f,
                    "the tables at change {folded} are damaged: in the index of readmissions, the row {former} "
                )?;
                match (in_log, in_tables) {
                    (Some(in_log), Some(found)) => write!(f, "names change {found} instead of {in_log}. {REBUILD}"),
                    (Some(in_log), None) => write!(f, "is missing, which names change {in_log}. {REBUILD}"),
                    (None, _) => write!(f, "is one too many: no change brought a payload back from there. {REBUILD}"),
                }
            }
        }
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
    /// Rows of the log do not hold what was written to them.
    #[error(
        "the log is damaged in {}. A running copy fetches it again from its barn; an office that has it returns it to the barn \
         with `herdlinx-mirror give-back`",
        named(.rows)
    )]
    Damaged {
        /// The first twenty rows, in order.
        rows: Vec<DamagedRow>,
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
    /// Every change is whole, but not the file.
    #[error(
        "the changes in log.redb are whole, but pages that lead to them or count its free space are damaged ({why}): it may \
         refuse what is written next. At a barn, `herdlinxd recover` makes a new file of the changes; at an office, \
         `herdlinx-mirror resync` copies the barn again"
    )]
    Pages {
        /// Message of the storage.
        why: String,
    },
    /// The files could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies the store in `disk`, which no process may have open.
///
/// Nothing is changed in the log. The storage may repair the tables when it opens them after a crash, and tables which cannot be
/// read are removed: the next start folds them again.
pub fn verify_disk(disk: &dyn Disk, progress: &mut dyn FnMut(Progress)) -> Result<VerifyOutcome, VerifyError> {
    let outcome = verify_content(disk, progress)?;
    let at = |done| Progress { phase: Phase::Pages, done, of: 1 };
    progress(at(0));
    verify_pages(disk)?;
    progress(at(1));
    Ok(outcome)
}

fn verify_content(disk: &dyn Disk, progress: &mut dyn FnMut(Progress)) -> Result<VerifyOutcome, VerifyError> {
    let log = Log::open_existing(&ReadOnlyDisk::over(disk), LOG_CACHE_BYTES)?;
    let log = log.ok_or_else(|| StoreError::Missing { place: disk.place() })?;
    let Chain { head, first_readmission } = verify_chain(&log, progress)?;
    if !disk.holds(TABLES_FILE) {
        return Ok(VerifyOutcome { head, tables: TablesVerdict::Missing });
    }
    let tables = match TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES) {
        Ok(tables) => verify_file(&log, &tables, first_readmission, progress)?,
        Err(locked @ StoreError::Locked { .. }) => return Err(locked.into()),
        Err(error) => TablesVerdict::Unreadable { why: error.to_string() },
    };
    Ok(VerifyOutcome { head, tables })
}

/// Verifies the store behind `reader` while its writer goes on. Changes appended meanwhile are not checked, and neither are the
/// pages of the file that hold no change: for those, redb needs the file for itself.
pub fn verify_reader(reader: &Reader, progress: &mut dyn FnMut(Progress)) -> Result<VerifyOutcome, VerifyError> {
    let Chain { head, first_readmission } = verify_chain(&reader.log, progress)?;
    // What is appended meanwhile may hold the first one.
    let tables =
        verify_view(&reader.log, &reader.tables.view(), first_readmission.min(head.sequence.next()), progress)?;
    Ok(VerifyOutcome { head, tables })
}

/// Names damaged rows, and says what is known of the rest of the log.
fn named(rows: &[DamagedRow]) -> String {
    let names = rows.iter().map(DamagedRow::to_string).collect::<Vec<_>>().join(", ");
    let rest =
        if rows.len() < MAX_DAMAGED_ROWS { "everything else in it is sound" } else { "what follows was not checked" };
    format!("{names}; {rest}")
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

/// A log that proves itself.
struct Chain {
    head: Position,
    /// The first change that holds a payload which came back, or the one after the head.
    first_readmission: Sequence,
}

fn verify_chain(log: &Log, progress: &mut dyn FnMut(Progress)) -> Result<Chain, VerifyError> {
    let head = log.reader()?.head()?;
    let mut at = crate::digest::chain_start(log.store());
    let mut after = Sequence::ZERO;
    let (mut epochs, mut damaged, mut first_readmission) = (Vec::new(), Vec::new(), head.sequence.next());
    while after < head.sequence {
        let (changes, end) = match page(log, after, head.sequence) {
            Err(VerifyError::Store(StoreError::DamagedLog { row, .. })) => {
                damaged.push(row);
                if damaged.len() == MAX_DAMAGED_ROWS {
                    break;
                }
                after = row.last.max(after.next());
                at = log.reader()?.digest_before(after.next())?.unwrap_or(head.digest);
                continue;
            }
            page => page?,
        };
        let recomputed = changes.chain(at, after);
        if recomputed != end.digest {
            return Err(VerifyError::Chain { after, end: end.sequence, stored: end.digest, recomputed });
        }
        let numbered = changes.iter().zip(after.0 + 1..);
        epochs.extend(numbered.filter_map(|(bytes, n)| epoch_begun(bytes).map(|epoch| (epoch, Sequence(n)))));
        let mut numbered = changes.numbered(after);
        let found = numbered.find(|(_, change)| is_readmission(change)).map(|(sequence, _)| sequence);
        first_readmission = found.map_or(first_readmission, |sequence| sequence.min(first_readmission));
        (at, after) = (recomputed, end.sequence);
        progress(Progress { phase: Phase::Chain, done: after.0, of: head.sequence.0 });
    }
    if !damaged.is_empty() {
        return Err(VerifyError::Damaged { rows: damaged });
    }
    let stored = log.epochs_through(head.sequence);
    if stored != epochs {
        return Err(VerifyError::Epochs { stored, found: epochs });
    }
    if at != head.digest {
        return Err(VerifyError::Chain { after, end: head.sequence, stored: head.digest, recomputed: at });
    }
    Ok(Chain { head, first_readmission })
}

/// Verifies the tables in the file.
fn verify_file(
    log: &Log,
    tables: &TablesFile,
    first_readmission: Sequence,
    progress: &mut dyn FnMut(Progress),
) -> Result<TablesVerdict, VerifyError> {
    let rows = tables.reader()?;
    let Some(stored) = rows.state()? else { return Ok(TablesVerdict::Missing) };
    if stored.tables.fold_version != FOLD_VERSION {
        return Ok(TablesVerdict::OtherFold { found: stored.tables.fold_version });
    }
    if !is_of(&stored.tables, log)? {
        return Ok(TablesVerdict::NoPrefix { folded: stored.tables.folded });
    }
    let index = ReadmissionIndex { log, rows: &rows, folded: stored.tables.folded };
    if let Some(other) = index.verify(first_readmission)? {
        return Ok(other);
    }
    Ok(verdict(&stored, &|table, range| rows.range(table, range), progress))
}

/// Verifies the tables as readers see them: the rows that are no index in memory and in the file, the index in the file.
fn verify_view(
    log: &Log,
    view: &View,
    first_readmission: Sequence,
    progress: &mut dyn FnMut(Progress),
) -> Result<TablesVerdict, VerifyError> {
    let in_file = view.file().state()?;
    let folded = in_file.map_or(Sequence::ZERO, |stored| stored.tables.folded);
    let other = ReadmissionIndex { log, rows: view.file(), folded }.verify(first_readmission)?;
    if let Some(other) = other {
        return Ok(other);
    }
    let index = in_file.map_or_else(RowSum::default, |stored| stored.index);
    let stored = StoredState { tables: *view.state(), index };
    let rows = |table: Table, range: KeyRange<'_>| {
        if table.is_index() { view.file().range(table, range) } else { view.range(table, range) }
    };
    Ok(verdict(&stored, &rows, progress))
}

type ReadRange<'a> = dyn Fn(Table, KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> + 'a;

fn verdict(stored: &StoredState, rows: &ReadRange<'_>, progress: &mut dyn FnMut(Progress)) -> TablesVerdict {
    let (mut sum, mut index, mut count) = (RowSum::default(), RowSum::default(), 0);
    for (done, table) in Table::ALL.into_iter().enumerate() {
        let added = if table.is_index() {
            add_table(table, rows, &mut index).map(|_| ())
        } else {
            add_table(table, rows, &mut sum).map(|rows| count += rows)
        };
        if let Err(error) = added {
            return TablesVerdict::Unreadable { why: error.to_string() };
        }
        progress(Progress { phase: Phase::Rows, done: done as u64 + 1, of: Table::ALL.len() as u64 });
    }
    let folded = stored.tables.folded;
    for (stored, recomputed) in [(stored.tables.sum, sum), (stored.index, index)] {
        if stored != recomputed {
            let (stored, recomputed) = (stored.digest(), recomputed.digest());
            return TablesVerdict::OtherDigest { folded, stored, recomputed };
        }
    }
    TablesVerdict::Equal { folded, fold_digest: sum.digest(), rows: count }
}

/// Adds all rows of a table to a sum, and returns their number.
fn add_table(table: Table, rows: &ReadRange<'_>, sum: &mut RowSum) -> Result<u64, RowsError> {
    let (mut hasher, mut count, mut from) = (RowHasher::default(), 0, Key::new());
    loop {
        let found = rows(table, KeyRange { from: &from, to: None, backwards: false, limit: SCAN_ROWS })?;
        // Rows out of order are not found by their keys, and would be read again and again here.
        let is_ordered = found.is_sorted_by(|(before, _), (after, _)| before < after);
        if let Some((last, _)) = found.last().filter(|(last, _)| !is_ordered || *last < from) {
            return Err(RowsError::Damaged { table: table.name(), key: hex::encode(last) });
        }
        for (key, value) in &found {
            sum.add(&hasher.hash(table.number(), key, value));
        }
        count += found.len() as u64;
        match found.last() {
            Some((last, _)) if found.len() == SCAN_ROWS => from = after_key(last),
            _ => return Ok(count),
        }
    }
}

fn is_of(state: &TablesState, log: &Log) -> Result<bool, StoreError> {
    let head = log.reader()?.head()?;
    let within = state.store == log.store() && state.folded <= head.sequence;
    Ok(within && digest_at(&log.reader()?, state.folded)? == state.digest)
}

#[cfg(test)]
mod tests;
