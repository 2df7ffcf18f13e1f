//! The one way in which a source writes: a group of changes, each decided on what the ones before it left, then one
//! durable commit for all.

use super::folding::Folder;
use super::log::{Log, LogReader};
use super::tables::View;
use super::{Changes, DamagedRow, LOG_ROWS, Store, StoreError};
use crate::change::{Change, MAX_CHANGE_BYTES};
use crate::decide::{History, TextWindow};
use crate::fold::{RowsError, StagedRows, fold};
use crate::position::Sequence;
use std::cell::{Cell, OnceCell};

/// Changes of one commit, while they are decided.
pub(super) struct Group<'a> {
    /// The tables as the changes decided so far leave them.
    pub(super) rows: &'a mut StagedRows<View>,
    /// The log with the changes decided so far.
    pub(super) history: GroupHistory,
}

/// The log, followed by the changes of a group.
pub(super) struct GroupHistory {
    log: Log,
    /// Opened when a change of the log is needed, as few groups do.
    reader: OnceCell<LogReader>,
    /// The last change in the log.
    after: Sequence,
    changes: Changes,
    /// The texts of the repeat window.
    window: TextWindow,
    /// A damaged row of the log that a decision has asked for.
    damaged: Cell<Option<DamagedRow>>,
}

impl Group<'_> {
    /// Returns the sequence of the next change.
    pub(super) fn next(&self) -> Sequence {
        self.rows.folded().next()
    }

    /// Adds a change and folds it, so that the next one is decided on what it left.
    ///
    /// # Errors
    /// [`StoreError::Oversize`] leaves the group as it was, so that a caller may go on without the change.
    pub(super) fn push(&mut self, change: &Change) -> Result<Sequence, StoreError> {
        let bytes = change.to_bytes();
        if bytes.len() > MAX_CHANGE_BYTES {
            return Err(StoreError::Oversize { bytes: bytes.len(), limit: MAX_CHANGE_BYTES });
        }
        let sequence = self.next();
        fold(self.rows, sequence, change)?;
        self.history.window.record(sequence, change);
        self.history.changes.push(&bytes);
        Ok(sequence)
    }
}

impl GroupHistory {
    /// Returns the damaged row that a decision has asked for, if there is one.
    pub(super) fn damaged(&self) -> Option<DamagedRow> {
        self.damaged.get()
    }

    /// Returns the damaged row as [`damaged`](Self::damaged) does, and forgets it.
    pub(super) fn take_damage(&self) -> Option<DamagedRow> {
        self.damaged.take()
    }

    /// Returns the stored bytes of a change of the log.
    fn logged(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(reader) = self.reader.get() {
            return reader.change(sequence);
        }
        let opened = self.log.reader()?;
        self.reader.get_or_init(|| opened).change(sequence)
    }
}

impl History for GroupHistory {
    fn change_at(&self, sequence: Sequence) -> Result<Option<Change>, RowsError> {
        let in_group = sequence.0.checked_sub(self.after.0 + 1).and_then(|index| usize::try_from(index).ok());
        let bytes = match in_group {
            Some(index) => self.changes.get(index).map(<[u8]>::to_vec),
            None => match self.logged(sequence) {
                // A payload is recorded all the same: for it, the change is one that cannot be decoded.
                Err(StoreError::DamagedLog { row, .. }) => {
                    self.damaged.set(Some(row));
                    None
                }
                read => read.map_err(|error| RowsError::Storage { table: LOG_ROWS, why: error.to_string() })?,
            },
        };
        Ok(bytes.and_then(|bytes| Change::from_bytes(&bytes).ok()))
    }

    fn recent_texts(&self) -> &TextWindow {
        &self.window
    }
}

impl Store {
    /// Lets `decide` fill a group, and commits it if it holds a change. What `decide` returns is true only once this
    /// function has returned it.
    ///
    /// On an error nothing of the group is acknowledged. If the commit itself failed, this writer refuses all further
    /// writes ([`StoreError::Interrupted`]); the next writer finds the group whole or not at all.
    pub(super) fn write<T>(
        &mut self,
        decide: impl FnOnce(&mut Group<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.recall()?;
        self.check_may_decide()?;
        let made_room = self.folding.here().and_then(Folder::make_room);
        self.stop_on_error(made_room)?;
        let decided = self.write_group(decide);
        self.distrust_unread_tables(&decided);
        decided
    }

    fn write_group<T>(
        &mut self,
        decide: impl FnOnce(&mut Group<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let window = self.take_window()?;
        let rows = &mut self.folding.here()?.rows;
        let (log, changes) = (self.log.log().clone(), Changes::default());
        let (reader, damaged) = (OnceCell::new(), Cell::new(None));
        let history = GroupHistory { log, reader, after: rows.folded(), changes, window, damaged };
        let mut group = Group { rows: &mut *rows, history };
        let decided = decide(&mut group);
        let Group { history, .. } = group;
        let decided = decided.inspect_err(|_| rows.discard())?;
        if !history.changes.is_empty() {
            self.commit(&history.changes)?;
        }
        self.window = Some(history.window);
        Ok(decided)
    }
}
