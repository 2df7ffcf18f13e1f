//! Each of these catches a verification that trusts stored digests.

use super::*;
use crate::change::{Acceptance, Origin};
use crate::clock::{ClockReading, RawReading};
use crate::decide::Rules;
use crate::digest::log_start;
use crate::position::StoreId;
use crate::store::{ChangeRun, Incoming, JOURNAL_FILE, LOG_FILE, MemoryDisk, Store};
use crate::tables::{ReadmittedPayload, digest_key, number_key, pair_key};
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
    let verified = verify_disk(&disk, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(verified.head.sequence, Sequence(41));
    assert!(matches!(verified.tables, TablesVerdict::Equal { folded: Sequence(41), rows: 44, .. }), "{verified:?}");
    let tables = Table::ALL.len() as u64;
    let rows = (1..=tables).map(|done| Progress { phase: Phase::Rows, done, of: tables });
    let pages = [0, 1].map(|done| Progress { phase: Phase::Pages, done, of: 1 });
    let expected = std::iter::once(Progress { phase: Phase::Chain, done: 41, of: 41 }).chain(rows).chain(pages);
    assert_eq!(seen, expected.collect::<Vec<_>>());
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

/// A barn and its office, whose log has four payloads that came back, as changes 42 to 45; their disks, and the former place of
/// the second one.
fn readmitted() -> ([MemoryDisk; 2], Digest) {
    let barn = filled();
    let clock = ClockReading { boot: 2, ..ClockReading::default() };
    let mut store = Store::open_source(&barn, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    let mut lost = Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([9; 16])).unwrap();
    lost.append(&(80..84).map(incoming).collect::<Vec<_>>()).unwrap();
    let run = lost.reader().run_after(log_start(lost.head().position.store), 100, 1_000_000).unwrap();
    let former = lost.reader().position_at(Sequence(3)).unwrap().unwrap().digest;
    let acceptance = Acceptance { author: "Ana".to_owned(), reason: "back".to_owned() };
    assert_eq!(store.readmit(&run, &acceptance).unwrap().span, Some((Sequence(42), Sequence(45))));
    store.append(&[incoming(90)]).unwrap();
    store.settle().unwrap();
    let run = store.reader().run_after(log_start(StoreId([7; 16])), 1_000, 1_000_000).unwrap();
    ([barn, replica_of(run)], former)
}

fn replica_of(run: ChangeRun) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut replica = Store::open_replica(&disk, run.after.store).unwrap();
    replica.apply(run).unwrap();
    replica.settle().unwrap();
    disk
}

/// Makes the sum over the index that of the rows in the file.
fn sum_anew(tables: &TablesFile) {
    let (rows, mut index) = (tables.reader().unwrap(), RowSum::default());
    for table in Table::ALL.into_iter().filter(|table| table.is_index()) {
        add_table(table, &|table, range| rows.range(table, range), &mut index).unwrap();
    }
    tables.write_state(&StoredState { index, ..rows.state().unwrap().unwrap() }).unwrap();
}

/// Catches an index of readmissions that nobody compares with the log: a payload would come back a second time, or a new one
/// would count as back.
#[test]
fn rows_of_payloads_that_came_back_are_compared_with_the_log_and_named() {
    let row = |sequence| postcard::to_stdvec(&ReadmittedPayload(Sequence(sequence))).unwrap();
    let (_, former) = readmitted();
    let stranger = Digest([9; 32]);
    let cases = [
        (former, None, Some(43), None),
        (former, Some(row(44)), Some(43), Some(44)),
        (former, Some(row(9)), Some(43), Some(9)),
        (former, Some(vec![0xff]), Some(43), None),
        (stranger, Some(row(43)), None, Some(43)),
        (stranger, Some(row(900)), None, Some(900)),
        (stranger, Some(vec![]), None, None),
    ];
    for (key, value, in_log, in_tables) in cases {
        for is_summed in [false, true] {
            for disk in readmitted().0 {
                assert!(matches!(verify(&disk).unwrap().tables, TablesVerdict::Equal { .. }));
                let tables = TablesFile::open(&disk, TABLES_FILE, 0).unwrap();
                tables.overwrite(Table::Readmissions, &digest_key(&key), value.as_deref()).unwrap();
                if is_summed {
                    sum_anew(&tables);
                }
                drop(tables);
                let expected = TablesVerdict::OtherReadmission {
                    folded: Sequence(46),
                    former: key.to_string(),
                    in_log: in_log.map(Sequence),
                    in_tables: in_tables.map(Sequence),
                };
                assert_eq!(verify(&disk).unwrap().tables, expected);
                assert!(expected.to_string().contains(&key.to_string()));
                let running = Store::open_replica(&disk, StoreId([7; 16])).unwrap();
                assert_eq!(verify_reader(&running.reader(), &mut |_| {}).unwrap().tables, expected);
            }
        }
    }
}

/// Catches tables that go on without the rows of payloads that came back, because an older program, which cannot read those
/// changes, stopped before the first of them.
#[test]
fn tables_that_an_older_program_stopped_before_a_payload_that_came_back_are_folded_on() {
    let ([barn, office], _) = readmitted();
    let whole = verify(&barn).unwrap().tables;
    assert!(matches!(whole, TablesVerdict::Equal { .. }), "{whole:?}");
    let stopped = filled().content(TABLES_FILE).unwrap();
    for disk in [barn, office] {
        for fold_version in [FOLD_VERSION, FOLD_VERSION - 1] {
            assert!(disk.overwrite(TABLES_FILE, &stopped));
            crate::store::set_fold_version(&disk, fold_version).unwrap();
            let mut store = Store::open_replica(&disk, StoreId([7; 16])).unwrap();
            store.settle().unwrap();
            drop(store);
            assert_eq!(verify(&disk).unwrap().tables, whole, "fold version {fold_version}");
        }
    }
}

/// Catches a payload that comes back while a verification runs, and whose row counts as one too many.
#[test]
fn payloads_may_come_back_while_the_store_is_proved() {
    let ([disk, _], _) = readmitted();
    let clock = ClockReading { boot: 3, ..ClockReading::default() };
    let mut store = Store::open_source(&disk, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    let acceptance = Acceptance { author: "Ana".to_owned(), reason: "back".to_owned() };
    let (reader, mut next) = (store.reader(), 10);
    let verified = verify_reader(&reader, &mut |_| {
        let mut lost =
            Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([next; 16])).unwrap();
        lost.append(&[incoming(100 + u64::from(next))]).unwrap();
        let run = lost.reader().run_after(log_start(lost.head().position.store), 100, 1_000_000).unwrap();
        assert_eq!(store.readmit(&run, &acceptance).unwrap().kept, 1);
        store.settle().unwrap();
        next += 1;
    });
    assert!(next > 11);
    assert!(matches!(verified.unwrap().tables, TablesVerdict::Equal { .. }));
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
    let tables = TablesFile::open(&disk, TABLES_FILE, 0).unwrap();
    let before = tables.state().unwrap().unwrap();
    drop(tables);
    let right = before.tables;
    for state in [
        TablesState { folded: Sequence(2), ..TablesState::start(StoreId([8; 16])) },
        TablesState { store: StoreId([8; 16]), ..right },
        TablesState { digest: Digest([1; 32]), ..right },
        TablesState { folded: Sequence(42), ..right },
    ] {
        TablesFile::open(&disk, TABLES_FILE, 0).unwrap().write_state(&StoredState { tables: state, ..before }).unwrap();
        assert_eq!(verify(&disk).unwrap().tables, TablesVerdict::NoPrefix { folded: state.folded }, "{state:?}");
    }
}

#[test]
fn tables_of_another_fold_are_told_and_do_not_hide_a_good_log() {
    let disk = filled();
    for found in [FOLD_VERSION - 1, FOLD_VERSION + 1] {
        crate::store::set_fold_version(&disk, found).unwrap();
        assert_eq!(verify(&disk).unwrap().tables, TablesVerdict::OtherFold { found });
    }
}

/// Catches a report that calls sound what was not checked, or that takes as much memory as a log has damaged rows.
#[test]
fn the_first_twenty_damaged_rows_are_named() {
    let disk = MemoryDisk::default();
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let mut store = Store::open_source(&disk, Rules::default(), clock, || StoreId([7; 16])).unwrap();
    for n in 0..23 {
        store.settle().unwrap();
        store.append(&[incoming(n)]).unwrap();
    }
    store.settle().unwrap();
    drop(store);
    for row in 2..=22 {
        alter_row(&disk, row, |row| *row.last_mut().unwrap() ^= 1);
        let refused = verify(&disk).unwrap_err();
        let told = if row <= 20 { "; everything else in it is sound" } else { "; what follows was not checked" };
        assert!(refused.to_string().contains(told), "{row}: {refused}");
        assert_eq!(damaged_rows(&disk), (2..=row.min(21)).map(|row| (row, row)).collect::<Vec<_>>());
    }
}

/// Catches a verification that takes for damage what a barn writes meanwhile.
#[test]
fn a_store_that_is_open_is_not_verified_beside_it() {
    let place = tempfile::tempdir().unwrap();
    let disk = crate::store::Directory::new(place.path()).unwrap();
    let store = Store::open_source(&disk, Rules::default(), ClockReading::default(), || StoreId([7; 16])).unwrap();
    disk.remove(TABLES_FILE).unwrap();
    let refused = verify_disk(&disk, &mut |_| {});
    assert!(matches!(refused, Err(VerifyError::Store(StoreError::Locked { .. }))), "{refused:?}");
    drop(store);
    verify_disk(&disk, &mut |_| {}).unwrap();
}

#[test]
fn where_there_is_no_store_none_is_made() {
    let disk = MemoryDisk::default();
    assert!(matches!(verify(&disk), Err(VerifyError::Store(StoreError::Missing { .. }))));
    assert!(!disk.holds(LOG_FILE));
}
