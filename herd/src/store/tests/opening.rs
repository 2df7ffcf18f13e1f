//! Progress reports while a store is opened.

use super::super::*;
use super::log_damage::alter_row;
use crate::change::Origin;
use crate::clock::{ClockReading, RawReading};
use crate::position::StoreId;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ID: StoreId = StoreId([7; 16]);

fn opened(path: &Path) -> (Store, Vec<String>) {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let sink = reports.clone();
    let disk = Directory::new(path).unwrap().with_progress(move |at| {
        sink.lock().unwrap().push(at.to_string());
        ControlFlow::Continue(())
    });
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let store = Store::open_source(&disk, Rules::default(), clock, || ID).unwrap();
    let reports = reports.lock().unwrap().clone();
    (store, reports)
}

fn with_ten_payloads(path: &Path) -> Store {
    with_payloads(path, 10)
}

fn with_payloads(path: &Path, count: usize) -> Store {
    let mut store = opened(path).0;
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    let at = RawReading::default();
    let scan = |n: usize| Incoming { raw: format!("hxb:LOT1:LF{n}:UHF{n}").into(), origin: origin.clone(), at };
    let scans: Vec<_> = (0..count).map(scan).collect();
    for group in scans.chunks(1_000) {
        store.append(group).unwrap();
    }
    store
}

/// Copies the files as a kill leaves them: as the kernel has them while the store is open.
fn copy_as_killed(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in [LOG_FILE, JOURNAL_FILE, TABLES_FILE] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_closed_store_opens_without_a_report() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = with_ten_payloads(directory.path());
    store.settle().unwrap();
    drop(store);
    assert_eq!(opened(directory.path()).1, [""; 0]);
}

#[test]
fn folding_missing_tables_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_ten_payloads(directory.path()));
    std::fs::remove_file(directory.path().join(TABLES_FILE)).unwrap();
    assert_eq!(opened(directory.path()).1, ["folding the tables: 0 of 11 changes"]);
}

/// Catches a start after a kill that reads the whole log first, which takes long from an SD card.
#[test]
fn a_killed_store_opens_without_a_check_of_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let (running, killed) = (directory.path().join("running"), directory.path().join("killed"));
    let mut store = with_ten_payloads(&running);
    store.settle().unwrap();
    copy_as_killed(&running, &killed);
    let head = store.head();
    let (store, reports) = opened(&killed);
    assert_eq!((store.head(), reports), (head, Vec::new()));
}

/// Leaves `to` as a kill leaves a store whose `log.redb` does not say which of its pages are free, as a full disk may.
fn copy_as_killed_unsaved(from: &Path, to: &Path) {
    let database = redb::Database::open(from.join(LOG_FILE)).unwrap();
    let plain = database.begin_write().unwrap();
    plain.open_table(redb::TableDefinition::<u64, u64>::new("other")).unwrap();
    plain.commit().unwrap();
    copy_as_killed(from, to);
}

/// Catches a silent check of a large file after a power cut, which a supervisor would take for a start that hangs.
#[test]
fn checking_a_file_that_was_not_closed_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (running, killed) = (directory.path().join("running"), directory.path().join("killed"));
    drop(with_ten_payloads(&running));
    copy_as_killed_unsaved(&running, &killed);
    let reports = opened(&killed).1;
    assert!(reports.iter().any(|line| line.starts_with("checking log.redb, which was not closed: ")), "{reports:?}");
}

/// Opens the store, and cancels at the first report.
fn canceled(path: &Path) -> StoreError {
    let disk = Directory::new(path).unwrap().with_progress(|_| ControlFlow::Break(()));
    Store::open_source(&disk, Rules::default(), ClockReading::default(), || ID).unwrap_err()
}

/// Catches a shutdown that waits minutes for a fold, and one that damages tables or log.
#[test]
fn a_canceled_opening_loses_nothing_and_the_next_one_continues() {
    let directory = tempfile::tempdir().unwrap();
    let (running, killed) = (directory.path().join("running"), directory.path().join("killed"));
    let store = with_ten_payloads(&running);
    let head = store.head().position;
    drop(store);
    copy_as_killed_unsaved(&running, &killed);
    assert!(matches!(canceled(&killed), StoreError::Canceled { file } if file.ends_with(LOG_FILE)));
    std::fs::remove_file(running.join(TABLES_FILE)).unwrap();
    assert!(matches!(canceled(&running), StoreError::Canceled { file } if file == TABLES_FILE));
    for path in [&killed, &running] {
        let (store, reports) = opened(path);
        assert_eq!(store.reader().position_at(head.sequence).unwrap(), Some(head), "{reports:?}");
        assert_eq!(store.head().folded, store.head().position.sequence);
    }
}

/// Catches a thread that reads ahead for a fold which has ended, and runs of it that are folded twice or not at all.
#[test]
fn a_large_fold_that_was_canceled_goes_on_where_it_ended_and_leads_to_the_same_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = with_payloads(path, 12_000);
    let head = store.head();
    drop(store);
    std::fs::remove_file(path.join(TABLES_FILE)).unwrap();
    let reports = std::sync::atomic::AtomicUsize::new(0);
    let third_is_last = move |_: &OpenProgress<'_>| match reports.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let disk = Directory::new(path).unwrap().with_progress(third_is_last);
    let canceled = Store::open_source(&disk, Rules::default(), ClockReading::default(), || ID).unwrap_err();
    assert!(matches!(canceled, StoreError::Canceled { file } if file == TABLES_FILE));
    let (store, reports) = opened(path);
    assert_eq!(reports[0], "folding the tables: 2,000 of 12,001 changes");
    assert_eq!(store.head(), head);
}

/// Catches a fold of a damaged log that waits for a reader which has ended, or ends as if there were no more.
#[test]
fn a_large_fold_of_a_damaged_log_names_the_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut store = with_payloads(path, 12_000);
    store.settle().unwrap();
    drop(store);
    std::fs::remove_file(path.join(TABLES_FILE)).unwrap();
    alter_row(&Directory::new(path).unwrap(), Sequence(6_500), |row| *row.last_mut().unwrap() ^= 1);
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let opened = Store::open_source(&Directory::new(path).unwrap(), Rules::default(), clock, || ID);
    let Err(StoreError::DamagedLog { row, .. }) = opened else { panic!("{opened:?}") };
    assert!((row.first.0..=row.last.0).contains(&6_500), "{row:?}");
}

/// Catches an idle fold that outlives its store and keeps the tables locked.
#[test]
fn a_replica_that_was_dropped_without_settling_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    let source = with_ten_payloads(&directory.path().join("source"));
    let disk = Directory::new(directory.path().join("replica")).unwrap();
    let mut replica = Store::open_replica(&disk, ID).unwrap();
    replica.apply(source.reader().run_after(replica.head().position, 100, 1 << 20).unwrap()).unwrap();
    drop(replica);
    assert_eq!(Store::open_replica(&disk, ID).unwrap().head(), source.head());
}
