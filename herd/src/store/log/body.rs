//! `log.redb`: the rows that were taken over, the epochs, and the identity of the history.

use super::super::disk::{Disk, begin_write, open_guarded};
use super::super::error::{DamagedRow, StoreError, storage};
use crate::position::{Epoch, Sequence, StoreId};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::sync::Arc;

/// Name of the file.
pub const LOG_FILE: &str = "log.redb";

/// File in which a new log is made.
const LOG_BESIDE: &str = "log-new.redb";

/// `first sequence` -> a row of changes.
const CHANGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("changes");
/// `epoch` -> the sequence that began it.
const EPOCHS: TableDefinition<'static, u32, u64> = TableDefinition::new("epochs");
/// `"store"` -> the identity of the history, 16 bytes.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

pub(super) type RowTable = ReadOnlyTable<u64, &'static [u8]>;

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Body {
    database: Arc<Database>,
}

pub(super) fn reading<E: std::fmt::Display>(error: E) -> StoreError {
    storage("read", LOG_FILE)(error)
}

fn writing<E: std::fmt::Display>(error: E) -> StoreError {
    storage("write", LOG_FILE)(error)
}

impl Body {
    pub(super) fn open(disk: &dyn Disk, cache_bytes: usize) -> Result<Self, StoreError> {
        Ok(Self { database: Arc::new(open_guarded(disk, LOG_FILE, cache_bytes)?) })
    }

    /// Creates an empty file in one step: redb writes a file that it cannot open before it is complete.
    pub(super) fn create(disk: &dyn Disk) -> Result<(), StoreError> {
        disk.remove(LOG_BESIDE)?;
        drop(disk.open(LOG_BESIDE, 0)?);
        disk.rename(LOG_BESIDE, LOG_FILE)
    }

    /// Returns the identity of the history, or `None` if the creation of the file was interrupted before it had one.
    pub(super) fn stored_id(&self) -> Result<Option<StoreId>, StoreError> {
        let transaction = self.database.begin_read().map_err(reading)?;
        let table = match transaction.open_table(META) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(reading(error)),
        };
        let Some(value) = table.get("store").map_err(reading)? else { return Ok(None) };
        let damaged =
            StoreError::DamagedLog { row: DamagedRow::at(Sequence::ZERO), why: "its identity is not 16 bytes" };
        value.value().try_into().map(|id| Some(StoreId(id))).map_err(|_| damaged)
    }

    pub(super) fn write_id(&self, store: StoreId) -> Result<StoreId, StoreError> {
        let transaction = begin_write(&self.database).map_err(writing)?;
        transaction.open_table(META).map_err(writing)?.insert("store", store.0.as_slice()).map_err(writing)?;
        transaction.commit().map_err(writing)?;
        Ok(store)
    }

    pub(super) fn epochs(&self) -> Result<Vec<(Epoch, Sequence)>, StoreError> {
        let transaction = self.database.begin_read().map_err(reading)?;
        let table = match transaction.open_table(EPOCHS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(reading(error)),
        };
        let rows = table.iter().map_err(reading)?;
        rows.map(|row| row.map(|(epoch, first)| (Epoch(epoch.value()), Sequence(first.value()))).map_err(reading))
            .collect()
    }

    /// Writes rows and epochs in one durable transaction.
    pub(super) fn write(&self, rows: &[(Sequence, Vec<u8>)], epochs: &[(Epoch, Sequence)]) -> Result<(), StoreError> {
        let transaction = begin_write(&self.database).map_err(writing)?;
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
    }

    /// Opens the rows in a read transaction. Returns `None` if none were written yet.
    pub(super) fn rows(&self) -> Result<Option<RowTable>, StoreError> {
        let transaction = self.database.begin_read().map_err(reading)?;
        match transaction.open_table(CHANGES) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(reading(error)),
        }
    }
}
