//! `log.redb`: the rows that were taken over, the epochs, and the identity of the history.

use super::super::disk::{Disk, LOG_FILE, open_guarded};
use super::super::error::{DamagedRow, StoreError, storage};
use super::super::guarded::{GuardedDatabase, PageBytes, guarded};
use crate::position::{Epoch, Sequence, StoreId};
use redb::{AccessGuard, Range, ReadOnlyTable, ReadableTable as _, StorageError, TableDefinition, TableError};
use std::ops::RangeBounds;
use std::sync::Arc;

/// File in which a new log is made.
const LOG_BESIDE: &str = "log-new.redb";

/// `first sequence` -> a row of changes.
const CHANGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("changes");
/// `epoch` -> the sequence that began it.
const EPOCHS: TableDefinition<'static, u32, u64> = TableDefinition::new("epochs");
/// `"store"` -> the identity of the history, 16 bytes.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// First sequence of a row, and its bytes.
pub(super) type Entry<'a> = (Sequence, PageBytes<'a>);

fn entry_of<'a>((first, row): (AccessGuard<'_, u64>, AccessGuard<'a, &'static [u8]>)) -> Entry<'a> {
    (Sequence(first.value()), PageBytes::of(row, LOG_FILE))
}

/// The rows in a read transaction.
pub(super) struct RowTable(ReadOnlyTable<u64, &'static [u8]>);

impl RowTable {
    /// Returns the last row.
    pub(super) fn last(&self) -> Result<Option<Entry<'_>>, StoreError> {
        guarded(LOG_FILE, || Ok(self.0.last().map_err(reading)?.map(entry_of)))
    }

    /// Iterates over the rows that begin in a range.
    pub(super) fn range(&self, range: impl RangeBounds<u64>) -> Result<Rows, StoreError> {
        guarded(LOG_FILE, || self.0.range(range).map_err(reading)).map(Rows)
    }
}

/// Rows in order.
pub(super) struct Rows(Range<'static, u64, &'static [u8]>);

/// An entry of redb, or none behind the last one.
type RedbEntry = Option<Result<(AccessGuard<'static, u64>, AccessGuard<'static, &'static [u8]>), StorageError>>;

impl Rows {
    fn step(
        &mut self,
        step: impl FnOnce(&mut Range<'static, u64, &'static [u8]>) -> RedbEntry,
    ) -> Option<Result<Entry<'static>, StoreError>> {
        guarded(LOG_FILE, || Ok(step(&mut self.0).transpose().map_err(reading)?.map(entry_of))).transpose()
    }
}

impl Iterator for Rows {
    type Item = Result<Entry<'static>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Range::next)
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(Range::next_back)
    }
}

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Body {
    database: Arc<GuardedDatabase>,
}

fn reading(error: impl Into<redb::Error>) -> StoreError {
    failed("read", error.into())
}

fn writing(error: impl Into<redb::Error>) -> StoreError {
    failed("write", error.into())
}

fn failed(doing: &'static str, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(why) => StoreError::DamagedFile { file: LOG_FILE.to_owned(), why },
        error => storage(doing, LOG_FILE)(error),
    }
}

impl Body {
    pub(super) fn open(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, StoreError> {
        let database = open_guarded(disk, LOG_FILE, cache_bytes)?;
        Ok(Self { database: Arc::new(GuardedDatabase::new(database, LOG_FILE)) })
    }

    /// Creates an empty file in one step: redb writes a file that it cannot open before it is complete.
    pub(super) fn create(disk: &dyn Disk) -> Result<(), StoreError> {
        disk.remove(LOG_BESIDE)?;
        drop(disk.open(LOG_BESIDE, 0)?);
        disk.rename(LOG_BESIDE, LOG_FILE)
    }

    /// Returns the identity of the history, or `None` if the creation of the file was interrupted before it had one.
    pub(super) fn stored_id(&self) -> Result<Option<StoreId>, StoreError> {
        let damaged =
            StoreError::DamagedLog { row: DamagedRow::at(Sequence::ZERO), why: "its identity is not 16 bytes" };
        guarded(LOG_FILE, || {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(META) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(reading(error)),
            };
            let Some(value) = table.get("store").map_err(reading)? else { return Ok(None) };
            value.value().try_into().map(|id| Some(StoreId(id))).map_err(|_| damaged)
        })
    }

    pub(super) fn write_id(&self, store: StoreId) -> Result<StoreId, StoreError> {
        guarded(LOG_FILE, || {
            let transaction = self.database.begin_write()?;
            transaction.open_table(META).map_err(writing)?.insert("store", store.0.as_slice()).map_err(writing)?;
            transaction.commit().map_err(writing)?;
            Ok(store)
        })
    }

    pub(super) fn epochs(&self) -> Result<Vec<(Epoch, Sequence)>, StoreError> {
        guarded(LOG_FILE, || {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(EPOCHS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(reading(error)),
            };
            let rows = table.iter().map_err(reading)?;
            rows.map(|row| row.map(|(epoch, first)| (Epoch(epoch.value()), Sequence(first.value()))).map_err(reading))
                .collect()
        })
    }

    /// Writes rows and epochs in one durable transaction.
    pub(super) fn write(&self, rows: &[(Sequence, Vec<u8>)], epochs: &[(Epoch, Sequence)]) -> Result<(), StoreError> {
        guarded(LOG_FILE, || {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(CHANGES).map_err(writing)?;
                for (first, row) in rows {
                    table.insert(first.0, row.as_slice()).map_err(writing)?;
                }
            }
            if !epochs.is_empty() {
                let mut table = transaction.open_table(EPOCHS).map_err(writing)?;
                for (epoch, first) in epochs {
                    table.insert(epoch.0, first.0).map_err(writing)?;
                }
            }
            transaction.commit().map_err(writing)
        })
    }

    /// Opens the rows in a read transaction. Returns `None` if none were written yet.
    pub(super) fn rows(&self) -> Result<Option<RowTable>, StoreError> {
        guarded(LOG_FILE, || {
            let transaction = self.database.begin_read()?;
            match transaction.open_table(CHANGES) {
                Ok(table) => Ok(Some(RowTable(table))),
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(reading(error)),
            }
        })
    }
}
