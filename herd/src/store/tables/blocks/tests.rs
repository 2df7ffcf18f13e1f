use super::merge::MAX_BLOCK_BYTES;
use super::*;
use crate::digest::{RowHasher, RowSum};
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, backends::InMemoryBackend};
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
        // Rows of the tables before and after must stay as they are.
        for other in [Table::Totals, Table::TagOwners, Table::EventIds] {
            let mut blocks = transaction.open_table(ROWS).unwrap();
            blocks.insert(&*block_key(other, b"k"), b"\x01\x01kv".as_slice()).unwrap();
        }
        transaction.commit().unwrap();
        for group in groups {
            let before = database.begin_read().unwrap().open_table(ROWS).unwrap();
            let transaction = database.begin_write().unwrap();
            let mut blocks = transaction.open_table(ROWS).unwrap();
            let rows: BTreeMap<Key, Option<Vec<u8>>> = group
                .into_iter()
                .map(|(key, value)| {
                    let value = value.map(|(byte, length)| vec![byte; usize::from(length)]);
                    (Key::from(&key.to_be_bytes()[..]), value)
                })
                .collect();
            let (hasher, blocks_to_write) = (&mut RowHasher::default(), &mut blocks);
            let mut writer = BlockWriter { before: Some(&before), blocks: blocks_to_write, hasher, index: &mut index };
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
                let reader = Block::new(table, block).unwrap();
                let rows: Vec<_> = (0..reader.len()).map(|index| reader.row(index).unwrap()).collect();
                for (index, row) in rows.iter().enumerate() {
                    prop_assert_eq!(reader.place(row.key).unwrap(), index);
                }
                prop_assert_eq!(&first.value()[1..], rows[0].key);
                prop_assert!(block.len() <= MAX_BLOCK_BYTES || rows.len() == 1);
                found.extend(rows.iter().map(|row| (Key::from(row.key), row.value.to_vec())));
            }
            drop(blocks);
            transaction.commit().unwrap();
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
            prop_assert!(block.len() <= bytes.len());
            for start in 0..block.len() {
                drop((block.place(b"key"), block.row(start), block.stretch(start..block.len())));
            }
        }
    }
}

#[test]
fn lengths_read_back() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 70_000, u32::MAX as usize] {
        let mut bytes = Vec::new();
        push_length(&mut bytes, length);
        assert_eq!(take_length(&mut bytes.as_slice()), Some(length));
    }
}
