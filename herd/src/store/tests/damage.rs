//! Stores whose tables are damaged.
//!
//! Catches a writer that goes on with tables that it cannot read, and tables that every start trusts although they failed
//! before.

use super::super::*;
use crate::change::Origin;
use crate::clock::{ClockReading, RawReading};
use crate::fold::{FOLD_VERSION, KeyRange, RowsError};
use crate::position::StoreId;
use crate::store::tables::{StoredState, TablesFile, TablesState};
use crate::tables::{Table, number_key};

const STORE: StoreId = StoreId([7; 16]);

fn opened(disk: &MemoryDisk) -> Store {
    Store::open_source(disk, Rules::default(), ClockReading { boot: 1, ..ClockReading::default() }, || STORE).unwrap()
}

fn incoming(text: &str) -> Incoming {
    Incoming { raw: text.as_bytes().to_vec(), origin: Origin::default(), at: RawReading::default() }
}

/// Replaces the row of an animal by an invalid one.
fn damage(disk: &MemoryDisk, animal: u64) {
    let file = TablesFile::open(disk, TABLES_FILE, TABLES_CACHE_BYTES).unwrap();
    let key = number_key(animal);
    let everything = KeyRange { from: &key, to: None, backwards: false, limit: 1 };
    assert_eq!(file.reader().unwrap().range(Table::Animals, everything).unwrap()[0].0, key);
    file.overwrite(Table::Animals, &key, Some(b"\xff")).unwrap();
}

#[test]
fn an_unreadable_row_stops_the_writer_and_the_next_one_rebuilds_the_tables() {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk);
    store.append(&[incoming("hxb:L1:A:U1")]).unwrap();
    store.settle().unwrap();
    let head = store.head();
    drop(store);
    damage(&disk, 2);

    let mut store = opened(&disk);
    assert_eq!(store.head(), head);
    let group = [incoming("hxb:L2:A:U1")];
    assert!(matches!(store.append(&group), Err(StoreError::Rows(RowsError::Damaged { table: "animals", .. }))));
    assert_eq!(store.head(), head, "nothing was kept");
    assert!(matches!(store.append(&group), Err(StoreError::Interrupted)));
    drop(store);

    let mut store = opened(&disk);
    assert_eq!(store.head(), head, "equal fold digest");
    let receipts = store.append(&group).unwrap();
    assert_eq!(receipts, [Receipt::Kept { sequence: Sequence(3) }]);
}

#[test]
fn tables_of_another_history_are_rebuilt() {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk);
    store.append(&[incoming("hxb:L1:A:U1")]).unwrap();
    store.settle().unwrap();
    let head = store.head();
    let right = *store.folding.here().unwrap().state();
    let wrong = [
        TablesState { store: StoreId([8; 16]), ..right },
        TablesState { fold_version: FOLD_VERSION + 1, ..right },
        TablesState { digest: Digest([1; 32]), ..right },
        TablesState { folded: Sequence(99), ..right },
    ];
    for state in wrong {
        let file = store.publisher.tables().file();
        let before = file.state().unwrap().unwrap();
        file.write_state(&StoredState { tables: state, ..before }).unwrap();
        drop(store);
        store = opened(&disk);
        assert_eq!(store.head(), head, "{state:?}");
    }
}
