//! `tables.redb`: the result of folding the log. Disposable: it is rebuilt if it is missing, damaged, of another fold
//! version, or not of a prefix of the log.

use super::disk::Disk;
use super::error::{StoreError, storage};
use crate::digest::{RowSum, chain_start};
use crate::fold::{FOLD_VERSION, KeyRange, Rows, RowsError, StagedRows};
use crate::position::{Digest, Sequence, StoreId};
use crate::tables::{Key, Table};
use redb::{Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition, TableError};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::sync::Arc;

/// Name of the file.
pub const TABLES_FILE: &str = "tables.redb";

/// `"state"` -> [`TablesState`].
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

type RowTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The position of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TablesState {
    pub(super) store: StoreId,
    /// [`FOLD_VERSION`] of the fold that made them.
    pub(super) fold_version: u32,
    pub(super) folded: Sequence,
    /// Chain digest at `folded`. It shows that the tables are of a prefix of this log.
    pub(super) digest: Digest,
    /// The sum of all rows. The fold digest follows from it.
    pub(super) sum: RowSum,
}

impl TablesState {
    pub(super) fn start(store: StoreId) -> Self {
        Self {
            store,
            fold_version: FOLD_VERSION,
            folded: Sequence::ZERO,
            digest: chain_start(store),
            sum: RowSum::default(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct TablesFile {
    database: Arc<Database>,
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn writing<E: std::fmt::Display>(error: E) -> StoreError {
    storage("write", TABLES_FILE)(error)
}

fn reading<E: std::fmt::Display>(error: E) -> StoreError {
    storage("read", TABLES_FILE)(error)
}

impl TablesFile {
    pub(super) fn open(disk: &dyn Disk, file: &str, cache_bytes: usize) -> Result<Self, StoreError> {
        Ok(Self { database: Arc::new(disk.open(file, cache_bytes)?) })
    }

    /// Returns `None` if nothing has been folded into the file yet, or if the state cannot be decoded.
    pub(super) fn state(&self) -> Result<Option<TablesState>, StoreError> {
        let transaction = self.database.begin_read().map_err(reading)?;
        state_in(&transaction)
    }

    pub(super) fn reader(&self) -> Result<TablesReader, StoreError> {
        let transaction = self.database.begin_read().map_err(reading)?;
        Ok(TablesReader { transaction, tables: std::array::from_fn(|_| OnceCell::new()) })
    }

    /// Writes the staged rows, in the order of keys.
    ///
    /// Without `durable`, readers see them at once but a power cut may undo the write. That costs a fold and loses nothing.
    pub(super) fn write<B: Rows>(
        &self,
        staged: &StagedRows<B>,
        state: &TablesState,
        durable: bool,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(writing)?;
        if !durable {
            transaction.set_durability(Durability::None).map_err(writing)?;
        }
        for (table, rows) in staged.rows() {
            if rows.is_empty() {
                continue;
            }
            let mut open = transaction.open_table(definition(table)).map_err(writing)?;
            for (key, value) in rows {
                match value {
                    Some(value) => open.insert(key.as_slice(), value.as_slice()).map_err(writing)?,
                    None => open.remove(key.as_slice()).map_err(writing)?,
                };
            }
        }
        let bytes = postcard::to_stdvec(state).map_err(writing)?;
        transaction.open_table(META).map_err(writing)?.insert("state", bytes.as_slice()).map_err(writing)?;
        transaction.commit().map_err(writing)
    }

    /// Marks the tables as invalid: the next start rebuilds them.
    pub(super) fn forget_state(&self) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(writing)?;
        transaction.open_table(META).map_err(writing)?.remove("state").map_err(writing)?;
        transaction.commit().map_err(writing)
    }

    /// Makes everything written so far durable.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.database.begin_write().map_err(writing)?.commit().map_err(writing)
    }
}

/// Marks the tables on `disk` as the work of another fold version, as an upgrade of this program finds them.
///
/// A test could also remove the tables. Their file would be missing then, which an upgrade never finds.
#[cfg(any(test, feature = "testing"))]
pub fn set_fold_version(disk: &dyn Disk, fold_version: u32) -> Result<(), StoreError> {
    let tables = TablesFile::open(disk, TABLES_FILE, 0)?;
    let state = tables.state()?.ok_or_else(|| storage("read", TABLES_FILE)("nothing is folded into it"))?;
    let transaction = tables.database.begin_write().map_err(writing)?;
    let bytes = postcard::to_stdvec(&TablesState { fold_version, ..state }).map_err(writing)?;
    transaction.open_table(META).map_err(writing)?.insert("state", bytes.as_slice()).map_err(writing)?;
    transaction.commit().map_err(writing)
}

fn state_in(transaction: &ReadTransaction) -> Result<Option<TablesState>, StoreError> {
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(reading(error)),
    };
    let value = table.get("state").map_err(reading)?;
    Ok(value.and_then(|value| postcard::from_bytes(value.value()).ok()))
}

/// The tables in one read transaction. Each is opened on first use, because most queries read two.
pub(super) struct TablesReader {
    transaction: ReadTransaction,
    tables: [OnceCell<Option<RowTable>>; Table::ALL.len()],
}

impl TablesReader {
    pub(super) fn state(&self) -> Result<Option<TablesState>, StoreError> {
        state_in(&self.transaction)
    }

    fn table(&self, table: Table) -> Result<Option<&RowTable>, RowsError> {
        let cell = &self.tables[table.index()];
        if cell.get().is_none() {
            let opened = match self.transaction.open_table(definition(table)) {
                Ok(open) => Some(open),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(failed(table)(error)),
            };
            // Cannot fail: only this thread uses the cell, and it was empty a moment ago.
            let _ = cell.set(opened);
        }
        Ok(cell.get().and_then(Option::as_ref))
    }
}

fn failed<E: std::fmt::Display>(table: Table) -> impl Fn(E) -> RowsError {
    move |why| RowsError::Storage { table: table.name(), why: why.to_string() }
}

impl Rows for TablesReader {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        let Some(open) = self.table(table)? else { return Ok(None) };
        Ok(open.get(key).map_err(failed(table))?.map(|value| value.value().to_vec()))
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let Some(open) = self.table(table)? else { return Ok(Vec::new()) };
        let to = range.to.map_or(Unbounded, Excluded);
        let mut rows = open.range::<&[u8]>((Included(range.from), to)).map_err(failed(table))?;
        let mut found = Vec::new();
        while found.len() < range.limit {
            let Some(row) = (if range.backwards { rows.next_back() } else { rows.next() }) else { break };
            let (key, value) = row.map_err(failed(table))?;
            found.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(found)
    }
}
