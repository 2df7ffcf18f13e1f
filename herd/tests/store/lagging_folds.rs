//! A replica that folds behind its log: on a thread of its own, and in steps.
//!
//! Catches: rows that are visible before the log has their changes, a backlog without a limit, tables that depend on when they
//! were folded, a failure behind the log that nobody hears of, and a writer that waits for a thread that is no more.

use crate::flushes::{append, check_ins, sum_of};
use crate::property;
use crate::steps::steps;
use crate::world::{BEGAN_US, STORE, World, everything, open_source};
use herd::change::Change;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::Sequence;
use herd::store::{
    ApplyError, Background, ChangeRun, Disk as _, Head, Incoming, JOURNAL_FILE, LOG_FILE, MemoryDisk, Reader, Store,
    StoreError, TABLES_FILE, TablesVerdict, verify_disk,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Size of a generation: a few dozen changes.
const FLUSH_BYTES: usize = 20_000;
/// Number of changes that the log may be ahead in the tests with threads.
const MAX_UNFOLDED: u64 = 200;
/// Time after which a failure counts as unheard of.
const FAILURE_LIMIT: Duration = Duration::from_secs(60);

/// Returns a source with check-ins of 300 animals, ten times each.
fn busy_source() -> Store {
    let start = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
    let mut source = open_source(&MemoryDisk::default(), Rules::default(), start.in_boot(1));
    for round in 0..10 {
        source.append(&check_ins(round, 300)).unwrap();
    }
    source
}

fn threaded_disk() -> MemoryDisk {
    MemoryDisk::default().with_flushes(FLUSH_BYTES, Background::Threads).with_unfolded(MAX_UNFOLDED)
}

fn replica(disk: &MemoryDisk) -> Store {
    Store::open_replica(disk, STORE).unwrap()
}

/// Returns a replica with 400 changes of the source, all of them in its files.
fn settled(disk: &MemoryDisk, source: &Store) -> Store {
    let mut copy = replica(disk);
    copy.apply(run_for(&copy, &source.reader(), 400)).unwrap();
    copy.settle().unwrap();
    copy
}

/// Returns the next changes for a replica.
fn run_for(copy: &Store, source: &Reader, limit: usize) -> ChangeRun {
    source.run_after(copy.head().position, limit, 1 << 20).unwrap()
}

/// Asserts that what a fault left is a prefix of the source that holds everything acknowledged, and that it goes on.
fn assert_goes_on(found: &MemoryDisk, source: &Store, acknowledged: Sequence) {
    let mut copy = replica(found);
    let head = copy.head();
    assert!(head.position.sequence >= acknowledged, "{} after {acknowledged} was acknowledged", head.position);
    assert_eq!(source.reader().position_at(head.position.sequence).unwrap(), Some(head.position));
    assert_eq!(head.folded, head.position.sequence, "the start folds what is missing");
    while copy.head().position != source.head().position {
        copy.apply(run_for(&copy, &source.reader(), 500)).unwrap();
    }
    copy.settle().unwrap();
    assert_eq!(everything(&copy), everything(source));
}

/// Applies pages until the replica fails.
fn apply_until_failure(copy: &mut Store, source: &Reader) -> StoreError {
    loop {
        let run = run_for(copy, source, 20);
        assert!(!run.changes.is_empty(), "the replica did not fail");
        match copy.apply(run) {
            Ok(_) => {}
            Err(ApplyError::Store(error)) => return error,
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(property::cases(48))]

    #[test]
    fn tables_are_equal_for_any_lag_of_the_fold(
        steps in steps(80), pages in vec(1_usize..20, 1..6), actions in vec(0_u8..8, 1..12),
        max_unfolded in 0_u64..60, flush_bytes in 1_usize..20_000,
    ) {
        let mut now = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
        let mut source = open_source(&MemoryDisk::default(), Rules::default(), now.in_boot(1));
        for step in &steps {
            append(&mut source, step, &mut now);
        }
        let disk = MemoryDisk::default().with_flushes(flush_bytes, Background::Steps).with_unfolded(max_unfolded);
        let (mut copy, source_reader) = (replica(&disk), source.reader());
        for (page, action) in pages.iter().cycle().zip(actions.iter().cycle()) {
            let run = run_for(&copy, &source_reader, *page);
            if run.changes.is_empty() {
                break;
            }
            copy.apply(run).unwrap();
            let head = copy.head();
            prop_assert!(head.unfolded() <= max_unfolded);
            let snapshot = copy.reader().snapshot().unwrap();
            prop_assert_eq!(snapshot.folded().unwrap(), head.folded);
            prop_assert_eq!(sum_of(&snapshot).digest(), head.fold_digest);
            drop(snapshot);
            match action {
                0 => copy.settle().unwrap(),
                1 | 2 => copy.step_fold().unwrap(),
                3 | 4 => copy.step_flush().unwrap(),
                // A kill folds again what was not flushed.
                5 => {
                    drop(copy);
                    copy = replica(&disk);
                }
                _ => {}
            }
        }
        while copy.head().unfolded() > 0 {
            copy.step_fold().unwrap();
        }
        prop_assert_eq!(everything(&copy), everything(&source));
        copy.settle().unwrap();
        prop_assert_eq!(everything(&copy), everything(&source));
        let verdict = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
        prop_assert!(matches!(verdict, TablesVerdict::Equal { .. }), "{:?}", verdict);
    }
}

/// Catches a view that opens in the middle of a publication, and tables that are ahead of the log.
#[test]
fn every_snapshot_has_its_digest_while_threads_fold_and_flush() {
    let source = busy_source();
    let (disk, from) = (threaded_disk(), source.reader());
    let mut copy = replica(&disk);
    let reader = copy.reader();
    let writer = std::thread::spawn(move || {
        for limit in [1, 1, 30, 1, 150, 2, 1, 400].into_iter().cycle() {
            let run = run_for(&copy, &from, limit);
            if run.changes.is_empty() {
                break;
            }
            let end = run.end;
            assert_eq!(copy.apply(run).unwrap().position, end);
            if limit == 400 {
                copy.settle().unwrap();
                assert_eq!(copy.head().unfolded(), 0);
            }
        }
        copy.settle().unwrap();
        copy.head()
    });
    let mut looked = 0;
    while !writer.is_finished() || looked == 0 {
        let head = reader.head();
        assert!(head.folded <= head.position.sequence);
        let snapshot = reader.snapshot().unwrap();
        let state = snapshot.state().unwrap();
        assert!(head.folded <= state.folded && state.folded <= state.position.sequence);
        assert_eq!(sum_of(&snapshot).digest(), state.fold_digest);
        looked += 1;
    }
    assert_eq!(writer.join().unwrap(), source.head());
    let verdict = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
    assert!(matches!(verdict, TablesVerdict::Equal { folded, .. } if folded == source.head().folded), "{verdict:?}");
}

/// Catches rows that are shown, or a head that is published, while the log is not durable.
#[test]
fn nothing_is_visible_while_the_log_is_not_durable() {
    let source = busy_source();
    let disk = threaded_disk();
    let mut copy = replica(&disk);
    let first = run_for(&copy, &source.reader(), 1);
    copy.apply(first).unwrap();
    copy.settle().unwrap();
    let (before, reader, run) = (copy.head(), copy.reader(), run_for(&copy, &source.reader(), 1));
    let gate = disk.hold_syncs(JOURNAL_FILE).unwrap();
    let (begins, begun) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        begins.send(()).unwrap();
        copy.apply(run).unwrap();
        copy.settle().unwrap();
        copy.head()
    });
    begun.recv().unwrap();
    // Time for a fold that does not wait; a fold that does is never seen here, however long this looks.
    for _ in 0..200 {
        assert_eq!(reader.head(), before);
        assert_eq!(reader.snapshot().unwrap().folded().unwrap(), before.folded);
        std::thread::yield_now();
    }
    drop(gate);
    let after = writer.join().unwrap();
    assert_eq!((after.position.sequence, after.folded), (Sequence(2), Sequence(2)));
}

/// Catches a log that runs away from tables that cannot follow, and one that waits for them before it must.
#[test]
fn the_log_goes_on_without_the_tables_up_to_the_limit() {
    let source = busy_source();
    let disk = threaded_disk();
    let mut copy = replica(&disk);
    let gate = disk.hold_syncs(TABLES_FILE).unwrap();
    let (reader, from) = (copy.reader(), source.reader());
    let (sent, applied) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        loop {
            let run = run_for(&copy, &from, 20);
            if run.changes.is_empty() {
                break;
            }
            copy.apply(run).unwrap();
            sent.send(copy.head()).unwrap();
        }
        copy.settle().unwrap();
        copy.head()
    });
    let mut last: Option<Head> = None;
    while let Ok(head) = applied.recv_timeout(std::time::Duration::from_secs(2)) {
        assert!(head.unfolded() <= MAX_UNFOLDED, "{} changes are not folded", head.unfolded());
        last = Some(head);
    }
    let last = last.unwrap();
    assert!(last.position.sequence < source.head().position.sequence, "the writer did not wait");
    assert!(reader.head().unfolded() > MAX_UNFOLDED - 20, "the log stopped at {}", reader.head().position);
    assert_goes_on(&disk.after_power_cut(), &source, last.position.sequence);
    drop(gate);
    assert_eq!(writer.join().unwrap(), source.head());
}

/// Catches a failure of the log after which the fold goes on alone, and one after which a stop waits forever.
#[test]
fn a_log_that_fails_stops_the_replica_and_shows_nothing_of_the_run() {
    let source = busy_source();
    for (disk, operations) in [(threaded_disk(), 0), (threaded_disk(), 1), (MemoryDisk::default(), 0)] {
        for (file, limit) in [(JOURNAL_FILE, 20), (LOG_FILE, 2_000)] {
            let disk = disk.after_kill();
            let mut copy = replica(&disk);
            let first = run_for(&copy, &source.reader(), 50);
            copy.apply(first).unwrap();
            copy.settle().unwrap();
            let before = copy.head();
            assert!(disk.fail_after(file, operations));
            let failed = copy.apply(run_for(&copy, &source.reader(), limit));
            assert!(matches!(failed, Err(ApplyError::Store(StoreError::Storage { .. }))), "{file}: {failed:?}");
            assert_eq!(copy.head(), before);
            let again = copy.apply(run_for(&copy, &source.reader(), limit));
            assert!(matches!(again, Err(ApplyError::Store(StoreError::Interrupted))), "{again:?}");
            assert!(matches!(copy.settle(), Err(StoreError::Interrupted)));
            assert!(matches!(copy.check(), Err(StoreError::Interrupted)));
            assert_eq!(copy.reader().snapshot().unwrap().folded().unwrap(), before.folded);
            drop(copy);
            assert_goes_on(&disk.after_power_cut(), &source, before.position.sequence);
        }
    }
}

/// Catches tables that cannot be read and are believed at the next start.
#[test]
fn tables_that_cannot_be_read_stop_the_replica_and_are_folded_again() {
    let source = busy_source();
    for disk in [threaded_disk(), MemoryDisk::default().with_unfolded(60)] {
        let disk = disk.uncached();
        let mut copy = replica(&disk);
        let first = run_for(&copy, &source.reader(), 400);
        copy.apply(first).unwrap();
        copy.settle().unwrap();
        assert!(disk.fail_reads(TABLES_FILE));
        let error = apply_until_failure(&mut copy, &source.reader());
        assert!(matches!(error, StoreError::Rows(_) | StoreError::Storage { .. }), "{error}");
        assert!(matches!(copy.settle(), Err(StoreError::Interrupted)));
        let acknowledged = copy.head().position.sequence;
        drop(copy);
        assert_goes_on(&disk.after_power_cut(), &source, acknowledged);
    }
}

/// Catches a failure of fold or flush that is found only with the next change, which may be hours away.
#[test]
fn a_failure_behind_the_log_is_found_without_a_next_change() {
    let (source, disk) = (busy_source(), threaded_disk().uncached());
    let mut copy = settled(&disk, &source);
    copy.check().unwrap();
    assert!(disk.fail_reads(TABLES_FILE));
    copy.apply(run_for(&copy, &source.reader(), 1)).unwrap();
    let limit = Instant::now() + FAILURE_LIMIT;
    let error = loop {
        match copy.check() {
            Ok(()) => assert!(Instant::now() < limit, "nobody hears of the failure"),
            Err(error) => break error,
        }
        std::thread::yield_now();
    };
    // The fold or the flush finds it first.
    assert!(matches!(error, StoreError::Rows(_) | StoreError::Storage { .. }), "{error}");
}

/// Catches a writer that waits forever for a thread that has panicked.
#[test]
fn a_panic_of_the_fold_stops_the_replica_with_an_error() {
    let (source, disk) = (busy_source(), threaded_disk().uncached());
    let mut copy = settled(&disk, &source);
    assert!(disk.panic_once(TABLES_FILE));
    let error = apply_until_failure(&mut copy, &source.reader());
    assert!(matches!(error, StoreError::Rows(_)), "{error}");
    assert!(!disk.holds(TABLES_FILE), "the damaged tables are discarded");
    assert!(matches!(copy.settle(), Err(StoreError::Interrupted)));
    let acknowledged = copy.head().position.sequence;
    drop(copy);
    assert_goes_on(&disk.after_kill(), &source, acknowledged);
}

/// Catches a writer that waits forever for a flush whose thread has panicked.
#[test]
fn a_panic_of_a_flush_stops_the_writer_with_an_error() {
    let disk = MemoryDisk::default().with_flushes(FLUSH_BYTES, Background::Threads);
    let world = World::new();
    let mut store = open_source(&disk, Rules::default(), world.now.in_boot(1));
    store.settle().unwrap();
    store.append(&[world.incoming("hxb:L1:A:U1")]).unwrap();
    assert!(disk.panic_once(TABLES_FILE));
    let settled = store.settle();
    assert!(matches!(settled, Err(StoreError::Storage { .. })), "{settled:?}");
    assert!(!disk.holds(TABLES_FILE), "the damaged tables are discarded");
    assert!(matches!(store.append(&[world.incoming("hxb:L1:B:U2")]), Err(StoreError::Interrupted)));
    let head = store.head();
    drop(store);
    assert_eq!(open_source(&disk.after_kill(), Rules::default(), world.now.in_boot(2)).head(), head);
}

/// Catches a replica that decides on tables that lag, once it has become a source.
#[test]
fn a_replica_that_becomes_a_source_decides_on_the_whole_log() {
    let source = busy_source();
    let mut copy = replica(&threaded_disk());
    while copy.head().position != source.head().position {
        copy.apply(run_for(&copy, &source.reader(), 150)).unwrap();
    }
    let last = source.reader().change(source.head().position.sequence).unwrap().unwrap();
    let Ok(Change::Received(last)) = Change::from_bytes(&last) else { panic!("a payload") };
    let at = RawReading { since_boot_ms: last.clock.since_boot_ms, ..RawReading::default() };
    let again = Incoming { raw: last.raw.clone(), origin: last.origin.clone(), at };
    let receipts = copy.append(&[again]).unwrap();
    assert_eq!(copy.head().unfolded(), 0);
    assert!(matches!(receipts[..], [herd::store::Receipt::Duplicate { .. } | herd::store::Receipt::Kept { .. }]));
    // And becomes a replica again.
    assert_eq!(copy.apply(run_for(&copy, &copy.reader(), 1)).unwrap().changes, 0);
}
