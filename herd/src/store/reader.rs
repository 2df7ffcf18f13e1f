//! Read access to a store: pages for followers, and snapshots for queries.

use super::known_times::KnownTimes;
use super::log::{Log, LogReader};
use super::tables::{Tables, View};
use super::{ChangeRun, Changes, DamagedRow, Head, StoreError};
use crate::change::Change;
use crate::clock::WallTime;
use crate::fold::{KeyRange, Row, Rows, RowsError, decode};
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use crate::tables::{Key, Table};
use serde::Serialize;
use std::cell::Cell;
use std::sync::Arc;
use tokio::sync::watch;

/// A handle for reading a store; cheap to clone. It keeps the files open, so a store is closed only when its readers are
/// dropped too.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) log: Log,
    pub(super) tables: Tables,
    head: watch::Receiver<Head>,
    times: KnownTimes,
}

impl Reader {
    pub(super) fn new(log: Log, tables: Tables, head: watch::Receiver<Head>) -> Self {
        Self { log, tables, head, times: KnownTimes::default() }
    }

    /// Returns the identity of the history.
    pub fn store(&self) -> StoreId {
        self.log.store()
    }

    /// Returns the current head.
    pub fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// Returns a channel that receives each new head after its commit. It closes when the writer is dropped.
    pub fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Returns the damaged rows of the log that were read since it was opened, in order.
    pub fn damaged_rows(&self) -> Vec<DamagedRow> {
        self.log.damaged_rows()
    }

    /// Returns the position at `sequence`, or `None` if it is past the head.
    pub fn position_at(&self, sequence: Sequence) -> Result<Option<Position>, StoreError> {
        self.log.reader()?.position_at(sequence)
    }

    /// Returns the epochs up to `sequence`, with the changes that began them.
    pub(crate) fn epochs_through(&self, sequence: Sequence) -> Vec<(Epoch, Sequence)> {
        self.log.epochs_through(sequence)
    }

    /// Returns the stored bytes of a change, or `None` if it is past the head.
    pub fn change(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
        self.log.reader()?.change(sequence)
    }

    /// Returns the changes after `after`, which must be a position of this log.
    ///
    /// There are at most `limit` changes and `max_bytes` bytes, but at least one change. No transaction is held when this
    /// returns.
    pub fn run_after(&self, after: Position, limit: usize, max_bytes: usize) -> Result<ChangeRun, StoreError> {
        let (changes, end) = self.log.reader()?.changes_after(after.sequence, limit, max_bytes)?;
        Ok(ChangeRun { after, changes, end: end.unwrap_or(after) })
    }

    /// Returns the current log and tables. Hold it briefly, never across network I/O: redb reuses no page meanwhile.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        // The tables first, so that the log holds everything that they hold.
        let tables = self.tables.view();
        Ok(Snapshot { tables, log: self.log.reader()?, times: self.times.clone(), reads: Cell::default() })
    }
}

/// Log and tables at one moment.
pub struct Snapshot {
    tables: View,
    log: LogReader,
    times: KnownTimes,
    reads: Cell<ReadCounts>,
}

/// Number of reads from a snapshot. It measures the cost of queries independently of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadCounts {
    /// Searches in the tables, for a row or the start of a range.
    pub searches: u64,
    /// Rows read from the tables.
    pub rows: u64,
    /// Changes read from the log.
    pub changes: u64,
}

/// The position of a snapshot. Two snapshots with equal `folded` have equal tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotState {
    /// The last change in the log.
    pub position: Position,
    /// The last change in the tables.
    pub folded: Sequence,
    /// The fold digest after it.
    pub fold_digest: Digest,
}

impl Snapshot {
    /// Returns the position of log and tables.
    pub fn state(&self) -> Result<SnapshotState, StoreError> {
        let position = self.log.head()?;
        let state = self.tables.state();
        Ok(SnapshotState { position, folded: state.folded, fold_digest: state.sum.digest() })
    }

    /// Returns the last change in the tables.
    pub fn folded(&self) -> Result<Sequence, StoreError> {
        Ok(self.tables.state().folded)
    }

    /// Returns a change of the log, or `None` if this program cannot decode it.
    pub fn change(&self, sequence: Sequence) -> Result<Option<Change>, StoreError> {
        Ok(self.change_bytes(sequence)?.and_then(|bytes| Change::from_bytes(&bytes).ok()))
    }

    /// Returns the time of a change that `look_up` finds. It is kept for the next call.
    pub(crate) fn known_time<E>(
        &self,
        sequence: Sequence,
        look_up: impl FnOnce() -> Result<Option<WallTime>, E>,
    ) -> Result<Option<WallTime>, E> {
        let kept = self.times.get(sequence);
        if kept.is_some() {
            return Ok(kept);
        }
        let at = look_up()?;
        if let Some(at) = at {
            self.times.keep(sequence, at);
        }
        Ok(at)
    }

    /// Returns the stored bytes of a change.
    pub fn change_bytes(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
        self.count(ReadCounts { changes: 1, ..ReadCounts::default() });
        self.log.change(sequence)
    }

    /// Returns the position at `sequence`, or `None` if it is past the end of the log.
    pub(crate) fn position_at(&self, sequence: Sequence) -> Result<Option<Position>, StoreError> {
        self.log.position_at(sequence)
    }

    /// Returns changes after `after`, and the position after them: at most `limit` changes and `max_bytes` bytes, but at
    /// least one change if there is one.
    pub(crate) fn changes_after(
        &self,
        after: Sequence,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Changes, Option<Position>), StoreError> {
        self.log.changes_after(after, limit, max_bytes)
    }

    /// Returns the number of reads so far.
    pub fn reads(&self) -> ReadCounts {
        self.reads.get()
    }

    fn count(&self, more: ReadCounts) {
        let ReadCounts { searches, rows, changes } = self.reads.get();
        self.reads.set(ReadCounts {
            searches: searches + more.searches,
            rows: rows + more.rows,
            changes: changes + more.changes,
        });
    }
}

impl Rows for Snapshot {
    fn get(&self, table: Table, key: &Key) -> Result<Option<Vec<u8>>, RowsError> {
        let found = self.tables.get(table, key)?;
        self.count(ReadCounts { searches: 1, rows: found.iter().len() as u64, changes: 0 });
        Ok(found)
    }

    /// A row that cannot be decoded is damage of the tables, as one that cannot be read.
    fn shared<T: Row>(&self, key: &Key) -> Result<Option<Arc<T>>, RowsError> {
        let Some(value) = self.get(T::TABLE, key)? else { return Ok(None) };
        let decoded = decode(key, &value).map(Arc::new);
        decoded.map(Some).inspect_err(|error| self.tables.file().damage().note(error))
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        let found = self.tables.range(table, range)?;
        self.count(ReadCounts { searches: 1, rows: found.len() as u64, changes: 0 });
        Ok(found)
    }
}
