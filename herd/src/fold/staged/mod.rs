//! Rows staged above a readable base. The fold works on them before anything is written.

use crate::digest;
use crate::position::{Digest, Sequence};
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
    /// The first key that is too high; none for no bound.
    pub to: Option<&'a [u8]>,
    /// From the highest down.
    pub backwards: bool,
    /// At most so many rows.
    pub limit: usize,
}

impl KeyRange<'_> {
    fn holds(&self, key: &[u8]) -> bool {
        key >= self.from && self.to.is_none_or(|to| key < to)
    }
}

/// Why a row could not be read. The tables can always be rebuilt from the log.
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
    /// The row does not hold what its table says.
    #[error("cannot decode a row of table `{table}` (key {key}). The next start rebuilds the tables from the log")]
    Damaged {
        /// Name of the table.
        table: &'static str,
        /// Hexadecimal.
        key: String,
    },
}

/// Reads a row's value as its type.
pub fn decode<T: DeserializeOwned>(table: Table, key: &[u8], value: &[u8]) -> Result<T, RowsError> {
    postcard::from_bytes(value).map_err(|_| RowsError::Damaged { table: table.name(), key: hex::encode(key) })
}

/// No rows at all: the base of a store that begins.
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

/// A staged row: its key, and its value, or `None` where it is to be removed.
pub type StagedRow<'a> = (&'a Key, &'a Option<Vec<u8>>);

/// The staged rows of one table. Only tables that the fold reads in ranges pay for being kept in order.
#[derive(Debug)]
enum Stage {
    /// Seeded at random as the standard hasher is, and several times as fast on keys of a few dozen bytes.
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

    /// The staged rows of a range, as far as the first `limit` that are there: what lies beyond cannot be asked for.
    /// Rows staged as removed come with them, because they hide rows of the base.
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

/// Rows up to the one with which `limit` are present.
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

/// Rows written by changes that are folded and not yet in the file, above the rows that are.
#[derive(Debug)]
pub struct StagedRows<B> {
    base: B,
    stages: Vec<Stage>,
    /// Rows that the current change has written, each once. There are about ten, so a linear search is cheaper than hashing
    /// each, and a row that a change writes several times enters its stage only once.
    touched: Vec<TouchedRow>,
    folded: Sequence,
    digest: Digest,
    /// Kept to spare allocations: what is hashed, and what is encoded.
    scratch: Vec<u8>,
}

impl<B: Rows> StagedRows<B> {
    /// Stages nothing yet. `folded` and `digest` are those of the base.
    pub fn new(base: B, folded: Sequence, digest: Digest) -> Self {
        let stages = Table::ALL.into_iter().map(Stage::for_table).collect();
        Self { base, stages, touched: Vec::new(), folded, digest, scratch: Vec::new() }
    }

    /// The last change folded.
    pub fn folded(&self) -> Sequence {
        self.folded
    }

    /// The fold digest after it.
    pub fn digest(&self) -> Digest {
        self.digest
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

    /// Closes the change `sequence`: its rows go into the fold digest as it alone leaves them.
    pub fn end_change(&mut self, sequence: Sequence) {
        self.touched.sort_unstable_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
        let rows = self.touched.iter().map(|row| (row.table.number(), row.key.as_slice(), row.value.as_deref()));
        self.digest = digest::fold_next(self.digest, sequence, rows, &mut self.scratch);
        self.folded = sequence;
        for TouchedRow { table, key, value } in self.touched.drain(..) {
            self.stages[table.index()].insert(key, value);
        }
    }

    /// All rows staged by changes that are closed, by table and in the order of keys: what is to be written (`Some`) or
    /// removed (`None`).
    pub fn rows(&self) -> impl Iterator<Item = (Table, Vec<StagedRow<'_>>)> {
        Table::ALL.into_iter().map(|table| (table, self.stages[table.index()].sorted()))
    }

    /// The staged rows of a range; of the closed changes as far as the first `limit` that are there.
    fn staged_in_range(&self, table: Table, range: KeyRange<'_>) -> BTreeMap<Key, Staging> {
        let own = self.touched.iter().filter(|row| row.table == table && range.holds(&row.key));
        // A row that this change removed may be one of those that fill the limit: as many more are needed.
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
