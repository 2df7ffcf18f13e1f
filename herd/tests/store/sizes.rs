//! Sizes that a yard may reach: rows as full as they get, and a log of tens of thousands of changes.
//!
//! Catches: a row that is larger than a block of the tables and loses its end on the way to the file or to a replica; and what
//! is right for a few changes only, because they never left memory, a block or a row of the log.

use crate::invariants::all_hold;
use crate::world::{STORE, World, everything, origin};
use herd::position::Sequence;
use herd::store::{Incoming, MemoryDisk, Receipt, Store, TablesVerdict, verify_disk};
use herd::tables::MAX_PAST_TAGS;

/// Past tags of the animal that has the most: a tag a week for twenty years.
const PAST_TAGS: usize = 1_000;
/// Readers that have given it a lid of their own.
const READER_GROUPS: usize = 100;
/// Maximum number of changes in a page of a test.
const PAGE_CHANGES: usize = 10_000;

/// Appends payloads in groups. All of them must be accepted.
fn append_all(world: &mut World, payloads: impl IntoIterator<Item = Incoming>, group: usize) {
    let payloads: Vec<_> = payloads.into_iter().collect();
    for group in payloads.chunks(group) {
        let receipts = world.store.append(group).unwrap();
        assert!(receipts.iter().all(|receipt| matches!(receipt, Receipt::Kept { .. })), "{receipts:?}");
    }
}

/// Copies the log of `source` in pages.
fn copied(source: &Store, disk: &MemoryDisk) -> Store {
    let mut replica = Store::open_replica(disk, STORE).unwrap();
    while replica.head().position != source.head().position {
        let run = source.reader().run_after(replica.head().position, PAGE_CHANGES, 1 << 20).unwrap();
        replica.apply(run).unwrap();
    }
    replica.settle().unwrap();
    replica
}

fn assert_verified(disk: &MemoryDisk) {
    let report = verify_disk(disk, &mut |_| {}).unwrap();
    assert!(matches!(report.tables, TablesVerdict::Equal { .. }), "{report:?}");
}

#[test]
fn an_animal_with_as_many_tags_and_lids_as_a_yard_may_give_it_is_equal_everywhere() {
    let mut world = World::new();
    let long = "x".repeat(58);
    world.keeps(&format!("event:hxbind1|lid:{long}|lf:{long}000000|lot:L"));
    let repairs: Vec<_> = (1..=PAST_TAGS)
        .map(|n| world.incoming(&format!("event:hxbrep{n}|lid:{long}|new_lf:{long}{n:06}|notes:{long}{}", n % 2)))
        .collect();
    append_all(&mut world, repairs, 100);
    let lids: Vec<_> = (0..READER_GROUPS)
        .map(|group| Incoming {
            origin: origin("radio1", &format!("group {group}")),
            ..world.incoming(&format!("event:hxbchi1|lid:{long}{group:06}|lf:{long}{PAST_TAGS:06}"))
        })
        .collect();
    append_all(&mut world, lids, 100);

    let herd = world.herd();
    let (animal, row) = herd.only_animal();
    assert_eq!((herd.tags_of(animal).len(), row.lids.len()), (MAX_PAST_TAGS + 1, READER_GROUPS + 1));
    all_hold(&herd).unwrap();
    world.store.settle().unwrap();
    let replica = copied(&world.store, &MemoryDisk::default());
    assert_eq!(everything(&replica), everything(&world.store));
    let before = everything(&world.store);
    let World { disk, store, now, .. } = world;
    drop(store);
    assert_verified(&disk);
    let reopened = crate::world::open_source(&disk, herd::decide::Rules::default(), now.in_boot(1));
    assert_eq!(everything(&reopened), before);
}

#[test]
fn fifty_thousand_changes_are_equal_at_a_replica_and_after_a_start() {
    let mut world = World::new();
    let lots = (0..50_000).map(|n| world.incoming(&format!("hxb:LOT{}:982{n:012}:E28011{n:018}", n / 150)));
    let lots: Vec<_> = lots.collect();
    append_all(&mut world, lots, 1_000);
    world.store.settle().unwrap();
    let disk = MemoryDisk::default();
    let replica = copied(&world.store, &disk);
    assert_eq!(replica.head(), world.store.head());
    let head = replica.head();
    assert_eq!(head.folded, Sequence(50_001));
    drop(replica);
    assert_verified(&disk);
    assert_eq!(Store::open_replica(&disk, STORE).unwrap().head(), head);
}
