//! The tail: the rows that are in the journal and not yet in `log.redb`, kept in memory for readers.
//!
//! Rows are added at its end. A take-over replaces the tail by an empty one, and readers of the old one keep it. Its size
//! is bounded by that of a segment of the journal.

use crate::position::{Digest, Sequence};
use std::sync::{Arc, PoisonError, RwLock};

/// A row of the log in memory.
#[derive(Clone, Debug)]
pub(super) struct TailRow {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// The digest after it.
    pub(super) after: Digest,
    pub(super) bytes: Arc<[u8]>,
}

type SharedRows = Arc<RwLock<Vec<TailRow>>>;

/// The current tail. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    current: Arc<RwLock<SharedRows>>,
}

impl Tail {
    pub(super) fn push(&self, row: TailRow) {
        let rows = self.current.read().unwrap_or_else(PoisonError::into_inner);
        rows.write().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// Begins an empty tail. Snapshots of the old one stay as they are.
    pub(super) fn clear(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = SharedRows::default();
    }

    pub(super) fn snapshot(&self) -> TailSnapshot {
        let rows = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let count = rows.read().unwrap_or_else(PoisonError::into_inner).len();
        TailSnapshot { rows, count }
    }
}

/// The tail at one moment.
#[derive(Debug, Default)]
pub(super) struct TailSnapshot {
    rows: SharedRows,
    /// Rows that were there at that moment.
    count: usize,
}

impl TailSnapshot {
    fn look<T>(&self, look: impl FnOnce(&[TailRow]) -> T) -> T {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        look(rows.get(..self.count).unwrap_or_default())
    }

    /// Returns the first change in the tail, or `None` if it is empty.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.look(|rows| rows.first().map(|row| row.first))
    }

    pub(super) fn last(&self) -> Option<TailRow> {
        self.look(|rows| rows.last().cloned())
    }

    /// Returns the row that holds `sequence`.
    pub(super) fn row_with(&self, sequence: Sequence) -> Option<TailRow> {
        let row = self.look(|rows| rows.get(rows.partition_point(|row| row.last < sequence)).cloned());
        row.filter(|row| row.first <= sequence)
    }

    /// Returns the rows from the one that holds `sequence`, or from the first one after it.
    pub(super) fn rows_from(&self, sequence: Sequence) -> impl Iterator<Item = TailRow> + '_ {
        let start = self.look(|rows| rows.partition_point(|row| row.last < sequence));
        (start..self.count).map_while(|index| self.look(|rows| rows.get(index).cloned()))
    }
}
