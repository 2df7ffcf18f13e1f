//! Rows packed into blocks: the rows of a table that follow one another, in the order of keys.
//!
//! ```text
//! key of a block   = table u8 || first key
//! value of a block = for each row: length of the key, length of the value (LEB128), key, value
//!                    for each row: its offset u16 LE
//!                    number of rows u16 LE
//! ```
//!
//! # Decisions
//!
//! - **A block is a page of redb.** With one row for each of ours, redb spent more on its tree than the fold on the change.
//! - **Blocks are filled if rows come at their end, and split evenly otherwise.** Animals come in the order of ids, tags in
//!   any order: a full block that is split into a full one and a rest would be split again by the next row.
//! - **Offsets at the end** make a search in a block a binary one. The rows of an index are short, 150 in a block.
//! - **Small blocks are not merged.** Rows are almost never removed. A block is removed with its last row.

mod merge;

pub(super) use merge::{BlockWriter, MergeError};

use crate::fold::RowsError;
use crate::tables::{Key, Table};
use redb::{AccessGuard, ReadOnlyTable};
use std::ops::Range;

/// Length of an offset, and of the number of rows.
const OFFSET_BYTES: usize = 2;

/// Blocks to read.
pub(super) type BlockTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
/// The key and the bytes of a block.
pub(super) type BlockGuard<'a> = (AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>);

/// Returns the key of the block that begins with this row.
pub(super) fn block_key(table: Table, key: &[u8]) -> Key {
    Key::of(&[&[table.number()], key])
}

fn push_length(to: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        to.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    to.push(u8::try_from(rest).unwrap_or_default());
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in (0..usize::BITS - 7).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

/// A row in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockRow<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// A block to read.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    table: Table,
    rows: &'a [u8],
    offsets: &'a [[u8; OFFSET_BYTES]],
}

impl<'a> Block<'a> {
    pub(super) fn new(table: Table, bytes: &'a [u8]) -> Result<Self, RowsError> {
        let parts = || {
            let (rest, count) = bytes.split_last_chunk::<OFFSET_BYTES>()?;
            let offsets = usize::from(u16::from_le_bytes(*count)) * OFFSET_BYTES;
            let (rows, offsets) = rest.split_at_checked(rest.len().checked_sub(offsets)?)?;
            Some(Self { table, rows, offsets: offsets.as_chunks().0 })
        };
        parts().ok_or_else(|| damaged(table))
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn row(&self, index: usize) -> Result<BlockRow<'a>, RowsError> {
        let take = || {
            let mut rest = self.rows.get(usize::from(u16::from_le_bytes(*self.offsets.get(index)?))..)?;
            let (key, value) = (take_length(&mut rest)?, take_length(&mut rest)?);
            let (key, rest) = rest.split_at_checked(key)?;
            Some(BlockRow { key, value: rest.get(..value)? })
        };
        take().ok_or_else(|| damaged(self.table))
    }

    /// Returns the number of rows with keys below `key`.
    pub(super) fn place(&self, key: &[u8]) -> Result<usize, RowsError> {
        self.place_after(0, key)
    }

    /// Returns the number of rows with keys below `key`. At least `from` of them are known to be.
    fn place_after(&self, mut from: usize, key: &[u8]) -> Result<usize, RowsError> {
        let mut to = self.offsets.len();
        while from < to {
            let middle = from.midpoint(to);
            if self.row(middle)?.key < key { from = middle + 1 } else { to = middle }
        }
        Ok(from)
    }

    fn empty(table: Table) -> Self {
        Self { table, rows: &[], offsets: &[] }
    }

    /// Returns some rows, of which there is at least one, as they are in the block, with their offsets.
    fn stretch(&self, rows: Range<usize>) -> Result<(&'a [[u8; OFFSET_BYTES]], &'a [u8]), RowsError> {
        let offset = |offset: &[u8; OFFSET_BYTES]| usize::from(u16::from_le_bytes(*offset));
        let end = self.offsets.get(rows.end).map_or(self.rows.len(), offset);
        let take = || {
            let offsets = self.offsets.get(rows).filter(|offsets| offsets.is_sorted_by_key(offset))?;
            Some((offsets, self.rows.get(offset(offsets.first()?)..end)?))
        };
        take().ok_or_else(|| damaged(self.table))
    }
}

fn damaged(table: Table) -> RowsError {
    RowsError::Damaged { table: table.name(), key: "of a block".to_owned() }
}

#[cfg(test)]
mod tests;
