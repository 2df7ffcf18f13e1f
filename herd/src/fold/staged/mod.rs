//! Rows staged above a readable base. The fold works on them before anything is written.

use crate::digest::{RowHasher, RowSum};
use crate::position::Sequence;
use crate::tables::{Key, Table};
use foldhash::fast::RandomState;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Read access to the tables. Only the storage beneath can fail.
pub trait Rows {
    /// Returns the value of a row.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError>;

    /// Returns up to `limit` rows with `from <= key` and, if `to` is given, `key < to`.
    ///
    /// The rows are in the order of keys, or in reverse order with `backwards`.
    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError>;

    /// Returns a row decoded as its type.
    fn read<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, RowsError> {
        self.get(table, key)?.map(|value| decode(table, key, &value)).transpose()
    }
}

/// A range of rows.
#[derive(Clone, Copy, Debug)]
pub struct KeyRange<'a> {
    /// The lowest key.
    pub from: &'a [u8],
    /// The first key above the range; `None` for no upper end.
    pub to: Option<&'a [u8]>,
    /// True for the order from the highest key down.
    pub backwards: bool,
    /// Maximum number of rows.
    pub limit: usize,
}

impl KeyRange<'_> {
    fn holds(&self, key: &[u8]) -> bool {
        key >= self.from && self.to.is_none_or(|to| key < to)
    }
}

/// Reason why a row could not be read. The tables can always be rebuilt from the log.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file could not be read.
    #[error("cannot read table `{table}` of tables.redb: {why}. The next start rebuilds the tables from the log")]
    Storage {
        /// Name of the table.
        table: &'static str,
        /// Message of the storage.
        why: String,
    },
    /// The row is not an encoded value of its table's type.
    #[error("cannot decode a row of table `{table}` (key {key}). The next start rebuilds the tables from the log")]
    Damaged {
        /// Name of the table.
        table: &'static str,
        /// Key of the row in hexadecimal.
        key: String,
    },
}

/// Decodes the value of a row.
pub fn decode<T: DeserializeOwned>(table: Table, key: &[u8], value: &[u8]) -> Result<T, RowsError> {
    postcard::from_bytes(value).map_err(|_| RowsError::Damaged { table: table.name(), key: hex::encode(key) })
}

/// A base without rows, for a new store.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRows;

impl Rows for NoRows {
    fn get(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        Ok(None)
    }

    fn range(&self, _: Table, _: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        Ok(Vec::new())
    }
}

/// A value to write, or `None` for a row to remove.
type Staging = Option<Vec<u8>>;

/// A staged row: its key and its value, or `None` if the row is to be removed.
pub type StagedRow<'a> = (&'a Key, &'a Option<Vec<u8>>);

/// The staged rows of one table. They are kept in order only if the fold reads ranges of the table.
#[derive(Debug)]
enum Stage {
    /// The hasher is seeded at random, like the standard one, and several times as fast on keys of a few dozen bytes.
    Hashed(HashMap<Key, Staging, RandomState>),
    Ordered(BTreeMap<Key, Staging>),
}

impl Stage {
    fn for_table(table: Table) -> Self {
        match table {
            Table::AnimalTags | Table::Memberships | Table::TextOrder | Table::Gaps => Self::Ordered(BTreeMap::new()),
            _ => Self::Hashed(HashMap::default()),
        }
    }

    fn get(&self, key: &[u8]) -> Option<&Staging> {
        match self {
            Self::Hashed(rows) => rows.get(key),
            Self::Ordered(rows) => rows.get(key),
        }
    }

    fn insert(&mut self, key: Key, value: Staging) {
        match self {
            Self::Hashed(rows) => rows.insert(key, value),
            Self::Ordered(rows) => rows.insert(key, value),
        };
    }

    /// Returns the live rows of a range, at least the first `limit` of them, and the tombstones between them.
    ///
    /// Tombstones are needed because they hide rows of the base.
    fn in_range(&self, range: KeyRange<'_>) -> BTreeMap<Key, Staging> {
        match self {
            Self::Hashed(rows) => {
                rows.iter().filter(|(k, _)| range.holds(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
            }
            Self::Ordered(rows) => {
                if range.to.is_some_and(|to| to <= range.from) {
                    return BTreeMap::new();
                }
                let to = range.to.map_or(Bound::Unbounded, Bound::Excluded);
                let staged = rows.range::<[u8], _>((Bound::Included(range.from), to));
                if range.backwards {
                    first_present(staged.rev(), range.limit)
                } else {
                    first_present(staged, range.limit)
                }
            }
        }
    }

    fn sorted(&self) -> Vec<StagedRow<'_>> {
        let mut rows: Vec<_> = match self {
            Self::Hashed(rows) => rows.iter().collect(),
            Self::Ordered(rows) => return rows.iter().collect(),
        };
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }
}

/// Returns the rows up to the live row number `limit`.
fn first_present<'a>(rows: impl Iterator<Item = (&'a Key, &'a Staging)>, limit: usize) -> BTreeMap<Key, Staging> {
    let mut missing = limit;
    let mut taken = BTreeMap::new();
    for (key, value) in rows {
        if missing == 0 {
            break;
        }
        missing -= usize::from(value.is_some());
        taken.insert(key.clone(), value.clone());
    }
    taken
}

/// A row that the current change has written or removed.
#[derive(Debug)]
struct TouchedRow {
    table: Table,
    key: Key,
    value: Staging,
}

/// Rows of folded changes that are not in the file yet, above a base: the rows in the file.
#[derive(Debug)]
pub struct StagedRows<B> {
    base: B,
    stages: Vec<Stage>,
    /// Rows that the current change has written, each once. There are about ten, so a linear search is cheaper than hashing
    /// each, and a row that a change writes several times enters its stage only once.
    touched: Vec<TouchedRow>,
    folded: Sequence,
    sum: RowSum,
    hasher: RowHasher,
    /// A buffer for encoding, which is reused to save allocations.
    scratch: Vec<u8>,
}

impl<B: Rows> StagedRows<B> {
    /// Makes a stage without rows. `folded` and `sum` are those of the base.
    pub fn new(base: B, folded: Sequence, sum: RowSum) -> Self {
        let stages = Table::ALL.into_iter().map(Stage::for_table).collect();
        let (touched, hasher, scratch) = (Vec::new(), RowHasher::default(), Vec::new());
        Self { base, stages, touched, folded, sum, hasher, scratch }
    }

    /// Returns the last folded change.
    pub fn folded(&self) -> Sequence {
        self.folded
    }

    /// Returns the sum of all rows after the last folded change.
    pub fn sum(&self) -> RowSum {
        self.sum
    }

    /// Writes a row.
    ///
    /// # Panics
    /// Never for a row of [`tables`](crate::tables): each of their types has a postcard form.
    pub fn write<T: Serialize>(&mut self, table: Table, key: Key, row: &T) {
        self.scratch.clear();
        // Into memory that is there already, and then once into as much as it needs: a vector that grows with the
        // fields is moved several times.
        self.scratch = postcard::to_extend(row, std::mem::take(&mut self.scratch))
            .expect("rows hold no sequence of unknown length, so they always encode");
        let value = self.scratch.clone();
        self.put(table, key, Some(value));
    }

    /// Removes a row.
    pub fn remove(&mut self, table: Table, key: Key) {
        self.put(table, key, None);
    }

    fn put(&mut self, table: Table, key: Key, value: Staging) {
        match self.touched.iter_mut().find(|row| row.table == table && row.key == key) {
            Some(row) => row.value = value,
            None => self.touched.push(TouchedRow { table, key, value }),
        }
    }

    /// Returns the staged value of a row, or `None` if the base decides.
    fn staged(&self, table: Table, key: &[u8]) -> Option<&Staging> {
        let touched = self.touched.iter().find(|row| row.table == table && row.key == key);
        touched.map(|row| &row.value).or_else(|| self.stages[table.index()].get(key))
    }

    /// Ends the change `sequence`: in the sum, each row that it wrote takes the place of the one before.
    pub fn end_change(&mut self, sequence: Sequence) -> Result<(), RowsError> {
        let mut touched = std::mem::take(&mut self.touched);
        for TouchedRow { table, key, value } in touched.drain(..) {
            let below = self.stages[table.index()].get(&key);
            let before = below.map_or_else(|| self.base.get(table, &key), |staged| Ok(staged.clone()))?;
            if let Some(before) = &before {
                self.sum.remove(&self.hasher.hash(table.number(), &key, before));
            }
            if let Some(value) = &value {
                self.sum.add(&self.hasher.hash(table.number(), &key, value));
            }
            self.stages[table.index()].insert(key, value);
        }
        self.touched = touched;
        self.folded = sequence;
        Ok(())
    }

    /// Returns all rows of ended changes, by table and in the order of keys: values to write, or `None` to remove a row.
    pub fn rows(&self) -> impl Iterator<Item = (Table, Vec<StagedRow<'_>>)> {
        Table::ALL.into_iter().map(|table| (table, self.stages[table.index()].sorted()))
    }

    /// Returns the staged rows of a range, at least the first `limit` live ones, and the tombstones between them.
    fn staged_in_range(&self, table: Table, range: KeyRange<'_>) -> BTreeMap<Key, Staging> {
        let own = self.touched.iter().filter(|row| row.table == table && range.holds(&row.key));
        // Rows that this change removes may be among the first `limit`, so that many more are needed.
        let hidden = own.clone().filter(|row| row.value.is_none()).count();
        let wider = KeyRange { limit: range.limit.saturating_add(hidden), ..range };
        let mut staged = self.stages[table.index()].in_range(wider);
        staged.extend(own.map(|row| (row.key.clone(), row.value.clone())));
        staged
    }
}

impl<B: Rows> Rows for StagedRows<B> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        match self.staged(table, key) {
            Some(staged) => Ok(staged.clone()),
            None => self.base.get(table, key),
        }
    }

    fn read<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, RowsError> {
        match self.staged(table, key) {
            Some(staged) => staged.as_deref().map(|value| decode(table, key, value)).transpose(),
            None => self.base.read(table, key),
        }
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        let mut staged = self.staged_in_range(table, range);
        if staged.is_empty() {
            return self.base.range(table, range);
        }
        // Removed rows hide rows of the base, so that many more of the base may be needed to fill the limit.
        let hidden = staged.values().filter(|value| value.is_none()).count();
        let wider = KeyRange { limit: range.limit.saturating_add(hidden), ..range };
        for (key, value) in self.base.range(table, wider)? {
            staged.entry(key).or_insert(Some(value));
        }
        let present = staged.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
        if range.backwards {
            Ok(present.rev().take(range.limit).collect())
        } else {
            Ok(present.take(range.limit).collect())
        }
    }
}

impl<R: Rows + ?Sized> Rows for &R {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        (**self).get(table, key)
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        (**self).range(table, range)
    }
}

#[cfg(test)]
mod tests;
