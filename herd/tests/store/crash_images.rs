//! The disk after every single operation of a run: journal, log and tables of a source and of a replica.
//!
//! Catches: a record that is acknowledged before it is synced, a segment that is used again before `log.redb` has its rows
//! durably, a torn or stale record that is taken for the end of the log, and a take-over that a power cut leaves half done.
//! And of the tables: a flush that is ahead of the log or that a power cut leaves half done, rows that are published and then
//! lost with their generation, and a sum that is not that of the rows. The flushes are stepped between commits: a
//! generation is frozen at one step, and written some commits later. The folds of a replica are stepped, too, while its log
//! goes ahead. The control shows that the images find the first of these.

use crate::world::{BEGAN_US, STORE, open_source, origin};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::Sequence;
use herd::store::{
    ChangeRun, Changes, Head, Incoming, JOURNAL_FILE, LOG_FILE, MemoryDisk, Receipt, Store, StoreError, TablesVerdict,
    VerifyOutcome, verify_disk, verify_reader,
};

/// Size of a segment: four records, so that a run turns many times.
const SEGMENT_BYTES: u64 = 4 * 4_096;
/// Payloads of a group whose row is larger than a segment.
const LARGE_GROUP: u64 = 150;
/// Number of steps of a run. Each is a commit, a flush or a restart.
const STEPS: u64 = 48;

/// The number of operations at the end of a step, and what the store then said to have.
struct Step {
    operations: usize,
    head: Option<Head>,
}

fn now(step: u64) -> RawReading {
    let since_boot_ms = 5_000 + step * 1_000;
    RawReading { received_at_us: BEGAN_US + i64::try_from(step).unwrap(), synchronized: true, since_boot_ms }
}

fn group(step: u64, size: u64) -> Vec<Incoming> {
    let payload = |n: u64| {
        let raw = format!("hxb:L{}:LF{step}-{n}:UHF{step}-{n}", step % 3).into_bytes();
        Incoming { raw, origin: origin("radio1", "main"), at: now(step) }
    };
    (0..size).map(payload).collect()
}

fn source(disk: &MemoryDisk) -> Store {
    open_source(disk, Rules::default(), now(0).in_boot(1))
}

/// Runs lone payloads, groups, groups larger than a segment, flushes and restarts.
fn run_source(disk: &MemoryDisk, before: impl FnOnce(&MemoryDisk)) -> Vec<Step> {
    let mut store = source(disk);
    let mut steps = vec![Step { operations: 0, head: None }];
    steps.push(Step { operations: disk.operations(), head: Some(store.head()) });
    before(disk);
    for step in 1..STEPS {
        // Twelve records in a row, so that both segments are filled and the first is used again.
        match step % 24 {
            5 => drop(store.append(&group(step, 12)).unwrap()),
            3 | 7 | 11 | 15 | 22 => store.step_flush().unwrap(),
            14 => drop(store.append(&group(step, LARGE_GROUP)).unwrap()),
            17 => store.settle().unwrap(),
            20 => {
                drop(store);
                store = source(disk);
            }
            _ => drop(store.append(&group(step, 1)).unwrap()),
        }
        steps.push(Step { operations: disk.operations(), head: Some(store.head()) });
    }
    steps
}

fn replica(disk: &MemoryDisk) -> Store {
    Store::open_replica(disk, STORE).unwrap()
}

/// Follows a source by pages of several sizes, with flushes and restarts.
fn run_replica(disk: &MemoryDisk) -> Vec<Step> {
    let whole = MemoryDisk::default();
    run_source(&whole, |_| {});
    let reader = source(&whole).reader();
    let mut copy = replica(disk);
    let mut steps = vec![Step { operations: 0, head: None }];
    steps.push(Step { operations: disk.operations(), head: Some(copy.head()) });
    for step in 1.. {
        let limit = [1, 3, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1, 200][step % 13];
        let run: ChangeRun = reader.run_after(copy.head().position, limit, 1 << 20).unwrap();
        if run.changes.is_empty() {
            break;
        }
        copy.apply(run).unwrap();
        if step % 31 == 17 {
            copy.settle().unwrap();
        }
        if step % 5 == 3 {
            copy.step_flush().unwrap();
        }
        if step % 7 == 2 {
            copy.step_fold().unwrap();
        }
        if step % 37 == 29 {
            drop(copy);
            copy = replica(disk);
        }
        steps.push(Step { operations: disk.operations(), head: Some(copy.head()) });
    }
    steps
}

/// Checks that a disk after a fault has what was acknowledged, and nothing or all of the step that was under way.
fn check(
    image: &MemoryDisk,
    open: &dyn Fn(&MemoryDisk) -> Result<Store, StoreError>,
    steps: &[Step],
    after: usize,
) -> Result<(), String> {
    let acknowledged = steps.iter().rposition(|step| step.operations <= after).unwrap();
    // Before the start: one that finds tables ahead of its log at a replica folds the log again, and says nothing.
    if let Ok(VerifyOutcome { tables: ahead @ TablesVerdict::NoPrefix { .. }, .. }) = verify_disk(image, &mut |_| {}) {
        return Err(format!("the tables: {ahead}"));
    }
    let mut store = match open(image) {
        Ok(store) => store,
        // redb does not create a file in one step. Nothing was acknowledged before it had one.
        Err(StoreError::DamagedFile { file, .. }) if steps[acknowledged].head.is_none() && file == LOG_FILE => {
            return Ok(());
        }
        Err(error) => return Err(error.to_string()),
    };
    let found = store.head();
    // The tables of a replica may have been behind its log; a start folds what they lack.
    let is = |head: &Head| {
        let was_behind = head.unfolded() > 0;
        head.position == found.position && (was_behind || head.fold_digest == found.fold_digest)
    };
    let under_way = steps.get(acknowledged + 1).unwrap_or(&steps[acknowledged]);
    let possible = [&steps[acknowledged].head, &under_way.head];
    // Before the end of the first step there was no store, and opening it has just made one.
    if !possible.iter().any(|head| head.as_ref().is_none_or(is)) {
        return Err(format!("found {found:?}, acknowledged {:?}", possible[0]));
    }
    let start = store.reader().position_at(Sequence::ZERO).unwrap().unwrap();
    let run = store.reader().run_after(start, usize::MAX, usize::MAX).map_err(|error| error.to_string())?;
    if (run.end, run.changes.chain(start.digest, Sequence::ZERO)) != (found.position, found.position.digest) {
        return Err(format!("the changes lead to {}, not to {}", run.end, found.position));
    }
    verify_tables(&store)?;
    goes_on(&mut store, image, open)
}

/// Checks that the tables hold what their digest says, in memory and in the file.
fn verify_tables(store: &Store) -> Result<(), String> {
    match verify_reader(&store.reader(), &mut |_| {}).map_err(|error| error.to_string())?.tables {
        TablesVerdict::Equal { folded, .. } if folded == store.head().position.sequence => Ok(()),
        other => Err(format!("the tables: {other}")),
    }
}

/// Checks that the store goes on, and that a second power cut right after takes nothing.
fn goes_on(
    store: &mut Store,
    image: &MemoryDisk,
    open: &dyn Fn(&MemoryDisk) -> Result<Store, StoreError>,
) -> Result<(), String> {
    if let Some(Receipt::Kept { .. }) = store.append(&group(99, 1)).map_err(|error| error.to_string())?.pop() {
        let again = open(&image.after_power_cut()).map_err(|error| error.to_string())?;
        return if again.head() == store.head() { Ok(()) } else { Err("a second power cut took a change".to_owned()) };
    }
    Err("the next payload was not kept".to_owned())
}

/// Checks images of the disk after each operation of a run: unsynced data dropped, kept, or torn and reordered by sectors;
/// and, before each sync, a disk on which it fails and leaves a cache behind that lies. Returns the number of images and
/// the first failure.
fn check_images(
    disk: &MemoryDisk,
    open: &dyn Fn(&MemoryDisk) -> Result<Store, StoreError>,
    steps: &[Step],
    torn: u64,
) -> (usize, Option<String>) {
    let mut replay = disk.replay();
    let mut images = 0;
    for after in 1.. {
        if !replay.step().unwrap() {
            break;
        }
        let found = [replay.disk().after_power_cut(), replay.disk().after_kill()].into_iter();
        let lying = replay.after_failed_sync().into_iter();
        let seeds = (0..torn).map(|seed| replay.disk().after_torn_power_cut(seed * 1_000_000 + after as u64));
        for (kind, image) in found.chain(seeds).chain(lying).enumerate() {
            images += 1;
            if let Err(why) = check(&image, open, steps, after) {
                return (
                    images,
                    Some(format!("after operation {after} of {}, image {kind}: {why}", disk.operations())),
                );
            }
        }
    }
    (images, None)
}

fn recording() -> MemoryDisk {
    MemoryDisk::default().with_segments(SEGMENT_BYTES).recording()
}

fn open_as_source(disk: &MemoryDisk) -> Result<Store, StoreError> {
    Store::open_source(disk, Rules::default(), now(0).in_boot(1), || STORE)
}

/// A replica that becomes a source: its log, its tables and what comes next are checked alike.
fn open_as_replica(disk: &MemoryDisk) -> Result<Store, StoreError> {
    Store::open_replica(disk, STORE)
}

fn source_images(torn: u64) -> usize {
    let disk = recording();
    let steps = run_source(&disk, |_| {});
    let (images, failure) = check_images(&disk, &open_as_source, &steps, torn);
    assert_eq!(failure, None);
    images
}

/// Catches a commit that syncs twice, or that writes to a file of redb: on an SD card each costs milliseconds and wear.
#[test]
fn a_commit_is_one_write_and_one_sync() {
    let disk = MemoryDisk::default().recording();
    let mut store = source(&disk);
    for (step, size) in [(1, 1), (2, 1), (3, 100), (4, 1)] {
        let before = disk.operations();
        store.append(&group(step, size)).unwrap();
        assert_eq!(disk.operations() - before, 2, "a group of {size}");
    }
}

/// Follows with a log that may be `unfolded` changes ahead of the tables.
fn replica_images(torn: u64, unfolded: u64) -> usize {
    let disk = recording().with_unfolded(unfolded);
    let steps = run_replica(&disk);
    let (images, failure) = check_images(&disk, &open_as_replica, &steps, torn);
    assert_eq!(failure, None);
    images
}

#[test]
fn a_source_loses_nothing_and_keeps_no_half_after_any_operation() {
    let images = source_images(1);
    eprintln!("{images} images");
    assert!(images > 600, "{images}");
}

#[test]
fn a_replica_loses_nothing_and_keeps_no_half_after_any_operation() {
    let images = replica_images(1, 0);
    eprintln!("{images} images");
    assert!(images > 600, "{images}");
}

#[test]
fn a_replica_whose_log_is_ahead_of_its_tables_loses_nothing_and_keeps_no_half_after_any_operation() {
    let images = replica_images(1, 9);
    eprintln!("{images} images");
    assert!(images > 600, "{images}");
}

#[test]
#[ignore = "takes minutes"]
fn sources_and_replicas_lose_nothing_in_thousands_of_images() {
    let images = [source_images(12), replica_images(12, 0), replica_images(12, 9)];
    eprintln!("{images:?} images");
    assert!(images.iter().all(|images| *images > 2_000), "{images:?}");
}

/// The control: images that cannot tell a synced journal from one that is not would prove nothing.
#[test]
fn without_the_sync_of_the_journal_acknowledged_payloads_are_lost() {
    let disk = recording();
    let steps = run_source(&disk, |disk| assert!(disk.ignore_syncs(JOURNAL_FILE)));
    let failure = check_images(&disk, &open_as_source, &steps, 0).1.unwrap();
    assert!(failure.contains("acknowledged"), "{failure}");
}

/// Catches a commit of `log.redb` that a failed sync leaves half on the disk and whole in a cache that lies. It takes two
/// syncs, so that nothing is referred to before it is durable; that a start drops the cache is the second guard.
#[test]
fn a_cache_that_lies_after_a_failed_sync_and_cannot_be_dropped_loses_nothing() {
    let disk = recording().keeping_cache();
    let steps = run_source(&disk, |_| {});
    let (images, failure) = check_images(&disk, &open_as_source, &steps, 0);
    assert_eq!(failure, None);
    assert!(images > 600, "{images}");
}

/// Catches a segment that is used again although `log.redb` may lack its rows. Here `log.redb` confirms take-overs and
/// loses them, as on a card that lies; the segment before mends the last one.
#[test]
fn the_last_take_over_that_a_card_confirmed_and_lost_is_mended_from_the_segment_before() {
    let disk = MemoryDisk::default().with_segments(SEGMENT_BYTES);
    let mut store = source(&disk);
    store.settle().unwrap();
    assert!(disk.ignore_syncs(LOG_FILE));
    // Four records fill the first segment. The fifth causes the take-over that is lost.
    for step in 1..=5 {
        store.append(&group(step, 1)).unwrap();
    }
    assert_eq!(source(&disk.after_power_cut()).head().position, store.head().position);
}

/// Catches a reader that misses rows while they move from the journal to `log.redb`, or sees one that is not published.
#[test]
fn readers_see_one_log_while_rows_are_taken_over() {
    let disk = MemoryDisk::default().with_segments(SEGMENT_BYTES);
    let mut store = source(&disk);
    let reader = store.reader();
    let writer = std::thread::spawn(move || {
        for step in 1..400 {
            let size = if step % 50 == 0 { LARGE_GROUP } else { 1 };
            store.append(&group(step, size)).unwrap();
            if step % 7 == 0 {
                store.settle().unwrap();
            }
        }
        store.head()
    });
    while !writer.is_finished() {
        let head = reader.head().position;
        let start = reader.position_at(Sequence::ZERO).unwrap().unwrap();
        let snapshot = reader.snapshot().unwrap();
        let state = snapshot.state().unwrap();
        assert!(head.sequence <= state.position.sequence && state.folded <= state.position.sequence);
        let run = reader.run_after(start, usize::MAX, usize::MAX).unwrap();
        assert!(state.position.sequence <= run.end.sequence);
        assert_eq!(run.changes.chain(start.digest, Sequence::ZERO), run.end.digest);
        let visible: Changes = (1..=state.position.sequence.0)
            .map(|n| run.changes.get(usize::try_from(n - 1).unwrap()).unwrap())
            .collect();
        assert_eq!(visible.chain(start.digest, Sequence::ZERO), state.position.digest);
        for n in [1, head.sequence.0, state.position.sequence.0] {
            assert_eq!(
                snapshot.change_bytes(Sequence(n)).unwrap().as_deref(),
                visible.get(usize::try_from(n - 1).unwrap())
            );
        }
        assert_eq!(snapshot.change_bytes(state.position.sequence.next()).unwrap(), None);
        assert_eq!(reader.position_at(head.sequence).unwrap(), Some(head));
    }
    assert_eq!(reader.head(), writer.join().unwrap());
}

/// Catches a reader that opens `log.redb` before it takes the tail: a take-over between the two hides rows from both.
#[test]
fn a_published_change_is_found_by_every_reader_during_take_overs() {
    const LOOK_UPS: usize = 60_000;
    let mut store = source(&MemoryDisk::default().with_segments(SEGMENT_BYTES));
    let reader = store.reader();
    let looking = std::thread::spawn(move || {
        for _ in 0..LOOK_UPS {
            let head = reader.head().position;
            assert_eq!(reader.position_at(head.sequence).unwrap(), Some(head));
        }
    });
    for step in 1.. {
        store.append(&group(step, 1)).unwrap();
        store.settle().unwrap();
        if looking.is_finished() {
            break;
        }
    }
    looking.join().unwrap();
}
