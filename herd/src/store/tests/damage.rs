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
use std::time::{Duration, Instant};

const STORE: StoreId = StoreId([7; 16]);
/// Number of an animal that does not exist.
const PLANTED: u64 = 77;
/// Time after which a failure counts as unheard of.
const FAILURE_LIMIT: Duration = Duration::from_secs(60);

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

/// Returns whether the tables have the row that no fold made.
fn has_planted_row(store: &Store) -> bool {
    let key = number_key(PLANTED);
    let range = KeyRange { from: &key, to: None, backwards: false, limit: 1 };
    !store.publisher.tables().file().reader().unwrap().range(Table::Animals, range).unwrap().is_empty()
}

/// Catches a start that trusts tables of another log or fold, and one that folds good tables again. A row that no fold made
/// shows whether the tables were kept.
#[test]
fn tables_are_folded_again_if_they_are_of_another_history_or_fold_and_only_then() {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk);
    store.append(&[incoming("hxb:L1:A:U1")]).unwrap();
    store.settle().unwrap();
    let head = store.head();
    let right = *store.folding.here().unwrap().state();
    let states = [
        (TablesState { store: StoreId([8; 16]), ..right }, false),
        (TablesState { fold_version: FOLD_VERSION + 1, ..right }, false),
        (TablesState { fold_version: FOLD_VERSION - 1, ..right }, false),
        (TablesState { digest: Digest([1; 32]), ..right }, false),
        (right, true),
    ];
    for (state, is_kept) in states {
        let file = store.publisher.tables().file();
        let before = file.state().unwrap().unwrap();
        file.overwrite(Table::Animals, &number_key(PLANTED), Some(b"planted")).unwrap();
        file.write_state(&StoredState { tables: state, ..before }).unwrap();
        drop(store);
        store = opened(&disk);
        assert_eq!((store.head(), has_planted_row(&store)), (head.clone(), is_kept), "{state:?}");
    }
}

/// Catches a reader that meets damage and leaves it to the next one, and a start that fails because of tables.
#[test]
fn damage_that_a_reader_meets_discards_the_tables_and_stops_the_writer_for_a_new_start() {
    for panics in [false, true] {
        let disk = MemoryDisk::default().uncached();
        let mut store = opened(&disk);
        // Enough rows that a page of the file is read for them.
        let many: Vec<_> = (0..300).map(|n| incoming(&format!("hxb:L1:A{n}:U{n}"))).collect();
        store.append(&many).unwrap();
        store.settle().unwrap();
        let head = store.head();
        let snapshot = store.reader().snapshot().unwrap();
        assert!(if panics { disk.panic_once(TABLES_FILE) } else { disk.fail_reads(TABLES_FILE) });
        let everything = KeyRange { from: &[], to: None, backwards: false, limit: 9 };
        assert!(matches!(snapshot.range(Table::Animals, everything), Err(RowsError::Storage { .. })));
        assert!(store.check().is_err());
        assert!(!disk.holds(TABLES_FILE));
        drop((snapshot, store));
        assert_eq!(opened(&disk).head(), head, "folded again");
    }
}

/// Catches sound tables that are removed, and a whole log that is folded again, because a disk was full for a moment.
#[test]
fn reads_after_a_flush_that_found_no_room_are_no_damage() {
    let disk = MemoryDisk::default().uncached();
    let mut store = opened(&disk);
    let scans = |from: usize| (from..from + 300).map(|n| incoming(&format!("hxb:L1:A{n}:U{n}"))).collect::<Vec<_>>();
    store.append(&scans(0)).unwrap();
    store.settle().unwrap();
    store.append(&scans(300)).unwrap();
    assert!(disk.keep_length(TABLES_FILE));
    store.step_flush().unwrap();
    assert!(store.step_flush().is_err(), "there is no room");
    let everything = KeyRange { from: &[], to: None, backwards: false, limit: 9 };
    let snapshot = store.reader().snapshot();
    let read = snapshot.map(|snapshot| snapshot.range(Table::Animals, everything).map(drop));
    assert!(
        matches!(read, Err(StoreError::Rows(RowsError::Closed { .. })) | Ok(Err(RowsError::Closed { .. }))),
        "{read:?}"
    );
    assert!(store.check().is_err());
    assert!(disk.holds(TABLES_FILE));
}

/// Catches a start that ends, again and again, because the tables that it opens cannot be read.
#[test]
fn a_start_that_finds_damaged_tables_folds_them_again_by_itself() {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk);
    store.append(&[incoming("hxb:L1:A:U1")]).unwrap();
    store.settle().unwrap();
    // The log is ahead of the tables by a read of the animal whose row is damaged.
    store.append(&[incoming("hxb:L2:A:U1")]).unwrap();
    let head = store.head();
    drop(store);
    damage(&disk, 2);
    assert_eq!(opened(&disk).head(), head);
    // Each page of the file, one after the other.
    let content = disk.content(TABLES_FILE).unwrap();
    for page in (0..content.len()).step_by(4_096) {
        let (damaged, mut bytes) = (disk.after_kill(), content.clone());
        bytes[page..(page + 4_096).min(content.len())].fill(0xa5);
        assert!(damaged.overwrite(TABLES_FILE, &bytes));
        let mut store = opened(&damaged);
        assert_eq!(store.head(), head, "page {page}");
        // What is damaged may be read first by a payload or by a flush, which the start after it mends.
        let mut goes_on = false;
        for _ in 0..2 {
            goes_on = store.append(&[incoming("hxb:L3:A:U1")]).is_ok() && store.settle().is_ok();
            drop(store);
            store = opened(&damaged);
        }
        assert!(goes_on, "page {page}");
    }
}

/// Catches rows that count although nothing says which changes they are of.
#[test]
fn tables_whose_state_cannot_be_read_are_folded_again() {
    let disk = MemoryDisk::default();
    let mut store = opened(&disk);
    store.append(&[incoming("hxb:L1:A:U1")]).unwrap();
    store.settle().unwrap();
    let head = store.head();
    let file = store.publisher.tables().file();
    file.overwrite(Table::Animals, &number_key(PLANTED), Some(b"planted")).unwrap();
    drop(store);
    let database = disk.open(TABLES_FILE, 0).unwrap();
    let writing = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    writing.open_table(meta).unwrap().insert("state", &b"\xff"[..]).unwrap();
    writing.commit().unwrap();
    drop(database);
    let store = opened(&disk);
    assert_eq!((store.head(), has_planted_row(&store)), (head, false));
}

/// Catches a fold that ended on a row that it cannot decode, and of which the next change is the first to tell.
#[test]
fn a_fold_that_ended_on_a_damaged_row_is_heard_of_without_a_next_change() {
    let mut source = opened(&MemoryDisk::default());
    let disk = MemoryDisk::default().with_flushes(20_000, Background::Threads).with_unfolded(200);
    let follow = |source: &Store| {
        let mut copy = Store::open_replica(&disk, STORE).unwrap();
        copy.apply(source.reader().run_after(copy.head().position, 10, 1 << 20).unwrap()).unwrap();
        copy
    };
    source.append(&[incoming("hxb:L1:A:U1")]).unwrap();
    follow(&source).settle().unwrap();
    damage(&disk, 2);
    source.append(&[incoming("hxb:L2:A:U1")]).unwrap();
    let mut copy = follow(&source);
    let limit = Instant::now() + FAILURE_LIMIT;
    let error = loop {
        match copy.check() {
            Ok(()) => assert!(Instant::now() < limit, "nobody hears of the failure"),
            Err(error) => break error,
        }
        std::thread::yield_now();
    };
    assert!(matches!(error, StoreError::Rows(RowsError::Damaged { table: "animals", .. })), "{error:?}");
}
