//! `tables.redb`: the result of folding the log. Disposable: it is rebuilt if it is missing, damaged, of another fold
//! version, or not of a prefix of the log.

use super::super::disk::{Disk, open_guarded};
use super::super::error::{StoreError, storage};
use super::super::guarded::GuardedDatabase;
use super::blocks::{Block, BlockGuard, BlockTable, BlockWriter, MergeError, block_key};
use super::damage::{Damage, is_damage};
use super::generation::Generation;
use crate::digest::{RowHasher, RowSum, chain_start};
use crate::fold::{KeyRange, RowsError};
use crate::position::{Digest, Sequence, StoreId};
use crate::tables::{FOLD_VERSION, Key, Table};
use redb::{ReadTransaction, ReadableTable, StorageError, TableDefinition, TableError};
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use std::sync::Arc;

/// Name of the file.
pub const TABLES_FILE: &str = "tables.redb";

/// `"state"` -> [`StoredState`].
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// Blocks of rows; see [`blocks`](super::blocks).
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// The position of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct TablesState {
    pub(in super::super) store: StoreId,
    /// [`FOLD_VERSION`] of the fold that made them.
    pub(in super::super) fold_version: u32,
    pub(in super::super) folded: Sequence,
    /// Chain digest at `folded`. It shows that the tables are of a prefix of this log.
    pub(in super::super) digest: Digest,
    /// The sum of all rows that are no index. The fold digest follows from it.
    pub(in super::super) sum: RowSum,
}

impl TablesState {
    pub(in super::super) fn start(store: StoreId) -> Self {
        let (folded, digest, sum) = (Sequence::ZERO, chain_start(store), RowSum::default());
        Self { store, fold_version: FOLD_VERSION, folded, digest, sum }
    }
}

/// The state of the rows in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct StoredState {
    pub(in super::super) tables: TablesState,
    /// The sum of all rows of index tables.
    pub(in super::super) index: RowSum,
}

#[derive(Clone, Debug)]
pub(in super::super) struct TablesFile {
    database: Arc<GuardedDatabase>,
    damage: Damage,
}

fn writing<E: std::fmt::Display>(error: E) -> StoreError {
    storage("write", TABLES_FILE)(error)
}

fn reading(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        error @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {
            StoreError::Rows(RowsError::Closed { table: "meta", why: error.to_string() })
        }
        error => storage("read", TABLES_FILE)(error),
    }
}

/// Returns whether an error of a read says that the file is damaged.
fn is_damage_read(error: &StoreError) -> bool {
    !matches!(error, StoreError::Rows(error) if !error.is_damage())
}

impl From<MergeError> for StoreError {
    fn from(error: MergeError) -> Self {
        match error {
            // It came from reading the blocks before, or from making room for those after.
            MergeError::Storage(error) if is_damage(&error) => {
                Self::Rows(RowsError::Storage { table: "blocks", why: error.to_string() })
            }
            MergeError::Storage(error) => writing(error),
            MergeError::Rows(error) => Self::Rows(error),
        }
    }
}

impl TablesFile {
    pub(in super::super) fn open(disk: &dyn Disk, file: &str, cache_bytes: usize) -> Result<Self, StoreError> {
        let database = GuardedDatabase::new(open_guarded(disk, file, cache_bytes)?, TABLES_FILE);
        Ok(Self { database: Arc::new(database), damage: Damage::new(disk, file) })
    }

    /// Returns the damage that was found in the file so far.
    pub(in super::super) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Returns `None` if nothing has been folded into the file yet, or if the state cannot be decoded.
    pub(in super::super) fn state(&self) -> Result<Option<StoredState>, StoreError> {
        self.reader()?.state()
    }

    /// Returns whether nothing was ever written to the tables.
    pub(in super::super) fn are_new(&self) -> Result<bool, StoreError> {
        let reader = self.reader()?;
        let count = || reader.transaction.list_tables().map(Iterator::count).map_err(reading);
        Ok(self.damage.guard(count, storage("read", TABLES_FILE), is_damage_read)? == 0)
    }

    pub(in super::super) fn reader(&self) -> Result<FileReader, StoreError> {
        self.damage.guard(|| self.begin_read(), storage("read", TABLES_FILE), is_damage_read)
    }

    fn begin_read(&self) -> Result<FileReader, StoreError> {
        let transaction = self.database.begin_read()?;
        let rows = match transaction.open_table(ROWS) {
            Ok(rows) => Some(rows),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(reading(error)),
        };
        Ok(FileReader { transaction, rows, damage: self.damage.clone() })
    }

    /// Writes the newest rows of a generation durably. `tables` is its position.
    pub(super) fn flush(&self, rows: &Generation, tables: &TablesState) -> Result<(), StoreError> {
        let failed = |why: &'static str| storage("flush", TABLES_FILE)(why);
        let is_damage = |error: &StoreError| matches!(error, StoreError::Rows(error) if error.is_damage());
        self.damage.guard(|| self.write_generation(rows, tables), failed, is_damage)
    }

    fn write_generation(&self, rows: &Generation, tables: &TablesState) -> Result<(), StoreError> {
        let before = self.reader()?;
        let mut index = before.state()?.map_or_else(RowSum::default, |state| state.index);
        let mut hasher = RowHasher::default();
        let transaction = self.database.begin_write()?;
        {
            let mut blocks = transaction.open_table(ROWS).map_err(writing)?;
            let (before, blocks) = (before.rows.as_ref(), &mut blocks);
            let mut writer = BlockWriter { before, blocks, hasher: &mut hasher, index: &mut index };
            for table in Table::ALL {
                rows.newest(table, |newest| writer.merge(table, newest))?;
            }
        }
        let bytes = postcard::to_stdvec(&StoredState { tables: *tables, index }).map_err(writing)?;
        transaction.open_table(META).map_err(writing)?.insert("state", bytes.as_slice()).map_err(writing)?;
        transaction.commit().map_err(writing)
    }

    /// Replaces the state alone.
    #[cfg(any(test, feature = "testing"))]
    pub(in super::super) fn write_state(&self, state: &StoredState) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        let bytes = postcard::to_stdvec(state).map_err(writing)?;
        transaction.open_table(META).map_err(writing)?.insert("state", bytes.as_slice()).map_err(writing)?;
        transaction.commit().map_err(writing)
    }
}

#[cfg(test)]
impl TablesFile {
    /// Replaces or removes a row behind the back of the sums.
    pub(in super::super) fn overwrite(&self, table: Table, key: &Key, value: Option<&[u8]>) -> Result<(), StoreError> {
        let (before, transaction) = (self.reader()?, self.database.begin_write()?);
        {
            let mut blocks = transaction.open_table(ROWS).map_err(writing)?;
            let (before, hasher, index) = (before.rows.as_ref(), &mut RowHasher::default(), &mut RowSum::default());
            BlockWriter { before, blocks: &mut blocks, hasher, index }.merge(table, std::iter::once((key, value)))?;
        }
        transaction.commit().map_err(writing)
    }
}

/// Marks the tables on `disk` as the work of another fold version, as an upgrade of this program finds them.
///
/// A test could also remove the tables. Their file would be missing then, which an upgrade never finds.
#[cfg(any(test, feature = "testing"))]
pub fn set_fold_version(disk: &dyn Disk, fold_version: u32) -> Result<(), StoreError> {
    let tables = TablesFile::open(disk, TABLES_FILE, 0)?;
    let state = tables.state()?.ok_or_else(|| storage("read", TABLES_FILE)("nothing is folded into it"))?;
    tables.write_state(&StoredState { tables: TablesState { fold_version, ..state.tables }, ..state })
}

/// A stretch of keys without rows. `None` is an end of the table.
#[derive(Debug, Default)]
pub(super) struct EmptyRange {
    /// The row before it.
    start: Option<Key>,
    /// The row after it.
    end: Option<Key>,
}

impl EmptyRange {
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.start.as_ref().is_none_or(|start| start < key) && self.end.as_ref().is_none_or(|end| key < end)
    }
}

/// The outcome of a search.
pub(super) enum SearchResult {
    /// The value of the row.
    Value(Vec<u8>),
    /// There is no such row, and none of these keys.
    Nothing(EmptyRange),
}

/// The file in one read transaction.
pub(in super::super) struct FileReader {
    transaction: ReadTransaction,
    rows: Option<BlockTable>,
    damage: Damage,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader").finish_non_exhaustive()
    }
}

fn failed(table: Table) -> impl Fn(StorageError) -> RowsError {
    move |error| {
        let (table, why) = (table.name(), error.to_string());
        match error {
            StorageError::PreviousIo | StorageError::DatabaseClosed => RowsError::Closed { table, why },
            _ => RowsError::Storage { table, why },
        }
    }
}

impl FileReader {
    /// Runs a read. Its panics are damage of the file, and so are its errors, unless the file is closed.
    fn guard<T>(&self, table: Table, read: impl FnOnce() -> Result<T, RowsError>) -> Result<T, RowsError> {
        let panicked = |why: &str| RowsError::Storage { table: table.name(), why: why.to_owned() };
        self.damage.guard(read, panicked, RowsError::is_damage)
    }

    /// Returns the damage that was found in the file so far.
    pub(in super::super) fn damage(&self) -> &Damage {
        &self.damage
    }

    pub(in super::super) fn state(&self) -> Result<Option<StoredState>, StoreError> {
        self.damage.guard(|| self.read_state(), storage("read", TABLES_FILE), is_damage_read)
    }

    fn read_state(&self) -> Result<Option<StoredState>, StoreError> {
        let table = match self.transaction.open_table(META) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(reading(error)),
        };
        let value = table.get("state").map_err(reading)?;
        Ok(value.and_then(|value| postcard::from_bytes(value.value()).ok()))
    }

    /// Searches a row.
    pub(super) fn search(&self, table: Table, key: &Key) -> Result<SearchResult, RowsError> {
        self.guard(table, || self.search_blocks(table, key))
    }

    fn search_blocks(&self, table: Table, key: &Key) -> Result<SearchResult, RowsError> {
        let Some(rows) = &self.rows else { return Ok(SearchResult::Nothing(EmptyRange::default())) };
        let is_of_table = |block: &BlockGuard<'_>| block.0.value().first() == Some(&table.number());
        let whole = block_key(table, key);
        let mut cursor = rows.upper_bound(Bound::Included(&*whole)).map_err(failed(table))?;
        let mut empty = EmptyRange::default();
        if let Some((_, block)) = cursor.peek_prev().map_err(failed(table))?.filter(is_of_table) {
            let block = Block::new(table, block.value())?;
            let place = block.place(key)?;
            if place < block.len() {
                let row = block.row(place)?;
                if row.key == &**key {
                    return Ok(SearchResult::Value(row.value.to_vec()));
                }
                empty.end = Some(row.key.into());
            }
            empty.start = place.checked_sub(1).map(|before| block.row(before)).transpose()?.map(|row| row.key.into());
        }
        if empty.end.is_none() {
            let next = cursor.peek_next().map_err(failed(table))?.filter(is_of_table);
            empty.end = next.map(|(first, _)| first.value()[1..].into());
        }
        Ok(SearchResult::Nothing(empty))
    }

    pub(in super::super) fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        self.guard(table, || self.range_in_blocks(table, range))
    }

    fn range_in_blocks(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        let mut found = Vec::new();
        let Some(rows) = &self.rows else { return Ok(found) };
        if range.limit == 0 || range.to.is_some_and(|to| to <= range.from) {
            return Ok(found);
        }
        let (start, from) = ([table.number()], block_key(table, range.from));
        let first = rows.range::<&[u8]>(start.as_slice()..=&*from).map_err(failed(table))?.next_back();
        let first = first.transpose().map_err(failed(table))?.map_or(from, |(first, _)| first.value().into());
        let end = range.to.map_or_else(|| Key::from(&[table.number() + 1][..]), |to| block_key(table, to));
        let bounds = (Bound::Included(&*first), Bound::Excluded(&*end));
        let mut blocks = rows.range::<&[u8]>(bounds).map_err(failed(table))?;
        while found.len() < range.limit {
            let Some(block) = (if range.backwards { blocks.next_back() } else { blocks.next() }) else { break };
            let (_, block) = block.map_err(failed(table))?;
            let block = Block::new(table, block.value())?;
            let to = range.to.map_or(Ok(block.len()), |to| block.place(to))?;
            let mut places = block.place(range.from)?..to;
            while found.len() < range.limit
                && let Some(place) = if range.backwards { places.next_back() } else { places.next() }
            {
                let row = block.row(place)?;
                found.push((row.key.into(), row.value.to_vec()));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryDisk;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Catches a range that is taken to be empty although it has a row, which a reader would then miss.
        #[test]
        fn a_search_finds_the_row_or_a_range_without_rows(
            rows in prop::collection::btree_set(0..60_u8, 0..40), value_bytes in 1..900_usize,
        ) {
            let disk = MemoryDisk::default();
            let file = TablesFile::open(&disk, TABLES_FILE, 0).unwrap();
            let key = |n: u8| Key::from(&[n][..]);
            for other in [Table::Totals, Table::TagOwners] {
                file.overwrite(other, &key(30), Some(b"other")).unwrap();
            }
            for n in &rows {
                file.overwrite(Table::Animals, &key(*n), Some(&vec![*n; value_bytes])).unwrap();
            }
            let reader = file.reader().unwrap();
            for n in 0..60 {
                match reader.search(Table::Animals, &key(n)).unwrap() {
                    SearchResult::Value(value) => prop_assert!(rows.contains(&n) && value == vec![n; value_bytes]),
                    SearchResult::Nothing(empty) => {
                        prop_assert!(!rows.contains(&n) && empty.holds(&key(n)));
                        prop_assert!(!rows.iter().any(|row| empty.holds(&key(*row))));
                    }
                }
            }
        }
    }
}
