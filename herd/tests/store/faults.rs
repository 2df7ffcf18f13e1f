//! Power cuts, torn writes and failing disks.
//!
//! Catches: a receipt before the commit is durable, a group that survives in part, a sequence that is used twice, and a
//! writer that goes on after a commit of unknown outcome and overwrites durable changes.

use crate::world::{STORE, World, all_changes, everything, open_source};
use herd::change::{Change, Received};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::store::{ChangeRun, Incoming, JOURNAL_FILE, LOG_FILE, MemoryDisk, Receipt, Store, StoreError, TABLES_FILE};
use rand_like::Dice;

/// Deterministic random numbers. A failing run names its seed.
mod rand_like {
    pub(super) struct Dice(pub(super) u64);

    impl Dice {
        /// Returns a number below `bound`.
        pub(super) fn throw(&mut self, bound: u64) -> u64 {
            // xorshift64* (Vigna 2016); the seed must not be 0.
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
        }
    }
}

/// Payloads that must survive, and the group whose commit has an unknown outcome.
#[derive(Default)]
struct ExpectedPayloads {
    acknowledged: Vec<Vec<u8>>,
    unknown: Vec<Vec<u8>>,
}

fn group(dice: &mut Dice, next: &mut u64, now: RawReading) -> Vec<Incoming> {
    let size = 1 + dice.throw(12);
    let texts = (0..size).map(|_| {
        *next += 1;
        format!("hxb:L{}:LF{next}:UHF{next}", dice.throw(3))
    });
    let origin = crate::world::origin("radio1", "main");
    texts.map(|text| Incoming { raw: text.into_bytes(), origin: origin.clone(), at: now }).collect()
}

fn raws(group: &[Incoming]) -> Vec<Vec<u8>> {
    group.iter().map(|incoming| incoming.raw.clone()).collect()
}

/// Returns the payloads in a log, in order.
fn stored(store: &Store) -> Vec<Vec<u8>> {
    let received = |bytes: &Vec<u8>| match Change::from_bytes(bytes).unwrap() {
        Change::Received(received) => Some(Received::clone(&received).raw),
        _ => None,
    };
    all_changes(store).iter().filter_map(received).collect()
}

/// Asserts that a disk after a fault holds every acknowledged payload exactly once, in order and without gaps.
///
/// Of a group with an unknown outcome it holds all or nothing. Its tables equal those of a fold from the start.
fn assert_intact(found: &MemoryDisk, expected: &ExpectedPayloads, seed: u64) -> Store {
    let clock = RawReading { since_boot_ms: 1, ..RawReading::default() }.in_boot(9);
    let store = open_source(found, Rules::default(), clock);
    let stored = stored(&store);
    let with_unknown = [expected.acknowledged.clone(), expected.unknown.clone()].concat();
    assert!(stored == expected.acknowledged || stored == with_unknown, "seed {seed}: holds {} payloads", stored.len());
    assert_eq!(store.head().folded, store.head().position.sequence, "seed {seed}");

    let copy_disk = MemoryDisk::default();
    let mut copy = Store::open_replica(&copy_disk, STORE).unwrap();
    let from_start = store.reader().run_after(copy.head().position, 100_000, 1 << 24).unwrap();
    copy.apply(from_start).unwrap();
    assert_eq!(everything(&store), everything(&copy), "seed {seed}: chain, tables and fold digest");
    store
}

#[test]
fn acknowledged_payloads_survive_a_power_cut_at_any_commit() {
    for seed in 1..=12_u64 {
        let mut dice = Dice(seed);
        let mut world = World::new();
        let (mut expected, mut next) = (ExpectedPayloads::default(), 0);
        for _ in 0..8 {
            let group = group(&mut dice, &mut next, world.now);
            world.store.append(&group).unwrap();
            expected.acknowledged.extend(raws(&group));
            if dice.throw(4) == 0 {
                world.store.settle().unwrap();
            }
            assert_intact(&world.disk.after_power_cut(), &expected, seed);
            let torn = world.disk.after_torn_power_cut(seed * 1_000 + next);
            assert_intact(&torn, &expected, seed);
            assert_intact(&world.disk.after_kill(), &expected, seed);
        }
    }
}

#[test]
fn a_disk_that_fails_in_a_commit_or_flush_loses_at_most_that_group_and_never_a_part_of_it() {
    let mut interrupted = 0;
    for seed in 1..=60_u64 {
        let mut dice = Dice(seed);
        let mut world = World::new();
        let (mut expected, mut next) = (ExpectedPayloads::default(), 0);
        for _ in 0..dice.throw(4) {
            let group = group(&mut dice, &mut next, world.now);
            world.store.append(&group).unwrap();
            expected.acknowledged.extend(raws(&group));
        }
        let file = [JOURNAL_FILE, LOG_FILE, TABLES_FILE][usize::try_from(dice.throw(3)).unwrap()];
        assert!(world.disk.fail_after(file, dice.throw(40)));
        for _ in 0..40 {
            let group = group(&mut dice, &mut next, world.now);
            let head = world.store.head();
            match world.store.append(&group) {
                Ok(_) => expected.acknowledged.extend(raws(&group)),
                Err(error) => {
                    assert!(matches!(error, StoreError::Storage { .. } | StoreError::Rows(_)), "seed {seed}: {error}");
                    assert_eq!(world.store.head(), head, "seed {seed}: nothing is published");
                    expected.unknown = raws(&group);
                    interrupted += 1;
                    break;
                }
            }
            let flushed = match dice.throw(4) {
                0 => world.store.settle(),
                1 => world.store.step_flush(),
                _ => Ok(()),
            };
            if flushed.is_err() {
                interrupted += 1;
                break;
            }
        }
        if world.store.step_flush().is_err() || !expected.unknown.is_empty() {
            let again = world.store.append(&[world.incoming("hxb:L9:LF9999:UHF9999")]);
            assert!(matches!(again, Err(StoreError::Interrupted)), "seed {seed}: {again:?}");
        }
        for found in [
            world.disk.after_power_cut(),
            world.disk.after_kill(),
            world.disk.after_torn_power_cut(seed),
            world.disk.after_torn_power_cut(seed + 1_000),
        ] {
            let mut store = assert_intact(&found, &expected, seed);
            let next = world.incoming("hxb:L9:LF9999:UHF9999");
            let receipts = store.append(&[next]).unwrap();
            assert!(matches!(receipts[..], [Receipt::Kept { .. }]), "seed {seed}: it goes on: {receipts:?}");
        }
    }
    assert!(interrupted > 20, "the fault came in {interrupted} runs of 60");
}

/// Catches a writer that trusts the kernel's cache after a failed sync: what it would write next could be durable, and
/// what came before it not.
#[test]
fn after_a_failed_sync_of_the_journal_nothing_more_is_stored() {
    for operations in [0, 1] {
        let mut world = World::new();
        world.keeps("hxb:L1:A:U1");
        assert!(world.disk.fail_after(JOURNAL_FILE, operations));
        let head = world.store.head();
        let failed = world.store.append(&[world.incoming("hxb:L1:B:U2")]);
        assert!(matches!(failed, Err(StoreError::Storage { .. })), "{failed:?}");
        assert!(matches!(world.store.append(&[world.incoming("hxb:L1:C:U3")]), Err(StoreError::Interrupted)));
        assert!(matches!(world.store.settle(), Err(StoreError::Interrupted)));
        assert_eq!(world.store.head(), head, "nothing is published");
        let acknowledged = vec![b"hxb:L1:A:U1".to_vec()];
        let expected = ExpectedPayloads { acknowledged, unknown: vec![b"hxb:L1:B:U2".to_vec()] };
        assert_intact(&world.disk.after_power_cut(), &expected, operations);
        assert_intact(&world.disk.after_kill(), &expected, operations);
    }
}

/// Catches a start that takes for durable what only the kernel's cache holds: after a failed sync it lies until the next
/// reboot. The sender of the lost group was told of an error and sends again.
#[test]
fn what_a_failed_sync_has_lost_is_not_taken_for_durable_by_the_next_start() {
    let mut failed = [0; 3];
    for (index, file) in [JOURNAL_FILE, LOG_FILE, TABLES_FILE].into_iter().enumerate() {
        for syncs in 0..16 {
            failed[index] += usize::from(survives_a_failed_sync(file, syncs, &format!("sync {syncs} of {file} fails")));
        }
    }
    assert!(failed.iter().all(|runs| *runs > 5), "the sync failed in {failed:?} runs of 16");
}

/// Runs until a sync fails, goes on in a new process, and reboots. Returns whether the sync failed.
fn survives_a_failed_sync(file: &str, syncs: u64, run: &str) -> bool {
    let mut world = World::new();
    assert!(world.disk.fail_sync(file, syncs));
    let (mut acknowledged, mut unanswered) = (Vec::new(), None);
    for n in 0..40 {
        let text = format!("hxb:L1:A{n}:U{n}");
        let group = [world.incoming(&text)];
        match world.store.append(&group) {
            Ok(_) => acknowledged.push(text.into_bytes()),
            Err(_) => unanswered = Some(group),
        }
        let stored = if n % 5 == 4 { world.store.settle() } else { world.store.step_flush() };
        if stored.is_err() {
            break;
        }
    }
    let has_failed = !world.disk.has_sync_to_fail(file);
    let World { disk, store, now, .. } = world;
    if has_failed {
        let mut store = store;
        assert!(matches!(store.settle(), Err(StoreError::Interrupted)), "{run}: the process does not go on");
        drop(store);
    }
    // The same kernel, with the same cache.
    let restarted = disk.after_kill();
    let mut store = open_source(&restarted, Rules::default(), now.in_boot(1));
    if let Some(group) = unanswered {
        // Either answer says that it is stored.
        store.append(&group).unwrap();
        acknowledged.push(group[0].raw.clone());
    }
    let origin = crate::world::origin("radio1", "main");
    store.append(&[Incoming { raw: b"hxb:L2:B:V".to_vec(), origin, at: now }]).unwrap();
    acknowledged.push(b"hxb:L2:B:V".to_vec());
    store.settle().unwrap();
    let head = store.head();
    drop(store);
    let rebooted = open_source(&restarted.after_power_cut(), Rules::default(), now.in_boot(2));
    assert_eq!((rebooted.head(), stored(&rebooted)), (head, acknowledged), "{run}");
    let verified = herd::store::verify_reader(&rebooted.reader(), &mut |_| {}).unwrap();
    assert!(matches!(verified.tables, herd::store::TablesVerdict::Equal { .. }), "{run}: {}", verified.tables);
    has_failed
}

/// Catches a start that drops what only the journal holds.
#[test]
fn a_damaged_journal_ends_the_start_and_verify_names_the_place() {
    let mut world = World::new();
    world.store.settle().unwrap();
    for n in 0..3 {
        world.keeps(&format!("hxb:L1:A{n}:U{n}"));
    }
    drop(world.store);
    let mut content = world.disk.content(JOURNAL_FILE).unwrap();
    // The use of the second segment begins at 64 KiB, and the second record a block later.
    content[64 * 1_024 + 4_096 + 100] ^= 1;
    assert!(world.disk.overwrite(JOURNAL_FILE, &content));
    let place = |error: StoreError| match error {
        StoreError::DamagedJournal { offset, at, .. } => (offset, at.0),
        other => panic!("{other}"),
    };
    let opened = Store::open_source(&world.disk, Rules::default(), RawReading::default().in_boot(2), || STORE);
    assert_eq!(place(opened.unwrap_err()), (69_632, 3));
    match herd::store::verify_disk(&world.disk, &mut |_| {}) {
        Err(herd::store::VerifyError::Store(error)) => assert_eq!(place(error), (69_632, 3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.disk.content(JOURNAL_FILE).unwrap(), content, "nothing was written");
}

#[test]
fn a_journal_without_its_log_ends_the_start_and_is_kept() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    let World { disk, store, .. } = world;
    drop(store);
    let content = disk.content(JOURNAL_FILE);
    herd::store::Disk::remove(&disk, LOG_FILE).unwrap();
    for _ in 0..2 {
        let opened = Store::open_source(&disk, Rules::default(), RawReading::default().in_boot(2), || STORE);
        assert!(matches!(opened, Err(StoreError::MissingLog { journal: STORE })), "{opened:?}");
    }
    assert_eq!(disk.content(JOURNAL_FILE), content);
}

/// Catches a clean stop that leaves changes in the journal, so that a copy of `log.redb` alone lacks them.
#[test]
fn after_a_clean_stop_the_log_file_alone_is_whole() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    world.store.settle().unwrap();
    let expected = everything(&world.store);
    drop(world.store);
    herd::store::Disk::remove(&world.disk, JOURNAL_FILE).unwrap();
    assert_eq!(everything(&Store::open_replica(&world.disk, STORE).unwrap()), expected);
}

/// Catches a writer that goes on without its tables, and one that loses a group because its tables failed.
#[test]
fn a_failed_flush_stops_the_writer_and_loses_nothing() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    assert!(world.disk.fail_after(TABLES_FILE, 0));
    world.store.step_flush().unwrap();
    world.keeps("hxb:L1:B:U2");
    let head = world.store.head();
    assert!(matches!(world.store.step_flush(), Err(StoreError::Storage { .. })));
    for _ in 0..3 {
        let further = world.incoming("hxb:L2:C:U3");
        assert!(matches!(world.store.append(&[further]), Err(StoreError::Interrupted)));
    }
    assert_eq!(world.store.reader().snapshot().unwrap().state().unwrap().folded, head.folded, "readers see everything");
    let acknowledged = vec![b"hxb:L1:A:U1".to_vec(), b"hxb:L1:B:U2".to_vec()];
    let store =
        assert_intact(&world.disk.after_power_cut(), &ExpectedPayloads { acknowledged, unknown: Vec::new() }, 5);
    assert_eq!(store.head(), head);
}

#[test]
fn an_interrupted_first_start_gets_its_identity_at_the_next() {
    let first = MemoryDisk::default();
    let files = herd::store::Disk::open(&first, LOG_FILE, 1 << 20).unwrap();
    drop(files);
    assert_eq!(Store::last_boot(&first).unwrap(), 0);
    let store = open_source(&first, Rules::default(), RawReading::default().in_boot(1));
    assert_eq!(store.reader().store(), STORE);
}

#[test]
fn the_last_boot_is_that_of_the_last_change_with_a_clock() {
    let world = World::new();
    let World { disk, store, .. } = world.reboot();
    drop(store);
    assert_eq!(Store::last_boot(&disk).unwrap(), 1, "a start alone makes no change");
    let mut store = open_source(&disk, Rules::default(), RawReading::default().in_boot(4));
    let incoming =
        Incoming { raw: b"noise".to_vec(), origin: crate::world::origin("r", "g"), at: RawReading::default() };
    store.append(&[incoming]).unwrap();
    assert_eq!(store.boot(), 4);
    drop(store);
    assert_eq!(Store::last_boot(&disk).unwrap(), 4);
    assert_eq!(Store::last_boot(&MemoryDisk::default()).unwrap(), 0);
    let later = MemoryDisk::default();
    let mut copy = Store::open_replica(&later, STORE).unwrap();
    let unknown = [&b"\x63\x01?"[..]].into_iter().collect();
    copy.apply(ChangeRun::following(copy.head().position, unknown)).unwrap();
    drop(copy);
    assert_eq!(Store::last_boot(&later).unwrap(), 0, "no change of it tells a boot");
}
