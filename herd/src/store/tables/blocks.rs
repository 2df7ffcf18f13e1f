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

use crate::digest::{RowHasher, RowSum};
use crate::fold::RowsError;
use crate::tables::{Key, Table};
use redb::{ReadableTable, StorageError, Table as RedbTable};
use std::iter::Peekable;
use std::ops::Bound;

/// Maximum size of a block of several rows. With its key it fits into a page of redb, 4 KiB.
const MAX_BLOCK_BYTES: usize = 3_900;
/// Length of an offset, and of the number of rows.
const OFFSET_BYTES: usize = 2;
/// Size to which a block is split, so that each part has room.
const SPLIT_BLOCK_BYTES: usize = 2_600;

pub(super) type BlockTable<'a> = RedbTable<'a, &'static [u8], &'static [u8]>;

/// Returns the key of the block that begins with this row.
pub(super) fn block_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(1 + key.len());
    whole.push(table.number());
    whole.extend_from_slice(key);
    whole
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

fn length_bytes(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

/// A row in a block, or one to be put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockRow<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl BlockRow<'_> {
    fn bytes(&self) -> usize {
        let (key, value) = (self.key.len(), self.value.len());
        length_bytes(key) + length_bytes(value) + key + value + OFFSET_BYTES
    }

    fn push(&self, block: &mut Vec<u8>) {
        push_length(block, self.key.len());
        push_length(block, self.value.len());
        block.extend_from_slice(self.key);
        block.extend_from_slice(self.value);
    }
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
        let (mut from, mut to) = (0, self.offsets.len());
        while from < to {
            let middle = from.midpoint(to);
            if self.row(middle)?.key < key { from = middle + 1 } else { to = middle }
        }
        Ok(from)
    }

    /// Returns the value of a row.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<&'a [u8]>, RowsError> {
        let place = self.place(key)?;
        if place == self.offsets.len() {
            return Ok(None);
        }
        let row = self.row(place)?;
        Ok((row.key == key).then_some(row.value))
    }

    /// Iterates over the rows.
    pub(super) fn rows(self) -> impl Iterator<Item = Result<BlockRow<'a>, RowsError>> {
        (0..self.offsets.len()).map(move |index| self.row(index))
    }
}

fn damaged(table: Table) -> RowsError {
    RowsError::Damaged { table: table.name(), key: "of a block".to_owned() }
}

/// Why rows could not be merged into blocks.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// Merges rows into blocks.
pub(super) struct BlockWriter<'a, 'b> {
    pub(super) blocks: &'a mut BlockTable<'b>,
    pub(super) hasher: &'a mut RowHasher,
    /// The sum of all rows of index tables.
    pub(super) index: &'a mut RowSum,
}

/// A block to merge into: its key, its rows, and the first key that belongs into the next one.
#[derive(Default)]
struct Target {
    key: Option<Vec<u8>>,
    block: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl BlockWriter<'_, '_> {
    /// Merges rows of a table, in the order of keys. A row without a value is removed.
    pub(super) fn merge<'r>(
        &mut self,
        table: Table,
        rows: impl Iterator<Item = (&'r Key, Option<&'r [u8]>)>,
    ) -> Result<(), MergeError> {
        let mut rows = rows.peekable();
        while let Some((key, _)) = rows.peek() {
            let target = self.target(table, key)?;
            self.merge_block(table, &target, &mut rows)?;
        }
        Ok(())
    }

    /// Finds the block that the row belongs into.
    fn target(&self, table: Table, key: &[u8]) -> Result<Target, MergeError> {
        let whole = block_key(table, key);
        let start: &[u8] = &[table.number()];
        let found = self.blocks.range::<&[u8]>(start..=whole.as_slice())?.next_back().transpose()?;
        let first = found.map(|(first, _)| first.value().to_vec());
        // A row before the first block belongs into that one, if there is one.
        let from = first.as_deref().unwrap_or(&whole);
        let mut blocks = self.blocks.range::<&[u8]>((Bound::Included(from), Bound::Unbounded))?;
        let is_of_table = |key: &[u8]| key.first() == Some(&table.number());
        let mut target = Target::default();
        if let Some((key, block)) = blocks.next().transpose()?.filter(|(key, _)| is_of_table(key.value())) {
            target.key = Some(key.value().to_vec());
            target.block = block.value().to_vec();
            let next = blocks.next().transpose()?.filter(|(key, _)| is_of_table(key.value()));
            target.end = next.map(|(key, _)| key.value().to_vec());
        }
        Ok(target)
    }

    fn merge_block<'r>(
        &mut self,
        table: Table,
        target: &Target,
        new: &mut Peekable<impl Iterator<Item = (&'r Key, Option<&'r [u8]>)>>,
    ) -> Result<(), MergeError> {
        let belongs = |key: &[u8]| target.end.as_ref().is_none_or(|end| key < &end[1..]);
        let mut merged: Vec<BlockRow<'_>> = Vec::new();
        let mut appends = true;
        let old_rows = target.key.as_ref().map(|_| Block::new(table, &target.block)).transpose()?;
        for old in old_rows.into_iter().flat_map(Block::rows) {
            let old = old?;
            let mut is_replaced = false;
            while let Some((key, value)) = new.next_if(|(key, _)| &***key <= old.key) {
                is_replaced |= &**key == old.key;
                appends = false;
                self.put(table, key, value, &mut merged);
            }
            if !is_replaced {
                merged.push(old);
            } else if table.is_index() {
                self.index.remove(&self.hasher.hash(table.number(), old.key, old.value));
            }
        }
        while let Some((key, value)) = new.next_if(|(key, _)| belongs(key)) {
            self.put(table, key, value, &mut merged);
        }
        self.write(table, target.key.as_deref(), &merged, appends)?;
        Ok(())
    }

    fn put<'r>(&mut self, table: Table, key: &'r [u8], value: Option<&'r [u8]>, merged: &mut Vec<BlockRow<'r>>) {
        let Some(value) = value else { return };
        if table.is_index() {
            self.index.add(&self.hasher.hash(table.number(), key, value));
        }
        merged.push(BlockRow { key, value });
    }

    /// Writes rows in place of the block `old`.
    fn write(
        &mut self,
        table: Table,
        old: Option<&[u8]>,
        rows: &[BlockRow<'_>],
        appends: bool,
    ) -> Result<(), StorageError> {
        let first = rows.first().map(|row| block_key(table, row.key));
        if let Some(old) = old.filter(|old| first.as_deref() != Some(*old)) {
            self.blocks.remove(old)?;
        }
        let total: usize = rows.iter().map(BlockRow::bytes).sum();
        let target_bytes = match total {
            ..=MAX_BLOCK_BYTES => MAX_BLOCK_BYTES,
            _ if appends => MAX_BLOCK_BYTES,
            _ => total.div_ceil(total.div_ceil(SPLIT_BLOCK_BYTES)),
        };
        let mut rest = rows;
        while !rest.is_empty() {
            let mut bytes = OFFSET_BYTES;
            let mut fits = |row: &BlockRow<'_>| {
                bytes += row.bytes();
                bytes <= target_bytes
            };
            let count = rest.iter().take_while(|row| fits(row)).count().max(1);
            let (of_block, others) = rest.split_at(count);
            self.insert(table, of_block)?;
            rest = others;
        }
        Ok(())
    }

    fn insert(&mut self, table: Table, rows: &[BlockRow<'_>]) -> Result<(), StorageError> {
        let (mut block, mut offsets) = (Vec::with_capacity(MAX_BLOCK_BYTES), Vec::with_capacity(512));
        for row in rows {
            // A block of several rows is far shorter; the first row of any is at 0.
            offsets.extend_from_slice(&u16::try_from(block.len()).unwrap_or(u16::MAX).to_le_bytes());
            row.push(&mut block);
        }
        block.extend_from_slice(&offsets);
        block.extend_from_slice(&u16::try_from(rows.len()).unwrap_or(u16::MAX).to_le_bytes());
        let first = block_key(table, rows[0].key);
        self.blocks.insert(first.as_slice(), block.as_slice())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::{Database, TableDefinition, backends::InMemoryBackend};
    use std::collections::BTreeMap;

    const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

    fn group() -> impl Strategy<Value = Vec<(u16, Option<(u8, u16)>)>> {
        let value = prop::option::weighted(0.8, (any::<u8>(), prop_oneof![8 => 0..60_u16, 1 => 3_000..9_000_u16]));
        prop::collection::vec((0..400_u16, value), 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Catches a row that is lost where blocks are split or removed, blocks that overlap or grow, and an index sum that
        /// differs from the rows.
        #[test]
        fn blocks_hold_what_was_merged_into_them(groups in prop::collection::vec(group(), 1..8), table in 0..3_usize) {
            let table = [Table::Animals, Table::Members, Table::Collisions][table];
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            let (mut model, mut index) = (BTreeMap::new(), RowSum::default());
            let transaction = database.begin_write().unwrap();
            let mut blocks = transaction.open_table(ROWS).unwrap();
            // Rows of the tables before and after must stay as they are.
            for other in [Table::Totals, Table::TagOwners, Table::EventIds] {
                blocks.insert(block_key(other, b"k").as_slice(), b"\x01\x01kv".as_slice()).unwrap();
            }
            for group in groups {
                let rows: BTreeMap<Key, Option<Vec<u8>>> = group
                    .into_iter()
                    .map(|(key, value)| {
                        let value = value.map(|(byte, length)| vec![byte; usize::from(length)]);
                        (Key::from(&key.to_be_bytes()[..]), value)
                    })
                    .collect();
                let mut writer = BlockWriter { blocks: &mut blocks, hasher: &mut RowHasher::default(), index: &mut index };
                writer.merge(table, rows.iter().map(|(key, value)| (key, value.as_deref()))).unwrap();
                for (key, value) in rows {
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                let mut found = Vec::new();
                for block in blocks.iter().unwrap() {
                    let (first, block) = block.unwrap();
                    if first.value()[0] != table.number() {
                        prop_assert_eq!(block.value(), b"\x01\x01kv");
                        continue;
                    }
                    let block = block.value();
                    let rows: Vec<_> = Block::new(table, block).unwrap().rows().map(Result::unwrap).collect();
                    for row in &rows {
                        prop_assert_eq!(Block::new(table, block).unwrap().get(row.key).unwrap(), Some(row.value));
                    }
                    prop_assert_eq!(&first.value()[1..], rows[0].key);
                    prop_assert!(block.len() <= MAX_BLOCK_BYTES || rows.len() == 1);
                    found.extend(rows.iter().map(|row| (Key::from(row.key), row.value.to_vec())));
                }
                prop_assert!(found.iter().map(|(key, value)| (key, value)).eq(&model));
                let (mut sum, mut hasher) = (RowSum::default(), RowHasher::default());
                if table.is_index() {
                    for (key, value) in &model {
                        sum.add(&hasher.hash(table.number(), key, value));
                    }
                }
                prop_assert_eq!(index, sum);
            }
        }

        /// Catches a panic or an endless walk on a damaged block.
        #[test]
        fn any_bytes_are_read_as_a_block_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(block) = Block::new(Table::Animals, &bytes) {
                prop_assert!(block.rows().count() <= bytes.len());
                drop(block.get(b"key"));
            }
        }
    }

    #[test]
    fn lengths_read_back() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 70_000, u32::MAX as usize] {
            let mut bytes = Vec::new();
            push_length(&mut bytes, length);
            assert_eq!(bytes.len(), length_bytes(length), "{length}");
            assert_eq!(take_length(&mut bytes.as_slice()), Some(length));
        }
    }
}
