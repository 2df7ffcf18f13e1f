//! Stores on a disk without room for what can wait.
//!
//! Catches: a journal that is used again although `log.redb` lacks what it holds; a start, a quiet minute or a stop that
//! writes to a full disk; and a store that does not catch up once there is room.

use crate::property;
use crate::world::{BEGAN_US, all_changes, everything, open_source, origin};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::Sequence;
use herd::store::{Incoming, LOG_FILE, MemoryDisk, Receipt, Store, TABLES_FILE};
use proptest::collection::vec;
use proptest::prelude::*;

/// End of a process.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It stops, and leaves for later what can wait.
    Stop,
    Kill,
    PowerCut,
    /// The drive had written parts of what was not synced.
    TornPowerCut(u64),
}

/// A process from its start to its end.
#[derive(Clone, Debug)]
struct Life {
    has_room: bool,
    /// Number of payloads in each commit.
    commits: Vec<usize>,
    end: End,
}

fn life() -> impl Strategy<Value = Life> {
    let end =
        prop_oneof![Just(End::Stop), Just(End::Kill), Just(End::PowerCut), any::<u64>().prop_map(End::TornPowerCut),];
    (any::<bool>(), vec(1_usize..12, 0..6), end).prop_map(|(has_room, commits, end)| Life { has_room, commits, end })
}

fn now() -> RawReading {
    RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 5_000 }
}

fn scan(n: u64) -> Incoming {
    Incoming { raw: format!("hxb:B{}:LF{n}:UHF{n}", n / 10).into(), origin: origin("gate", "main"), at: now() }
}

fn open(disk: &MemoryDisk) -> Store {
    open_source(disk, Rules::default(), now().in_boot(1))
}

/// Appends `count` payloads after the last change, each of which is kept.
fn append(store: &mut Store, count: usize) {
    let after = store.head().position.sequence.0;
    let payloads: Vec<_> = (after + 1..=after + count as u64).map(scan).collect();
    let receipts = store.append(&payloads).unwrap();
    assert!(receipts.iter().all(|receipt| matches!(receipt, Receipt::Kept { .. })), "{receipts:?}");
}

proptest! {
    #![proptest_config(property::cases(48))]

    #[test]
    fn whatever_is_acknowledged_survives_starts_with_and_without_room(
        lives in vec(life(), 1..12), segment in 2_u64..9,
    ) {
        let mut disk = MemoryDisk::default().with_segments(segment * 4_096);
        let mut kept = open(&disk).head().position.sequence;
        for Life { has_room, commits, end } in lives {
            let place = if has_room { disk.clone() } else { disk.clone().without_room() };
            let mut store = open(&place);
            prop_assert_eq!((store.head().position.sequence, store.head().folded), (kept, kept));
            for count in commits {
                append(&mut store, count);
            }
            kept = store.head().position.sequence;
            disk = match end {
                End::Stop => {
                    prop_assert_eq!(store.settle_if_room().unwrap(), has_room);
                    drop(store);
                    disk
                }
                End::Kill => disk.after_kill(),
                End::PowerCut => disk.after_power_cut(),
                End::TornPowerCut(seed) => disk.after_torn_power_cut(seed),
            };
        }
        let source = open(&disk);
        prop_assert_eq!(source.head().position.sequence, kept);
        prop_assert_eq!(all_changes(&source).len() as u64, kept.0);
        let mut replica = Store::open_replica(&MemoryDisk::default(), source.reader().store()).unwrap();
        let start = source.reader().position_at(Sequence::ZERO).unwrap().unwrap();
        replica.apply(source.reader().run_after(start, 10_000, 1 << 20).unwrap()).unwrap();
        replica.settle().unwrap();
        prop_assert_eq!(everything(&replica), everything(&source));
    }
}

/// No file can grow here, as on a disk without a free byte.
#[test]
fn a_store_that_was_killed_opens_commits_and_rests_on_a_full_disk() {
    let disk = MemoryDisk::default();
    let mut store = open(&disk);
    append(&mut store, 5);
    store.settle().unwrap();
    append(&mut store, 3);
    let killed = disk.after_kill();
    let full = killed.clone().without_room();
    for file in [LOG_FILE, TABLES_FILE] {
        assert!(full.keep_length(file));
    }
    let expected = everything(&store);
    let mut store = open(&full);
    assert_eq!(everything(&store), expected);
    append(&mut store, 2);
    assert!(!store.settle_if_room().unwrap());
    let (head, expected) = (store.head(), everything(&store));
    drop(store);
    let store = open(&killed.after_power_cut());
    assert_eq!((store.head(), everything(&store)), (head, expected));
}
