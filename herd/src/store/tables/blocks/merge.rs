//! Merges rows into blocks.
//!
//! Rows of a block that stay as they are keep their bytes, too: a merge copies whole stretches of them, and decodes only
//! what a search for the place of a new row needs.

use super::{Block, BlockGuard, BlockTable, OFFSET_BYTES, block_key, damaged, push_length, take_length};
use crate::digest::{RowHasher, RowSum};
use crate::fold::RowsError;
use crate::tables::{Key, Table};
use redb::{Cursor, CursorError, ReadableTable, StorageError, Table as RedbTable};
use std::iter::Peekable;
use std::ops::{Bound, Range};

/// Maximum size of a block of several rows. With its key it fits into a page of redb, 4 KiB.
pub(super) const MAX_BLOCK_BYTES: usize = 3_900;
/// Size to which a block is split, so that each part has room.
const SPLIT_BLOCK_BYTES: usize = 2_600;

/// Why rows could not be merged into blocks.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum MergeError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// The blocks before a merge, visited in the order of keys.
struct OldBlocks<'a> {
    table: Table,
    blocks: Option<&'a BlockTable>,
    /// Stands after `following`.
    cursor: Option<Cursor<'a, &'static [u8], &'static [u8]>>,
    current: Option<BlockGuard<'a>>,
    /// The block after `current`.
    following: Option<BlockGuard<'a>>,
}

impl<'a> OldBlocks<'a> {
    fn new(table: Table, blocks: Option<&'a BlockTable>) -> Self {
        Self { table, blocks, cursor: None, current: None, following: None }
    }

    /// Makes the block current that a row belongs into, if there is one. Its key is above those before.
    fn visit(&mut self, key: &[u8]) -> Result<(), StorageError> {
        // If most blocks get rows, it is the following one.
        self.current = self.following.take();
        self.step()?;
        if self.current.is_some() && self.holds(key) {
            return Ok(());
        }
        let Some(blocks) = self.blocks else { return Ok(()) };
        let whole = block_key(self.table, key);
        let mut cursor = blocks.upper_bound(Bound::Included(&*whole))?;
        self.current = cursor.peek_prev()?.filter(|block| self.is_of_table(block));
        self.cursor = Some(cursor);
        self.step()?;
        if self.current.is_none() {
            // A row before the first block belongs into that one.
            self.current = self.following.take();
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), StorageError> {
        let next = self.cursor.as_mut().map(Cursor::next).transpose()?.flatten();
        self.following = next.filter(|block| self.is_of_table(block));
        Ok(())
    }

    fn is_of_table(&self, block: &BlockGuard<'_>) -> bool {
        block.0.value().first() == Some(&self.table.number())
    }

    /// Returns whether a row, which comes after those before, belongs into the current block.
    fn holds(&self, key: &[u8]) -> bool {
        self.following.as_ref().is_none_or(|(first, _)| key < &first.value()[1..])
    }
}

/// Rows that will be one block or several.
#[derive(Default)]
struct BlockRows {
    /// The rows as they are in a block.
    rows: Vec<u8>,
    /// Offset of each of them.
    starts: Vec<usize>,
}

impl BlockRows {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.starts.push(self.rows.len());
        push_length(&mut self.rows, key.len());
        push_length(&mut self.rows, value.len());
        self.rows.extend_from_slice(key);
        self.rows.extend_from_slice(value);
    }

    /// Adds rows of a block as they are.
    fn copy(&mut self, block: &Block<'_>, rows: Range<usize>) -> Result<(), RowsError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (offsets, bytes) = block.stretch(rows)?;
        let (first, start) = (usize::from(u16::from_le_bytes(offsets[0])), self.rows.len());
        self.starts.extend(offsets.iter().map(|offset| start + usize::from(u16::from_le_bytes(*offset)) - first));
        self.rows.extend_from_slice(bytes);
        Ok(())
    }

    /// Returns the number of rows.
    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns the key of a row, or `None` if there is no such row.
    fn key(&self, row: usize) -> Option<&[u8]> {
        let mut rest = self.rows.get(*self.starts.get(row)?..)?;
        let (key, _value) = (take_length(&mut rest)?, take_length(&mut rest)?);
        rest.get(..key)
    }

    /// Returns where a row ends.
    fn end(&self, row: usize) -> usize {
        self.starts.get(row + 1).copied().unwrap_or(self.rows.len())
    }

    /// Returns the size of all rows with their offsets.
    fn bytes(&self) -> usize {
        self.rows.len() + self.len() * OFFSET_BYTES
    }

    /// Returns how many rows from `first` on fit into a block: at least one.
    fn count(&self, first: usize, block_bytes: usize) -> usize {
        let fits = |row: &usize| {
            OFFSET_BYTES + self.end(*row) - self.starts[first] + (row + 1 - first) * OFFSET_BYTES <= block_bytes
        };
        (first..self.len()).take_while(fits).count().max(1)
    }

    /// Makes a block of some rows.
    fn block(&self, rows: Range<usize>) -> Vec<u8> {
        let start = self.starts[rows.start];
        let mut block = Vec::with_capacity(MAX_BLOCK_BYTES);
        block.extend_from_slice(&self.rows[start..self.end(rows.end - 1)]);
        for row in &self.starts[rows.clone()] {
            // A block of several rows is far shorter; the first row of any is at 0.
            block.extend_from_slice(&u16::try_from(row - start).unwrap_or(u16::MAX).to_le_bytes());
        }
        block.extend_from_slice(&u16::try_from(rows.len()).unwrap_or(u16::MAX).to_le_bytes());
        block
    }
}

/// Merges rows into blocks.
pub(in super::super) struct BlockWriter<'a, 'b> {
    /// The blocks before the transaction that writes. Each is read once, before its place is written.
    pub(in super::super) before: Option<&'a BlockTable>,
    pub(in super::super) blocks: &'a mut RedbTable<'b, &'static [u8], &'static [u8]>,
    pub(in super::super) hasher: &'a mut RowHasher,
    /// The sum of all rows of index tables.
    pub(in super::super) index: &'a mut RowSum,
}

impl BlockWriter<'_, '_> {
    /// Merges rows of a table, in the order of keys. A row without a value is removed.
    pub(in super::super) fn merge<'r>(
        &mut self,
        table: Table,
        rows: impl Iterator<Item = (&'r Key, Option<&'r [u8]>)>,
    ) -> Result<(), MergeError> {
        let mut rows = rows.peekable();
        let mut old = OldBlocks::new(table, self.before);
        while let Some((key, _)) = rows.peek() {
            old.visit(key)?;
            self.merge_block(&old, &mut rows)?;
        }
        Ok(())
    }

    /// Merges the next rows into the block that they belong into.
    fn merge_block<'r>(
        &mut self,
        old: &OldBlocks<'_>,
        new: &mut Peekable<impl Iterator<Item = (&'r Key, Option<&'r [u8]>)>>,
    ) -> Result<(), MergeError> {
        let table = old.table;
        let block = match &old.current {
            Some((_, block)) => Block::new(table, block.value())?,
            None => Block::empty(table),
        };
        let (mut merged, mut taken, mut appends) = (BlockRows::default(), 0, true);
        while let Some((key, value)) = new.next_if(|(key, _)| old.holds(key)) {
            let place = block.place_after(taken, key)?;
            merged.copy(&block, taken..place)?;
            taken = place;
            if place < block.len() {
                appends = false;
                let row = block.row(place)?;
                if row.key == &**key {
                    taken += 1;
                    if table.is_index() {
                        self.index.remove(&self.hasher.hash(table.number(), row.key, row.value));
                    }
                }
            }
            if let Some(value) = value {
                merged.push(key, value);
                if table.is_index() {
                    self.index.add(&self.hasher.hash(table.number(), key, value));
                }
            }
        }
        merged.copy(&block, taken..block.len())?;
        self.write(table, old.current.as_ref().map(|(key, _)| key.value()), &merged, appends)
    }

    /// Writes rows in place of the block `old`.
    fn write(&mut self, table: Table, old: Option<&[u8]>, rows: &BlockRows, appends: bool) -> Result<(), MergeError> {
        let block_bytes = match rows.bytes() {
            ..=MAX_BLOCK_BYTES => MAX_BLOCK_BYTES,
            _ if appends => MAX_BLOCK_BYTES,
            total => total.div_ceil(total.div_ceil(SPLIT_BLOCK_BYTES)),
        };
        let key_of = |row| rows.key(row).map(|key| block_key(table, key));
        let mut written = 0;
        if let Some(old) = old {
            if key_of(0).is_some_and(|key| &*key == old) {
                written = rows.count(0, block_bytes);
                self.blocks.insert(old, rows.block(0..written).as_slice())?;
            } else {
                self.blocks.remove(old)?;
            }
        }
        let Some(next) = key_of(written) else { return Ok(()) };
        // The others follow one another. A cursor has redb build their pages at once, instead of anew for each.
        let mut cursor = self.blocks.upper_bound_mut(Bound::Included(&*next))?;
        while let Some(key) = key_of(written) {
            let end = written + rows.count(written, block_bytes);
            cursor.insert_before(&*key, rows.block(written..end).as_slice()).map_err(|error| match error {
                CursorError::Storage(error) => MergeError::Storage(error),
                _ => damaged(table).into(),
            })?;
            written = end;
        }
        Ok(cursor.close()?)
    }
}
