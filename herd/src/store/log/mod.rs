//! The log: the truth. Append-only. Only what a commit has made durable here counts as stored.
//!
//! Its end is in the journal and in memory (`tail`), the rest in `log.redb` (`body`). Rows move from the tail to the body
//! only, and a reader takes its tail first. So it sees each row in one of them, or in both and then only in the body.

mod body;
mod tail;
mod writer;

pub use body::LOG_FILE;
pub(super) use writer::{LaidChanges, LogWriter, RowEnd};

use super::changes::Changes;
use super::disk::Disk;
use super::error::StoreError;
use super::journal::FoundRecords;
use super::row::{ROW_CHANGES, RowReader};
use super::row_cache::{CachedRow, RowBytes, row_of};
use crate::change::{Change, MAX_CHANGE_BYTES};
use crate::digest;
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use body::{Body, RowTable, reading};
use redb::ReadableTable;
use std::cell::RefCell;
use std::sync::{Arc, PoisonError, RwLock};
use tail::{Tail, TailRow, TailSnapshot};

/// The reading end of the log of one history.
#[derive(Clone, Debug)]
pub(super) struct Log {
    body: Body,
    tail: Tail,
    store: StoreId,
    epochs: Arc<RwLock<Vec<(Epoch, Sequence)>>>,
}

impl Log {
    /// Opens an existing log for reading. What its journal holds is read and left there.
    ///
    /// Returns `None` if there is none, or if its creation was interrupted before it had an identity.
    pub(super) fn open_existing(disk: &dyn Disk, cache_bytes: usize) -> Result<Option<Self>, StoreError> {
        if !disk.holds(LOG_FILE) {
            return Ok(None);
        }
        let body = Body::open(disk, cache_bytes)?;
        let found = FoundRecords::read(disk)?;
        match (body.stored_id()?, found.store()) {
            (Some(store), _) => {
                let log = Self::over(body, store)?;
                log.recover_tail(disk, found)?;
                Ok(Some(log))
            }
            (None, None) => Ok(None),
            (None, Some(journal)) => Err(StoreError::MissingLog { journal }),
        }
    }

    fn over(body: Body, store: StoreId) -> Result<Self, StoreError> {
        let epochs = Arc::new(RwLock::new(body.epochs()?));
        Ok(Self { body, tail: Tail::default(), store, epochs })
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }

    /// Returns the epoch at `sequence`.
    pub(super) fn epoch_at(&self, sequence: Sequence) -> Epoch {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.iter().rev().find(|(_, first)| *first <= sequence).map_or(Epoch(0), |(epoch, _)| *epoch)
    }

    /// Returns the epochs up to `sequence`, with the changes that began them.
    pub(super) fn epochs_through(&self, sequence: Sequence) -> Vec<(Epoch, Sequence)> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.iter().copied().filter(|(_, first)| *first <= sequence).collect()
    }

    fn add_epochs(&self, begun: &[(Epoch, Sequence)]) {
        if !begun.is_empty() {
            self.epochs.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(begun);
        }
    }

    fn position(&self, sequence: Sequence, digest: Digest) -> Position {
        Position { store: self.store, epoch: self.epoch_at(sequence), sequence, digest }
    }

    pub(super) fn reader(&self) -> Result<LogReader, StoreError> {
        // The tail first: a take-over between the two gives both the rows, and the other order would give neither.
        let mut tail = self.tail.snapshot();
        let body = self.body.rows()?;
        if let (Some(first), Some(rows)) = (tail.first(), &body)
            && rows.range(first.0..).map_err(reading)?.next().is_some()
        {
            tail = TailSnapshot::default();
        }
        Ok(LogReader { cached: RefCell::default(), body, tail, log: self.clone() })
    }
}

/// The log at one moment, in a read transaction of `log.redb`. Hold it briefly, never across network I/O: redb reuses no
/// page that a reader may still use.
pub(super) struct LogReader {
    /// Dropped before `body`, whose transaction keeps the page of the row from being freed.
    cached: RefCell<Option<CachedRow>>,
    body: Option<RowTable>,
    tail: TailSnapshot,
    log: Log,
}

/// The first change of a row, and the row's bytes.
type FoundRow = (Sequence, RowBytes);

impl From<TailRow> for FoundRow {
    fn from(row: TailRow) -> Self {
        (row.first, RowBytes::Tail(row.bytes))
    }
}

impl LogReader {
    /// Returns the position after the last change.
    pub(super) fn head(&self) -> Result<Position, StoreError> {
        if let Some(row) = self.tail.last() {
            return Ok(self.log.position(row.last, row.after));
        }
        let last = match &self.body {
            None => None,
            Some(rows) => rows.last().map_err(reading)?,
        };
        let Some((first, bytes)) = last else { return Ok(self.start()) };
        let row = row_of(Sequence(first.value()), bytes.value())?;
        Ok(self.log.position(row.last(), row.after))
    }

    fn start(&self) -> Position {
        self.log.position(Sequence::ZERO, digest::chain_start(self.log.store))
    }

    /// Returns the position at `sequence`, or `None` if it is past the head.
    pub(super) fn position_at(&self, sequence: Sequence) -> Result<Option<Position>, StoreError> {
        if sequence == Sequence::ZERO {
            return Ok(Some(self.start()));
        }
        self.with_row(sequence, |row| {
            row.reader()?
                .digest_at(sequence)
                .map(|digest| self.log.position(sequence, digest))
                .ok_or(StoreError::DamagedLog { at: sequence, why: "its row is truncated" })
        })
    }

    /// Returns the stored bytes of a change, or `None` if it is past the head.
    pub(super) fn change(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
        self.with_row(sequence, |row| Ok(row.change(sequence)?.to_vec()))
    }

    /// Calls `look` with the row that holds `sequence`. Returns `None` if that is past the head.
    fn with_row<T>(
        &self,
        sequence: Sequence,
        look: impl FnOnce(&CachedRow) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut cached = self.cached.borrow_mut();
        if !cached.as_ref().is_some_and(|row| row.holds(sequence)) {
            let found = self.row_from(sequence)?;
            *cached = found.map(|(first, bytes)| CachedRow::new(first, bytes)).transpose()?;
        }
        cached.as_ref().filter(|row| row.holds(sequence)).map(look).transpose()
    }

    /// Returns the row of the tail that holds `sequence`, or the last row of the body that begins at or before it.
    fn row_from(&self, sequence: Sequence) -> Result<Option<FoundRow>, StoreError> {
        match self.tail.row_with(sequence) {
            Some(row) => Ok(Some(row.into())),
            None => self.body_row_from(sequence),
        }
    }

    /// Returns the last row of the body that begins at or before `sequence`, if it can hold that change.
    fn body_row_from(&self, sequence: Sequence) -> Result<Option<FoundRow>, StoreError> {
        let Some(rows) = &self.body else { return Ok(None) };
        // Without a lower bound, redb would also read the first row of the log, for the other end of the range.
        let lowest = sequence.0.saturating_sub(ROW_CHANGES as u64 - 1);
        let Some(entry) = rows.range(lowest..=sequence.0).map_err(reading)?.next_back() else { return Ok(None) };
        let (first, bytes) = entry.map_err(reading)?;
        Ok(Some((Sequence(first.value()), RowBytes::Body(bytes))))
    }

    /// Iterates over the rows from one that may hold `sequence` on: those of the body, then those of the tail.
    fn rows_from(
        &self,
        sequence: Sequence,
    ) -> Result<impl Iterator<Item = Result<FoundRow, StoreError>> + '_, StoreError> {
        let body = match (&self.body, self.body_row_from(sequence)?) {
            (Some(rows), Some((start, _))) => Some(rows.range(start.0..).map_err(reading)?),
            _ => None,
        };
        let body = body.into_iter().flatten().map(|entry| {
            let (first, bytes) = entry.map_err(reading)?;
            Ok((Sequence(first.value()), RowBytes::Body(bytes)))
        });
        Ok(body.chain(self.tail.rows_from(sequence).map(|row| Ok(row.into()))))
    }

    /// Returns the changes after `after`, and the position after them.
    ///
    /// There are at most `limit` changes and `max_bytes` bytes, but at least one change. Whole rows are preferred, because a
    /// row holds the digest at its end.
    pub(super) fn changes_after(
        &self,
        after: Sequence,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Changes, Option<Position>), StoreError> {
        let mut changes = Changes::default();
        let mut end = None;
        for entry in self.rows_from(Sequence(after.0.saturating_add(1)))? {
            let (first, bytes) = entry?;
            let row = row_of(first, &bytes)?;
            if row.last() <= after {
                continue;
            }
            let whole_fits =
                changes.len() as u64 + row.count <= limit as u64 && changes.bytes() + bytes.len() <= max_bytes;
            if !whole_fits && !changes.is_empty() {
                break;
            }
            let last = take_from_row(&row, after, limit, max_bytes, &mut changes)?;
            let digest = row.digest_at(last).ok_or(StoreError::DamagedLog { at: last, why: "its row is truncated" })?;
            end = Some(self.log.position(last, digest));
            if last < row.last() {
                break;
            }
        }
        Ok((changes, end))
    }
}

/// Adds the changes of `row` after `after` until a limit is reached, and returns the last one added.
fn take_from_row(
    row: &RowReader<'_>,
    after: Sequence,
    limit: usize,
    max_bytes: usize,
    to: &mut Changes,
) -> Result<Sequence, StoreError> {
    let mut last = after;
    for (n, change) in row.changes().filter(|(n, _)| *n > after) {
        let change = change.ok_or(StoreError::DamagedLog { at: n, why: "its row is truncated" })?;
        if to.len() >= limit || (!to.is_empty() && to.bytes() + change.len() > max_bytes) {
            break;
        }
        to.push(change);
        last = n;
    }
    Ok(last)
}

/// Returns the epochs that begin in these changes, which follow `before`, with the changes that begin them.
///
/// An Epoch change whose number is not higher begins nothing, so the epochs of a history are always in order.
pub(super) fn epochs_begun(before: &Position, changes: &Changes) -> Vec<(Epoch, Sequence)> {
    let mut latest = before.epoch;
    let mut begun = Vec::new();
    for (bytes, n) in changes.iter().zip(before.sequence.0 + 1..) {
        if let Some(epoch) = epoch_begun(bytes).filter(|epoch| *epoch > latest) {
            latest = epoch;
            begun.push((epoch, Sequence(n)));
        }
    }
    begun
}

/// Returns the epoch that stored bytes begin, if they are an Epoch change.
pub(super) fn epoch_begun(bytes: &[u8]) -> Option<Epoch> {
    if bytes.first() != Some(&(crate::change::ChangeKind::Epoch as u8)) || bytes.len() > MAX_CHANGE_BYTES {
        return None;
    }
    match Change::from_bytes(bytes) {
        Ok(Change::Epoch(began)) => Some(began.epoch),
        _ => None,
    }
}
