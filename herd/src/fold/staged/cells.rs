//! Typed rows of one table in memory.

use super::Sealer;
use super::error::RowsError;
use super::range::{KeyRange, LayerValue};
use crate::change::encode;
use crate::digest::RowHash;
use crate::tables::{
    Amendments, Animal, Batch, Collisions, CorrectionKey, Counter, EraStart, EventIdBlock, Gap, Key, LatestBatch,
    LidOwner, Member, ReaderEra, ReadmittedPayload, RejectedRow, RejectionHour, Table, TagOwner, Totals,
};
use foldhash::fast::RandomState;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashMap, btree_map, hash_map};
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

/// The part of a row in the sum of all rows.
#[derive(Debug)]
enum InSum {
    Absent,
    Hashed(RowHash),
    /// Bytes of the row as the base has it. Most rows that are loaded are never written, and need no hash.
    Encoded(Vec<u8>),
}

/// A row in memory.
#[derive(Debug)]
struct Cell<T> {
    /// `None` if there is no such row.
    value: Option<Arc<T>>,
    in_sum: InSum,
    /// True if the row was written since the last seal.
    is_dirty: bool,
}

impl<T: Row> Cell<T> {
    /// Makes a row as the base has it.
    fn loaded(key: &[u8], encoded: Option<Vec<u8>>) -> Result<Self, RowsError> {
        let value = encoded.as_deref().map(|encoded| decode(key, encoded).map(Arc::new)).transpose()?;
        let in_sum = encoded.filter(|_| !T::TABLE.is_index()).map_or(InSum::Absent, InSum::Encoded);
        Ok(Self { value, in_sum, is_dirty: false })
    }
}

/// Rows by key. They are kept in order only if the fold reads ranges of the table.
#[derive(Debug)]
enum CellMap<T> {
    /// The hasher is seeded at random, like the standard one, and several times as fast on keys of a few dozen bytes.
    Hashed(HashMap<Key, Cell<T>, RandomState>),
    Ordered(BTreeMap<Key, Cell<T>>),
}

/// Rows of one table.
#[derive(Debug)]
pub struct Cells<T> {
    map: CellMap<T>,
    dirty: Vec<Key>,
    /// Estimate of the memory that the rows take.
    bytes: usize,
}

impl<T: Row> Default for Cells<T> {
    fn default() -> Self {
        Self { map: Self::empty(), dirty: Vec::new(), bytes: 0 }
    }
}

impl<T: Row> Cells<T> {
    /// Estimate for a row without long lists: the types hold texts on the heap, about as large as themselves.
    const CELL_BYTES: usize = size_of::<Cell<T>>() + 2 * size_of::<T>() + 64;

    fn empty() -> CellMap<T> {
        if T::TABLE == Table::Gaps { CellMap::Ordered(BTreeMap::new()) } else { CellMap::Hashed(HashMap::default()) }
    }

    fn cell(&self, key: &Key) -> Option<&Cell<T>> {
        match &self.map {
            CellMap::Hashed(cells) => cells.get(key),
            CellMap::Ordered(cells) => cells.get(key),
        }
    }

    /// Returns the value of a row, or `None` if the base decides.
    pub(super) fn get(&self, key: &Key) -> Option<LayerValue<Arc<T>>> {
        self.cell(key).map(|cell| cell.value.clone())
    }

    /// Adds a row as the base has it, and returns it.
    pub(super) fn load(&mut self, key: Key, encoded: Option<Vec<u8>>) -> Result<LayerValue<Arc<T>>, RowsError> {
        let cell = Cell::loaded(&key, encoded)?;
        let value = cell.value.clone();
        self.bytes += Self::CELL_BYTES;
        match &mut self.map {
            CellMap::Hashed(cells) => drop(cells.insert(key, cell)),
            CellMap::Ordered(cells) => drop(cells.insert(key, cell)),
        }
        Ok(value)
    }

    /// Returns the place of a row, to be written. A row that is not in memory is first loaded with `read`.
    pub(super) fn write_place(
        &mut self,
        key: Key,
        read: impl FnOnce(&Key) -> Result<Option<Vec<u8>>, RowsError>,
    ) -> Result<&mut LayerValue<Arc<T>>, RowsError> {
        let bytes = &mut self.bytes;
        let load = |key: &Key| {
            *bytes += Self::CELL_BYTES;
            Cell::loaded(key, read(key)?)
        };
        let cell = match &mut self.map {
            CellMap::Hashed(cells) => match cells.entry(key.clone()) {
                hash_map::Entry::Occupied(cell) => cell.into_mut(),
                hash_map::Entry::Vacant(place) => place.insert(load(&key)?),
            },
            CellMap::Ordered(cells) => match cells.entry(key.clone()) {
                btree_map::Entry::Occupied(cell) => cell.into_mut(),
                btree_map::Entry::Vacant(place) => place.insert(load(&key)?),
            },
        };
        if !std::mem::replace(&mut cell.is_dirty, true) {
            self.dirty.push(key);
        }
        Ok(&mut cell.value)
    }

    /// Encodes the rows that were written since the last time, and brings the sum up to them.
    pub(super) fn seal(&mut self, sealer: &mut Sealer, rows: &mut Vec<SealedRow>) {
        for key in std::mem::take(&mut self.dirty) {
            let cell = match &mut self.map {
                CellMap::Hashed(cells) => cells.get_mut(&key),
                CellMap::Ordered(cells) => cells.get_mut(&key),
            };
            let Some(cell) = cell else { continue };
            cell.is_dirty = false;
            let value: Option<Arc<[u8]>> = cell.value.as_ref().map(|row| Arc::from(sealer.encode(&**row)));
            if !T::TABLE.is_index() {
                let mut hash = |value: &[u8]| sealer.hasher.hash(T::TABLE.number(), &key, value);
                let before = match &cell.in_sum {
                    InSum::Absent => None,
                    InSum::Hashed(row) => Some(*row),
                    InSum::Encoded(value) => Some(hash(value)),
                };
                let after = value.as_deref().map(hash);
                cell.in_sum = after.map_or(InSum::Absent, InSum::Hashed);
                if before == after {
                    continue;
                }
                if let Some(row) = &before {
                    sealer.sum.remove(row);
                }
                if let Some(row) = &after {
                    sealer.sum.add(row);
                }
            }
            let long = value.as_ref().map_or(0, |value| value.len()).saturating_sub(size_of::<T>());
            self.bytes += long;
            rows.push(SealedRow { table: T::TABLE, key, value });
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes a row, or returns `None` if the base decides.
    fn encoded(&self, key: &Key) -> Option<LayerValue<Vec<u8>>> {
        self.cell(key).map(|cell| cell.value.as_ref().map(|row| encode(&**row, Vec::new())))
    }

    /// Returns the rows of a range, at least the first `limit` that exist, and those between them that do not.
    ///
    /// The latter are needed because they hide rows of the base.
    fn encoded_in_range(&self, range: KeyRange<'_>) -> BTreeMap<Key, LayerValue<Vec<u8>>> {
        match &self.map {
            CellMap::Hashed(cells) => collect(cells.iter().filter(|(key, _)| range.holds(key)), usize::MAX),
            CellMap::Ordered(_) if range.to.is_some_and(|to| to <= range.from) => BTreeMap::new(),
            CellMap::Ordered(cells) => {
                let to = range.to.map_or(Bound::Unbounded, Bound::Excluded);
                let cells = cells.range::<[u8], _>((Bound::Included(range.from), to));
                if range.backwards { collect(cells.rev(), range.limit) } else { collect(cells, range.limit) }
            }
        }
    }
}

/// Returns the rows up to number `limit` of those that exist.
fn collect<'a, T: Row>(
    cells: impl Iterator<Item = (&'a Key, &'a Cell<T>)>,
    limit: usize,
) -> BTreeMap<Key, LayerValue<Vec<u8>>> {
    let mut missing = limit;
    let mut taken = BTreeMap::new();
    for (key, cell) in cells {
        if missing == 0 {
            break;
        }
        missing -= usize::from(cell.value.is_some());
        taken.insert(key.clone(), cell.value.as_ref().map(|row| encode(&**row, Vec::new())));
    }
    taken
}

/// Decodes the value of a row.
pub fn decode<T: Row>(key: &[u8], value: &[u8]) -> Result<T, RowsError> {
    postcard::from_bytes(value).map_err(|_| RowsError::Damaged { table: T::TABLE.name(), key: hex::encode(key) })
}

/// A row that was written, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: Key,
    /// Its value, or `None` if the row was removed.
    pub value: Option<Arc<[u8]>>,
}

/// A type of row.
pub trait Row: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its table.
    const TABLE: Table;

    /// Returns the rows of this type.
    fn cells(maps: &RowMaps) -> &Cells<Self>;

    /// Returns the rows of this type.
    fn cells_mut(maps: &mut RowMaps) -> &mut Cells<Self>;
}

macro_rules! row_maps {
    ($($table:ident, $cells:ident: $row:ty;)*) => {
        /// Rows of all tables.
        #[derive(Debug, Default)]
        pub struct RowMaps {
            $($cells: Cells<$row>,)*
        }

        impl RowMaps {
            /// Seals all tables, in the order of their numbers.
            pub(super) fn seal(&mut self, sealer: &mut Sealer) -> Vec<SealedRow> {
                let mut rows = Vec::with_capacity(0 $(+ self.$cells.dirty.len())*);
                $(self.$cells.seal(sealer, &mut rows);)*
                rows
            }

            pub(super) fn bytes(&self) -> usize {
                0 $(+ self.$cells.bytes())*
            }

            /// Encodes a row, or returns `None` if the base decides.
            pub(super) fn encoded(&self, table: Table, key: &Key) -> Option<LayerValue<Vec<u8>>> {
                match table {
                    $(Table::$table => self.$cells.encoded(key),)*
                }
            }

            /// Encodes the rows of a range; see [`Cells`].
            pub(super) fn encoded_in_range(&self, table: Table, range: KeyRange<'_>) -> BTreeMap<Key, LayerValue<Vec<u8>>> {
                match table {
                    $(Table::$table => self.$cells.encoded_in_range(range),)*
                }
            }
        }

        $(impl Row for $row {
            const TABLE: Table = Table::$table;

            fn cells(maps: &RowMaps) -> &Cells<Self> {
                &maps.$cells
            }

            fn cells_mut(maps: &mut RowMaps) -> &mut Cells<Self> {
                &mut maps.$cells
            }
        })*
    };
}

row_maps! {
    Totals, totals: Totals;
    Animals, animals: Animal;
    TagOwners, tag_owners: TagOwner;
    Lids, lids: LidOwner;
    Batches, batches: Batch;
    LatestBatches, latest_batches: LatestBatch;
    Members, members: Member;
    EventIds, event_ids: EventIdBlock;
    Counters, counters: Counter;
    Gaps, gaps: Gap;
    Rejected, rejected: RejectedRow;
    RejectionHours, rejection_hours: RejectionHour;
    ReaderEras, reader_eras: ReaderEra;
    Amendments, amendments: Amendments;
    CorrectionKeys, correction_keys: CorrectionKey;
    Collisions, collisions: Collisions;
    EraStarts, era_starts: EraStart;
    Readmissions, readmissions: ReadmittedPayload;
}
