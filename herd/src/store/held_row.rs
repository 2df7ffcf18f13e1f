//! The row of the log that was looked into last.
//!
//! Questions look up changes that lie side by side: a page of payloads is fifty of one row. A row of 256 KiB is larger
//! than what redb's page cache keeps once it is full (it makes room within one of its 131 slots, which then holds this
//! page alone), so that each look-up would read the whole row from the file again.

use super::row::RowReader;
use super::{Sequence, StoreError};
use redb::AccessGuard;
use std::ops::Range;

/// A row, and where each of its changes lies.
pub(super) struct HeldRow {
    first: Sequence,
    last: Sequence,
    bytes: AccessGuard<'static, &'static [u8]>,
    places: Vec<Range<usize>>,
}

impl HeldRow {
    pub(super) fn new(first: Sequence, bytes: AccessGuard<'static, &'static [u8]>) -> Result<Self, StoreError> {
        let row = row_of(first, bytes.value())?;
        let (last, places) = (row.last(), row.places());
        Ok(Self { first, last, bytes, places })
    }

    pub(super) fn holds(&self, sequence: Sequence) -> bool {
        (self.first..=self.last).contains(&sequence)
    }

    /// The row to be read in order.
    pub(super) fn reader(&self) -> Result<RowReader<'_>, StoreError> {
        row_of(self.first, self.bytes.value())
    }

    /// The stored bytes of a change in it.
    pub(super) fn change(&self, sequence: Sequence) -> Result<&[u8], StoreError> {
        let index = sequence.0.checked_sub(self.first.0).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.places.get(index).cloned());
        let change = place.and_then(|place| self.bytes.value().get(place));
        change.ok_or(StoreError::DamagedLog { at: sequence, why: "its row is cut" })
    }
}

/// The bytes as a row.
pub(super) fn row_of(first: Sequence, bytes: &[u8]) -> Result<RowReader<'_>, StoreError> {
    RowReader::new(first, bytes).ok_or(StoreError::DamagedLog { at: first, why: "its row has no readable header" })
}
