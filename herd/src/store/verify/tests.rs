//! Each of these catches a verification that trusts stored digests.

use super::*;
use crate::change::Origin;
use crate::clock::{ClockReading, RawReading};
use crate::decide::Rules;
use crate::position::StoreId;
use crate::store::{Incoming, JOURNAL_FILE, LOG_FILE, MemoryDisk, Store};
use crate::tables::{number_key, pair_key};
use redb::{ReadableDatabase, TableDefinition};

const CHANGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("changes");
const EPOCHS: TableDefinition<'static, u32, u64> = TableDefinition::new("epochs");

fn incoming(n: u64) -> Incoming {
    Incoming {
        raw: format!("hxb:LOT{}:LF{n}:UHF{n}", n % 3).into_bytes(),
        origin: Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() },
        at: RawReading { since_boot_ms: n * 1_000, ..RawReading::default() },
    }
}

/// A source with 40 animals in three batches, and its closed disk.
fn filled() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let mut store = Store::open_source(&disk, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    for group in 0..4 {
        let group: Vec<_> = (0..10).map(|n| incoming(group * 10 + n)).collect();
        store.append(&group).unwrap();
        // A row of its own in the log.
        store.settle().unwrap();
    }
    disk
}

fn verify(disk: &MemoryDisk) -> Result<VerifyOutcome, VerifyError> {
    verify_disk(disk, &mut |_| {})
}

/// Verifies a damaged log, and returns the rows that are named.
fn damaged_rows(disk: &MemoryDisk) -> Vec<(u64, u64)> {
    match verify(disk) {
        Err(VerifyError::Damaged { rows }) => rows.iter().map(|row| (row.first.0, row.last.0)).collect(),
        other => panic!("{other:?}"),
    }
}

/// Catches a report that depends on how much of the tables a running barn has written to its file.
#[test]
fn a_running_store_and_its_closed_files_give_the_same_report() {
    let disk = MemoryDisk::default();
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let mut store = Store::open_source(&disk, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    store.append(&(0..10).map(incoming).collect::<Vec<_>>()).unwrap();
    let running = verify_reader(&store.reader(), &mut |_| {}).unwrap();
    store.settle().unwrap();
    let settled = verify_reader(&store.reader(), &mut |_| {}).unwrap();
    drop(store);
    assert!(matches!(running.tables, TablesVerdict::Equal { rows: 14, .. }), "{running:?}");
    assert_eq!((&running, &settled), (&settled, &verify(&disk).unwrap()));
}

fn alter_row(disk: &MemoryDisk, first: u64, alter: impl FnOnce(&mut Vec<u8>)) {
    let database = disk.open(LOG_FILE, 0).unwrap();
    let mut row = {
        let reading = database.begin_read().unwrap().open_table(CHANGES).unwrap();
        reading.get(first).unwrap().unwrap().value().to_vec()
    };
    alter(&mut row);
    let writing = database.begin_write().unwrap();
    writing.open_table(CHANGES).unwrap().insert(first, row.as_slice()).unwrap();
    writing.commit().unwrap();
}

#[test]
fn a_whole_store_is_proved_and_left_as_it_was() {
    let disk = filled();
    let mut seen = Vec::new();
    let verified = verify_disk(&disk, &mut |progress| seen.push(progress.phase)).unwrap();
    assert_eq!(verified.head.sequence, Sequence(41));
    assert!(matches!(verified.tables, TablesVerdict::Equal { folded: Sequence(41), rows: 44, .. }), "{verified:?}");
    assert!([Phase::Chain, Phase::Rows].iter().all(|phase| seen.contains(phase)));
    assert_eq!(verify(&disk).unwrap(), verified);
}

#[test]
fn a_store_is_proved_while_its_writer_goes_on() {
    let disk = MemoryDisk::default();
    let mut store = Store::open_source(&disk, Rules::default(), ClockReading::default(), || StoreId([7; 16])).unwrap();
    store.append(&[incoming(1)]).unwrap();
    let reader = store.reader();
    let mut next = 2;
    let verified = verify_reader(&reader, &mut |_| {
        store.append(&[incoming(next)]).unwrap();
        next += 1;
    });
    assert!(next > 3);
    assert!(matches!(verified.unwrap().tables, TablesVerdict::Equal { .. }));
}

/// Catches a verification that leaves out what only the journal holds, and one that writes.
#[test]
fn changes_that_only_the_journal_holds_are_proved_and_stay_there() {
    let disk = filled();
    let clock = ClockReading { boot: 2, ..ClockReading::default() };
    let mut store = Store::open_source(&disk, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    store.append(&[incoming(41)]).unwrap();
    drop(store);
    let journal = disk.content(JOURNAL_FILE);
    for _ in 0..2 {
        assert_eq!(verify(&disk).unwrap().head.sequence, Sequence(42));
        assert_eq!(disk.content(JOURNAL_FILE), journal);
    }
}

#[test]
fn one_altered_bit_of_a_change_is_found_although_the_row_carries_its_old_digest() {
    let disk = filled();
    alter_row(&disk, 12, |row| *row.last_mut().unwrap() ^= 1);
    assert_eq!(damaged_rows(&disk), [(12, 21)]);
}

#[test]
fn an_altered_digest_at_the_end_of_the_log_is_found() {
    let disk = filled();
    alter_row(&disk, 32, |row| row[40] ^= 1);
    let by_journal = verify(&disk);
    assert!(matches!(by_journal, Err(VerifyError::Store(StoreError::DamagedLog { .. }))), "{by_journal:?}");
    disk.remove(JOURNAL_FILE).unwrap();
    assert_eq!(damaged_rows(&disk), [(32, 41)]);
}

#[test]
fn a_missing_row_is_found() {
    let disk = filled();
    let database = disk.open(LOG_FILE, 0).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(CHANGES).unwrap().remove(12).unwrap();
    writing.commit().unwrap();
    drop(database);
    assert_eq!(damaged_rows(&disk), [(12, 21)]);
}

#[test]
fn an_epoch_that_no_change_began_is_found() {
    let disk = filled();
    let database = disk.open(LOG_FILE, 0).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(EPOCHS).unwrap().insert(2, 17).unwrap();
    writing.commit().unwrap();
    drop(database);
    assert!(matches!(verify(&disk), Err(VerifyError::Epochs { .. })));
}

/// Catches a scan that leaves rows out, or that trusts the stored sum.
#[test]
fn rows_that_are_missing_altered_or_too_many_are_found_by_the_sum() {
    let TablesVerdict::Equal { fold_digest, .. } = verify(&filled()).unwrap().tables else { panic!("it is intact") };
    for (table, key, value) in [
        (Table::Animals, number_key(2), None),
        (Table::Animals, number_key(2), Some(&b"?"[..])),
        (Table::Animals, number_key(1), Some(b"?")),
        (Table::Members, pair_key(2, 2), None),
        (Table::Members, pair_key(2, 1), Some(b"")),
    ] {
        let disk = filled();
        TablesFile::open(&disk, TABLES_FILE, 0).unwrap().overwrite(table, &key, value).unwrap();
        let verdict = verify(&disk).unwrap().tables;
        assert!(
            matches!(verdict, TablesVerdict::OtherDigest { stored, recomputed, .. }
                if (stored == fold_digest) != table.is_index() && recomputed != stored),
            "{verdict:?}"
        );
    }
}

#[test]
fn missing_tables_are_told_and_do_not_hide_a_good_log() {
    let disk = filled();
    disk.remove(TABLES_FILE).unwrap();
    assert_eq!(verify(&disk).unwrap().tables, TablesVerdict::Missing);
}

#[test]
fn tables_that_are_no_file_of_ours_are_told_and_do_not_hide_a_good_log() {
    let place = tempfile::tempdir().unwrap();
    let disk = crate::store::Directory::new(place.path()).unwrap();
    let store = Store::open_source(&disk, Rules::default(), ClockReading::default(), || StoreId([7; 16])).unwrap();
    drop(store);
    std::fs::write(place.path().join(TABLES_FILE), [0x5a; 9_000]).unwrap();
    let verified = verify_disk(&disk, &mut |_| {}).unwrap();
    assert!(matches!(verified.tables, TablesVerdict::Unreadable { .. }), "{verified:?}");
}

#[test]
fn tables_of_another_log_are_no_prefix() {
    let disk = filled();
    let state = TablesState { folded: Sequence(2), ..TablesState::start(StoreId([8; 16])) };
    let tables = TablesFile::open(&disk, TABLES_FILE, 0).unwrap();
    let before = tables.state().unwrap().unwrap();
    tables.write_state(&StoredState { tables: state, ..before }).unwrap();
    drop(tables);
    assert_eq!(verify(&disk).unwrap().tables, TablesVerdict::NoPrefix { folded: Sequence(2) });
}

#[test]
fn where_there_is_no_store_none_is_made() {
    let disk = MemoryDisk::default();
    assert!(matches!(verify(&disk), Err(VerifyError::Store(StoreError::Missing { .. }))));
    assert!(!disk.holds(LOG_FILE));
}
