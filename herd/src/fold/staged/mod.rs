//! Typed rows in memory, above a readable base. The fold works on them.
//!
//! # Decisions
//!
//! - **A row is read and decoded once, changed in place, and encoded once, when it is sealed.** Before, each change read,
//!   decoded, encoded and staged about ten rows, and that was eleven of its twelve microseconds. Rows stay for the next
//!   groups, until they take too much memory: [`StagedRows::shrink`].
//! - **A group that fails is dropped by dropping the rows in memory.** The base has all rows as they were sealed. Undoing
//!   single rows would need their old values, for something that happens once before a restart.
//! - **The sum of all rows changes when rows are sealed**, by their difference. So it does not matter how many changes
//!   touched a row in between, and sums do not depend on groups.

mod cells;
mod error;
mod range;
mod rows;

pub use cells::{Cells, Row, RowMaps, SealedRow, decode};
pub use error::RowsError;
pub use range::KeyRange;
pub(crate) use range::LayerValue;
pub(crate) use rows::merge_range;
pub use rows::{NoRows, Rows};

use crate::change::encode;
use crate::digest::{RowHasher, RowSum};
use crate::position::Sequence;
use crate::tables::{Key, Table};
use std::cell::RefCell;
use std::sync::Arc;

/// Encodes and hashes rows.
#[derive(Debug)]
pub(super) struct Sealer {
    hasher: RowHasher,
    sum: RowSum,
    /// A buffer that is reused to save allocations.
    scratch: Vec<u8>,
}

impl Sealer {
    fn encode<T: Row>(&mut self, row: &T) -> &[u8] {
        self.scratch.clear();
        self.scratch = encode(row, std::mem::take(&mut self.scratch));
        &self.scratch
    }
}

/// Rows of folded changes in memory, above a base.
#[derive(Debug)]
pub struct StagedRows<B> {
    base: B,
    /// In a cell, because reading adds rows too.
    maps: RefCell<RowMaps>,
    sealer: Sealer,
    folded: Sequence,
    sealed: Sequence,
}

impl<B: Rows> StagedRows<B> {
    /// Makes a stage without rows. `folded` and `sum` are those of the base.
    pub fn new(base: B, folded: Sequence, sum: RowSum) -> Self {
        let sealer = Sealer { hasher: RowHasher::default(), sum, scratch: Vec::new() };
        Self { base, maps: RefCell::default(), sealer, folded, sealed: folded }
    }

    /// Returns the last folded change.
    pub fn folded(&self) -> Sequence {
        self.folded
    }

    /// Returns the sum of all rows after the last sealed change.
    pub fn sum(&self) -> RowSum {
        self.sealer.sum
    }

    /// Ends the change `sequence`.
    pub(super) fn end_change(&mut self, sequence: Sequence) {
        self.folded = sequence;
    }

    /// Replaces the base by one with the same rows, or with those sealed since.
    pub fn rebase(&mut self, base: B) {
        self.base = base;
    }

    /// Returns the place of a row, to be written.
    fn place<T: Row>(&mut self, key: Key) -> Result<&mut LayerValue<Arc<T>>, RowsError> {
        T::cells_mut(self.maps.get_mut()).write_place(key, |key| self.base.get(T::TABLE, key))
    }

    /// Writes a row.
    pub fn write<T: Row>(&mut self, key: Key, row: T) -> Result<(), RowsError> {
        let place = self.replaced_place(key)?;
        match place.as_mut().and_then(Arc::get_mut) {
            Some(held) => *held = row,
            None => *place = Some(Arc::new(row)),
        }
        Ok(())
    }

    /// Removes a row.
    pub fn remove<T: Row>(&mut self, key: Key) -> Result<(), RowsError> {
        *self.replaced_place::<T>(key)? = None;
        Ok(())
    }

    /// Returns the place of a row whose value is replaced.
    fn replaced_place<T: Row>(&mut self, key: Key) -> Result<&mut LayerValue<Arc<T>>, RowsError> {
        if T::TABLE.is_index() {
            // What the base has of it does not matter.
            T::cells_mut(self.maps.get_mut()).write_place(key, |_| Ok(None))
        } else {
            self.place(key)
        }
    }

    /// Takes a row out, to be changed. The caller must put it back; until then there is no such row.
    pub fn take<T: Row>(&mut self, key: Key) -> Result<Option<Arc<T>>, RowsError> {
        Ok(self.place(key)?.take())
    }

    /// Puts a row back that was taken out.
    pub fn put_back<T: Row>(&mut self, key: Key, row: Arc<T>) -> Result<(), RowsError> {
        *self.replaced_place(key)? = Some(row);
        Ok(())
    }

    /// Changes a row in place. Returns `None` if there is no such row.
    pub fn edit<T: Row, R>(&mut self, key: Key, edit: impl FnOnce(&mut T) -> R) -> Result<Option<R>, RowsError> {
        Ok(self.place(key)?.as_mut().map(|row| edit(Arc::make_mut(row))))
    }

    /// Changes a row in place, or a default one if there is no such row.
    pub fn edit_or_default<T: Row + Default>(&mut self, key: Key, edit: impl FnOnce(&mut T)) -> Result<(), RowsError> {
        edit(Arc::make_mut(self.place(key)?.get_or_insert_default()));
        Ok(())
    }

    /// Returns the rows that were written since the last time, encoded, by table.
    pub fn seal(&mut self) -> Vec<SealedRow> {
        self.sealed = self.folded;
        self.maps.get_mut().seal(&mut self.sealer)
    }

    /// Drops what was folded since the last seal. The base must have all that was sealed.
    pub fn discard(&mut self) {
        self.maps = RefCell::default();
        self.folded = self.sealed;
    }

    /// Drops the rows in memory if they take more than about `max_bytes`. The base must have them all, sealed.
    pub fn shrink(&mut self, max_bytes: usize) {
        if self.maps.get_mut().bytes() > max_bytes {
            self.maps = RefCell::default();
        }
    }
}

impl<B: Rows> Rows for StagedRows<B> {
    fn get(&self, table: Table, key: &Key) -> Result<Option<Vec<u8>>, RowsError> {
        match self.maps.borrow().encoded(table, key) {
            Some(staged) => Ok(staged),
            None => self.base.get(table, key),
        }
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        let staged = self.maps.borrow().encoded_in_range(table, range);
        merge_range(staged, range, |wider| self.base.range(table, wider))
    }

    fn shared<T: Row>(&self, key: &Key) -> Result<Option<Arc<T>>, RowsError> {
        if let Some(staged) = T::cells(&self.maps.borrow()).get(key) {
            return Ok(staged);
        }
        let encoded = self.base.get(T::TABLE, key)?;
        T::cells_mut(&mut self.maps.borrow_mut()).load(key.clone(), encoded)
    }
}

#[cfg(test)]
mod tests;
