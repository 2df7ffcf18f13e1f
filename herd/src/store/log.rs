//! `log.redb`: the truth. Append-only. Only what a commit has made durable here counts as stored.

use super::changes::Changes;
use super::disk::Disk;
use super::error::{StoreError, storage};
use super::row::{ROW_CHANGES, RowReader, lay_rows};
use super::row_cache::{CachedRow, row_of};
use crate::change::{Change, MAX_CHANGE_BYTES};
use crate::digest;
use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use redb::{AccessGuard, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use std::cell::RefCell;
use std::sync::{Arc, RwLock};

/// Name of the file.
pub const LOG_FILE: &str = "log.redb";

/// `first sequence` -> a row of changes.
const CHANGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("changes");
/// `epoch` -> the sequence that began it.
const EPOCHS: TableDefinition<'static, u32, u64> = TableDefinition::new("epochs");
/// `"store"` -> the identity of the history, 16 bytes.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// The log of one history.
#[derive(Clone, Debug)]
pub(super) struct Log {
    database: Arc<Database>,
    store: StoreId,
    epochs: Arc<RwLock<Vec<(Epoch, Sequence)>>>,
}

fn reading<E: std::fmt::Display>(error: E) -> StoreError {
    storage("read", LOG_FILE)(error)
}

fn writing<E: std::fmt::Display>(error: E) -> StoreError {
    storage("write", LOG_FILE)(error)
}

impl Log {
    /// Opens the log, or creates one with the identity that `new_id` returns.
    pub(super) fn open(
        disk: &dyn Disk,
        cache_bytes: usize,
        new_id: impl FnOnce() -> StoreId,
    ) -> Result<Self, StoreError> {
        let database = disk.open(LOG_FILE, cache_bytes)?;
        let store = match stored_id(&database)? {
            Some(store) => store,
            None => write_id(&database, new_id())?,
        };
        Self::over(database, store)
    }

    /// Opens an existing log.
    ///
    /// Returns `None` if there is none, or if its creation was interrupted before it had an identity.
    pub(super) fn open_existing(disk: &dyn Disk, cache_bytes: usize) -> Result<Option<Self>, StoreError> {
        if !disk.holds(LOG_FILE) {
            return Ok(None);
        }
        let database = disk.open(LOG_FILE, cache_bytes)?;
        stored_id(&database)?.map(|store| Self::over(database, store)).transpose()
    }

    fn over(database: Database, store: StoreId) -> Result<Self, StoreError> {
        let epochs = Arc::new(RwLock::new(read_epochs(&database)?));
        Ok(Self { database: Arc::new(database), store, epochs })
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }

    /// Returns the epoch at `sequence`.
    pub(super) fn epoch_at(&self, sequence: Sequence) -> Epoch {
        let epochs = self.epochs.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        epochs.iter().rev().find(|(_, first)| *first <= sequence).map_or(Epoch(0), |(epoch, _)| *epoch)
    }

    /// Returns the epochs up to `sequence`, with the changes that began them.
    pub(super) fn epochs_through(&self, sequence: Sequence) -> Vec<(Epoch, Sequence)> {
        let epochs = self.epochs.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        epochs.iter().copied().filter(|(_, first)| *first <= sequence).collect()
    }

    /// Appends durably. Once this returns `Ok`, a power cut loses nothing of it.
    pub(super) fn append(
        &self,
        head: &Position,
        changes: &Changes,
        epochs: &[(Epoch, Sequence)],
    ) -> Result<Position, StoreError> {
        let (rows, digest) = lay_rows(head.sequence, head.digest, changes);
        let transaction = self.database.begin_write().map_err(writing)?;
        {
            let mut table = transaction.open_table(CHANGES).map_err(writing)?;
            for (first, row) in &rows {
                table.insert(first.0, row.as_slice()).map_err(writing)?;
            }
        }
        if !epochs.is_empty() {
            let mut table = transaction.open_table(EPOCHS).map_err(writing)?;
            for (epoch, first) in epochs {
                table.insert(epoch.0, first.0).map_err(writing)?;
            }
        }
        transaction.commit().map_err(writing)?;
        if !epochs.is_empty() {
            self.epochs.write().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(epochs);
        }
        let sequence = Sequence(head.sequence.0 + changes.len() as u64);
        Ok(Position { store: self.store, epoch: self.epoch_at(sequence), sequence, digest })
    }

    pub(super) fn reader(&self) -> Result<LogReader, StoreError> {
        let transaction = self.database.begin_read().map_err(reading)?;
        let rows = match transaction.open_table(CHANGES) {
            Ok(table) => Some(table),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(reading(error)),
        };
        Ok(LogReader { rows, log: self.clone(), cached: RefCell::default() })
    }
}

fn stored_id(database: &Database) -> Result<Option<StoreId>, StoreError> {
    let transaction = database.begin_read().map_err(reading)?;
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(reading(error)),
    };
    let Some(value) = table.get("store").map_err(reading)? else { return Ok(None) };
    let damaged = StoreError::DamagedLog { at: Sequence::ZERO, why: "its identity is not 16 bytes" };
    value.value().try_into().map(|id| Some(StoreId(id))).map_err(|_| damaged)
}

fn write_id(database: &Database, store: StoreId) -> Result<StoreId, StoreError> {
    let transaction = database.begin_write().map_err(writing)?;
    transaction.open_table(META).map_err(writing)?.insert("store", store.0.as_slice()).map_err(writing)?;
    transaction.commit().map_err(writing)?;
    Ok(store)
}

fn read_epochs(database: &Database) -> Result<Vec<(Epoch, Sequence)>, StoreError> {
    let transaction = database.begin_read().map_err(reading)?;
    let table = match transaction.open_table(EPOCHS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(reading(error)),
    };
    let rows = table.iter().map_err(reading)?;
    rows.map(|row| row.map(|(epoch, first)| (Epoch(epoch.value()), Sequence(first.value()))).map_err(reading)).collect()
}

/// The log in one read transaction. Hold it briefly, never across network I/O: redb reuses no page that a reader may
/// still use.
pub(super) struct LogReader {
    rows: Option<ReadOnlyTable<u64, &'static [u8]>>,
    log: Log,
    cached: RefCell<Option<CachedRow>>,
}

/// The first change of a row, and the row's bytes.
type FoundRow = (Sequence, AccessGuard<'static, &'static [u8]>);

impl LogReader {
    /// Returns the position after the last change.
    pub(super) fn head(&self) -> Result<Position, StoreError> {
        let last = match &self.rows {
            None => None,
            Some(rows) => rows.last().map_err(reading)?,
        };
        let Some((first, bytes)) = last else { return Ok(self.start()) };
        let row = row_of(Sequence(first.value()), bytes.value())?;
        Ok(self.position(row.last(), row.after))
    }

    fn start(&self) -> Position {
        self.position(Sequence::ZERO, digest::chain_start(self.log.store))
    }

    fn position(&self, sequence: Sequence, digest: Digest) -> Position {
        Position { store: self.log.store, epoch: self.log.epoch_at(sequence), sequence, digest }
    }

    /// Returns the position at `sequence`, or `None` if it is past the head.
    pub(super) fn position_at(&self, sequence: Sequence) -> Result<Option<Position>, StoreError> {
        if sequence == Sequence::ZERO {
            return Ok(Some(self.start()));
        }
        self.with_row(sequence, |row| {
            row.reader()?
                .digest_at(sequence)
                .map(|digest| self.position(sequence, digest))
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

    /// Returns the last row that begins at or before `sequence`, if it can hold that change.
    fn row_from(&self, sequence: Sequence) -> Result<Option<FoundRow>, StoreError> {
        let Some(rows) = &self.rows else { return Ok(None) };
        // Without a lower bound, redb would also read the first row of the log, for the other end of the range.
        let lowest = sequence.0.saturating_sub(ROW_CHANGES as u64 - 1);
        let Some(entry) = rows.range(lowest..=sequence.0).map_err(reading)?.next_back() else { return Ok(None) };
        let (first, bytes) = entry.map_err(reading)?;
        Ok(Some((Sequence(first.value()), bytes)))
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
        let Some(rows) = &self.rows else { return Ok((changes, end)) };
        let Some((start, _)) = self.row_from(Sequence(after.0.saturating_add(1)))? else { return Ok((changes, end)) };
        for entry in rows.range(start.0..).map_err(reading)? {
            let (first, bytes) = entry.map_err(reading)?;
            let row = row_of(Sequence(first.value()), bytes.value())?;
            if row.last() <= after {
                continue;
            }
            let whole_fits =
                changes.len() as u64 + row.count <= limit as u64 && changes.bytes() + bytes.value().len() <= max_bytes;
            if !whole_fits && !changes.is_empty() {
                break;
            }
            let last = take_from_row(&row, after, limit, max_bytes, &mut changes)?;
            let digest = row.digest_at(last).ok_or(StoreError::DamagedLog { at: last, why: "its row is truncated" })?;
            end = Some(self.position(last, digest));
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
