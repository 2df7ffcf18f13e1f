//! Rows in memory, and their way into `tables.redb`, while readers read.
//!
//! Catches: a view that sees rows of a later commit, or loses some when their generation is flushed; a flush that writes other
//! rows than were published; tables that depend on when they were flushed; and a memory without a limit.

use crate::property;
use crate::steps::{Step, steps};
use crate::world::{BEGAN_US, STORE, all_rows, everything, open_source, origin};
use herd::change::Change;
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::digest::{RowHasher, RowSum};
use herd::fold::{NoRows, StagedRows, fold};
use herd::position::Sequence;
use herd::store::{
    Background, Incoming, MemoryDisk, Snapshot, Store, StoreError, TABLES_FILE, TablesVerdict, verify_disk,
    verify_reader,
};
use herd::tables::{Key, Table};
use proptest::collection::vec;
use proptest::prelude::*;

/// The log folded at once, without a file.
struct Folded {
    rows: StagedRows<NoRows>,
}

impl Folded {
    fn new() -> Self {
        Self { rows: StagedRows::new(NoRows, Sequence::ZERO, RowSum::default()) }
    }

    /// Folds what is new in the log of a store.
    fn follow(&mut self, store: &Store) -> Vec<(Table, Key, Vec<u8>)> {
        let reader = store.reader();
        while self.rows.folded() < store.head().position.sequence {
            let sequence = self.rows.folded().next();
            let bytes = reader.change(sequence).unwrap().unwrap();
            fold(&mut self.rows, sequence, &Change::from_bytes(&bytes).unwrap()).unwrap();
        }
        all_rows(&self.rows)
    }
}

/// A snapshot that is held, and the rows that it must show.
struct HeldSnapshot {
    snapshot: Snapshot,
    folded: Sequence,
    rows: Vec<(Table, Key, Vec<u8>)>,
}

/// Appends a step in a commit of its own, if it is one for the store.
pub(crate) fn append(store: &mut Store, step: &Step, now: &mut RawReading) {
    step.pass(now);
    match step {
        Step::Send(sent) => drop(store.append(&[sent.incoming(*now)]).unwrap()),
        Step::Correct(request) => drop(store.correct(request, *now).unwrap()),
        Step::Reprocess => drop(store.reprocess(Sequence::ZERO, 100, *now).unwrap()),
        Step::Wait { .. } | Step::Reboot => {}
    }
}

proptest! {
    #![proptest_config(property::cases(48))]

    #[test]
    fn readers_see_the_rows_of_their_version_while_the_writer_goes_on_and_flushes_run(
        steps in steps(60), actions in vec(0_u8..8, 1..40), flush_bytes in prop_oneof![Just(1), Just(4_000), Just(1 << 20)],
    ) {
        let disk = MemoryDisk::default().with_flushes(flush_bytes, Background::Steps);
        let mut now = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
        let mut store = open_source(&disk, Rules::default(), now.in_boot(1));
        let (mut folded, mut held) = (Folded::new(), Vec::<HeldSnapshot>::new());
        for (step, action) in steps.iter().zip(actions.iter().cycle()) {
            append(&mut store, step, &mut now);
            match action {
                0 => store.settle().unwrap(),
                1 | 2 => store.step_flush().unwrap(),
                3 => drop(held.drain(..held.len() / 2)),
                _ => {}
            }
            let rows = folded.follow(&store);
            held.push(HeldSnapshot {
                snapshot: store.reader().snapshot().unwrap(),
                folded: store.head().folded,
                rows,
            });
            for HeldSnapshot { snapshot, folded, rows } in &held {
                prop_assert_eq!(snapshot.folded().unwrap(), *folded);
                prop_assert_eq!(&all_rows(snapshot), rows);
            }
        }
        let verdict = verify_reader(&store.reader(), &mut |_| {}).unwrap().tables;
        prop_assert!(matches!(verdict, TablesVerdict::Equal { .. }), "{:?}", verdict);
        // Without the journal's take-over, so that the file is behind the log, as after a kill.
        let file = verify_disk(&disk.after_kill(), &mut |_| {}).unwrap().tables;
        prop_assert!(matches!(file, TablesVerdict::Equal { .. } | TablesVerdict::Missing), "{:?}", file);
    }

    #[test]
    fn tables_are_equal_for_any_pages_and_flushes(
        steps in steps(80), pages in vec(1_usize..30, 1..6), flushes in vec(0_u8..4, 1..6), flush_bytes in 1_usize..20_000,
    ) {
        let mut now = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
        let mut source = open_source(&MemoryDisk::default(), Rules::default(), now.in_boot(1));
        for step in &steps {
            append(&mut source, step, &mut now);
        }
        let disk = MemoryDisk::default().with_flushes(flush_bytes, Background::Steps);
        let open = || Store::open_replica(&disk, STORE).unwrap();
        let (mut copy, reader) = (open(), source.reader());
        for (page, flush) in pages.iter().cycle().zip(flushes.iter().cycle()) {
            let run = reader.run_after(copy.head().position, *page, 1 << 20).unwrap();
            if run.changes.is_empty() {
                break;
            }
            copy.apply(run).unwrap();
            match flush {
                0 => copy.settle().unwrap(),
                1 => copy.step_flush().unwrap(),
                // A kill folds again what was not flushed.
                2 => {
                    drop(copy);
                    copy = open();
                }
                _ => {}
            }
        }
        prop_assert_eq!(everything(&copy), everything(&source));
        copy.settle().unwrap();
        prop_assert_eq!(everything(&copy), everything(&source));
        let verdict = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
        prop_assert!(matches!(verdict, TablesVerdict::Equal { .. }), "{:?}", verdict);
    }
}

pub(crate) fn check_ins(round: usize, animals: usize) -> Vec<Incoming> {
    let payload = |n: usize| {
        // 7 is coprime to the number of animals, so that each comes once, far from the one before.
        let tag = n * 7 % animals;
        let raw = format!("hxb:LOT{}:LF{tag}:UHF{tag}", (round + tag) % 5).into_bytes();
        let since_boot_ms = 1_000 + round as u64 * 120_000;
        let at = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms };
        Incoming { raw, origin: origin("radio1", "main"), at }
    };
    (0..animals).map(payload).collect()
}

/// Returns the sum over the rows of a snapshot that the fold digest covers.
pub(crate) fn sum_of(snapshot: &Snapshot) -> RowSum {
    let (mut sum, mut hasher) = (RowSum::default(), RowHasher::default());
    for (table, key, value) in all_rows(snapshot).into_iter().filter(|(table, ..)| !table.is_index()) {
        sum.add(&hasher.hash(table.number(), &key, &value));
    }
    sum
}

/// Catches a view that opens between the end of a flush and its publication, or in the middle of a commit.
#[test]
fn every_snapshot_has_its_digest_while_a_thread_flushes() {
    let disk = MemoryDisk::default().with_flushes(20_000, Background::Threads);
    let start = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
    let mut store = open_source(&disk, Rules::default(), start.in_boot(1));
    let reader = store.reader();
    let writer = std::thread::spawn(move || {
        for round in 0..12 {
            for group in check_ins(round, 100).chunks(if round % 2 == 0 { 1 } else { 17 }) {
                store.append(group).unwrap();
            }
            if round % 5 == 4 {
                store.settle().unwrap();
            }
        }
        store.settle().unwrap();
        store.head()
    });
    let mut looked = 0;
    while !writer.is_finished() || looked == 0 {
        let (first, second) = (reader.snapshot().unwrap(), reader.snapshot().unwrap());
        for snapshot in [second, first] {
            assert_eq!(sum_of(&snapshot).digest(), snapshot.state().unwrap().fold_digest);
        }
        looked += 1;
    }
    let head = writer.join().unwrap();
    assert_eq!(reader.snapshot().unwrap().state().unwrap().fold_digest, head.fold_digest);
    let verdict = verify_disk(&disk.after_power_cut(), &mut |_| {}).unwrap().tables;
    assert!(matches!(verdict, TablesVerdict::Equal { folded, .. } if folded == head.folded), "{verdict:?}");
}

/// Catches a flush that waits for traffic to pause: a kill would then fold everything again.
#[test]
fn traffic_that_never_pauses_is_flushed_and_a_kill_folds_only_the_rest() {
    let disk = MemoryDisk::default().with_flushes(50_000, Background::Steps);
    let start = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
    let mut store = open_source(&disk, Rules::default(), start.in_boot(1));
    for round in 0..6 {
        for group in check_ins(round, 200).chunks(10) {
            store.append(group).unwrap();
        }
    }
    let head = store.head();
    let killed = disk.after_kill();
    match verify_disk(&killed, &mut |_| {}).unwrap().tables {
        TablesVerdict::Equal { folded, .. } => assert!(folded.0 > 800 && folded < head.folded, "{folded}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(open_source(&killed, Rules::default(), start.in_boot(1)).head(), head);
}

/// Catches a writer that goes on without a limit while the disk hangs.
#[test]
fn the_writer_waits_for_a_flush_that_hangs_once_two_generations_are_full() {
    let disk = MemoryDisk::default().with_flushes(30_000, Background::Threads);
    let start = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
    let mut store = open_source(&disk, Rules::default(), start.in_boot(1));
    store.settle().unwrap();
    let gate = disk.hold_syncs(TABLES_FILE).unwrap();
    let reader = store.reader();
    let (sent, appended) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        for round in 0..10 {
            for group in check_ins(round, 100).chunks(5) {
                store.append(group).unwrap();
                sent.send(store.head().folded).unwrap();
            }
        }
        store.head()
    });
    // Each group takes a few kB, so that the writer is stopped long before its end; readers are not.
    let mut last = Sequence::ZERO;
    while let Ok(folded) = appended.recv_timeout(std::time::Duration::from_secs(2)) {
        last = folded;
    }
    assert!(last < Sequence(600), "{last} changes are in memory");
    assert!(reader.snapshot().unwrap().folded().unwrap() >= last);
    drop(gate);
    let head = writer.join().unwrap();
    assert_eq!(head.folded, Sequence(1_001));
    assert_eq!(reader.head(), head);
}

/// Catches decoded rows that stay in memory for as long as payloads come. A row that left it is read from the file.
#[test]
fn a_writer_keeps_decoded_rows_up_to_their_bound() {
    let disk = MemoryDisk::default().uncached();
    let start = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
    let mut store = open_source(&disk, Rules::default(), start.in_boot(1));
    let scans = check_ins(0, 8_000);
    for group in scans.chunks(500) {
        store.append(group).unwrap();
    }
    for _ in 0..3 {
        store.step_flush().unwrap();
    }
    assert!(disk.fail_reads(TABLES_FILE));
    let mut again = scans[0].clone();
    again.at.since_boot_ms += 120_000;
    let read = store.append(&[again]);
    assert!(matches!(read, Err(StoreError::Rows(_))), "{read:?}");
}
