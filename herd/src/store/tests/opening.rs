//! What is told of the opening of a store.

use super::super::*;
use crate::change::Origin;
use crate::clock::RawReading;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ID: StoreId = StoreId([7; 16]);

fn opened(path: &Path) -> (Store, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = told.clone();
    let disk = Directory::new(path).unwrap().telling(move |at| {
        telling.lock().unwrap().push(at.to_string());
        ControlFlow::Continue(())
    });
    let clock = ClockReading { boot: 1, ..ClockReading::default() };
    let store = Store::open_source(&disk, Rules::default(), clock, || ID).unwrap();
    let told = told.lock().unwrap().clone();
    (store, told)
}

fn with_ten_payloads(path: &Path) -> Store {
    let mut store = opened(path).0;
    let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
    let at = RawReading::default();
    let scan = |n: usize| Incoming { raw: format!("hxb:LOT1:LF{n}:UHF{n}").into(), origin: origin.clone(), at };
    store.append(&(0..10).map(scan).collect::<Vec<_>>()).unwrap();
    store
}

/// What a kill leaves: the files as the kernel has them while the store is open.
fn copy_as_killed(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in [LOG_FILE, TABLES_FILE] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_store_that_was_closed_opens_without_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = with_ten_payloads(directory.path());
    store.settle().unwrap();
    drop(store);
    assert_eq!(opened(directory.path()).1, [""; 0]);
}

#[test]
fn missing_tables_are_folded_aloud() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_ten_payloads(directory.path()));
    std::fs::remove_file(directory.path().join(TABLES_FILE)).unwrap();
    assert_eq!(opened(directory.path()).1, ["folding the tables: 0 of 11 changes"]);
}

/// Catches a walk through a large file after a power cut in silence, which a supervisor takes for a start that hangs.
#[test]
fn a_file_that_was_not_closed_is_checked_aloud() {
    let directory = tempfile::tempdir().unwrap();
    let (running, killed) = (directory.path().join("running"), directory.path().join("killed"));
    let store = with_ten_payloads(&running);
    copy_as_killed(&running, &killed);
    drop(store);
    let told = opened(&killed).1;
    assert!(told.iter().any(|line| line.starts_with("checking log.redb, which was not closed: ")), "{told:?}");
}

/// Opens it, and breaks off at the first word.
fn broken_off(path: &Path) -> StoreError {
    let disk = Directory::new(path).unwrap().telling(|_| ControlFlow::Break(()));
    Store::open_source(&disk, Rules::default(), ClockReading::default(), || ID).unwrap_err()
}

/// Catches a stop that waits for a fold of minutes, and one that costs tables or log.
#[test]
fn an_opening_that_is_broken_off_loses_nothing_and_the_next_one_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (running, killed) = (directory.path().join("running"), directory.path().join("killed"));
    let store = with_ten_payloads(&running);
    let head = store.head().position;
    copy_as_killed(&running, &killed);
    drop(store);
    assert!(matches!(broken_off(&killed), StoreError::BrokenOff { file } if file.ends_with(LOG_FILE)));
    std::fs::remove_file(running.join(TABLES_FILE)).unwrap();
    assert!(matches!(broken_off(&running), StoreError::BrokenOff { file } if file == TABLES_FILE));
    for path in [&killed, &running] {
        let (store, told) = opened(path);
        assert_eq!(store.reader().position_at(head.sequence).unwrap(), Some(head), "{told:?}");
        assert_eq!(store.head().folded, store.head().position.sequence);
    }
}
