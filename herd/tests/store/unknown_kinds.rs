//! Changes of a later program, in the middle of a log.
//!
//! Catches: a replica that drops, alters or skips an unknown change; tables that go on after a change whose effect they
//! lack; and a source that decides on such tables.

use crate::replicas::run_of;
use crate::world::{STORE, World, all_changes, everything};
use herd::change::{Change, ChangeError, EpochStart, Suppressed};
use herd::decide::Rules;
use herd::position::{Epoch, Sequence, StoreId};
use herd::store::{Changes, MemoryDisk, Store, StoreError, TablesVerdict, verify_disk};

const LATER: &[u8] = b"\x63\x01what only a later program can read";
const WHY: ChangeError = ChangeError::Unknown { kind: 99, version: 1 };

/// Returns a log of three known changes, an unknown one, and one more known.
fn log() -> Vec<Vec<u8>> {
    let mut world = World::new();
    for n in 0..3 {
        world.keeps(&format!("hxb:L1:LF{n}:UHF{n}"));
    }
    let mut changes = all_changes(&world.store);
    changes.insert(3, LATER.to_vec());
    changes
}

fn changes_of(log: &[Vec<u8>]) -> Changes {
    log.iter().map(Vec::as_slice).collect()
}

/// Makes a replica of a log of epoch 1.
pub(crate) fn replica_of(disk: &MemoryDisk, log: &[Vec<u8>]) -> Store {
    let mut replica = Store::open_replica(disk, STORE).unwrap();
    let run = herd::store::ChangeRun {
        end: herd::position::Position { epoch: Epoch(1), ..run_of(replica.head().position, changes_of(log)).end },
        ..run_of(replica.head().position, changes_of(log))
    };
    replica.apply(run).unwrap();
    replica
}

#[test]
fn a_replica_keeps_verifies_and_serves_an_unknown_change_and_its_tables_stop_before_it() {
    let disk = MemoryDisk::default();
    let replica = replica_of(&disk, &log());
    let head = replica.head();
    assert_eq!((head.position.sequence, head.folded, head.blocked.clone()), (Sequence(5), Sequence(3), Some(WHY)));
    assert_eq!(all_changes(&replica), log());
    let from = replica.reader().position_at(Sequence(2)).unwrap().unwrap();
    let served = replica.reader().run_after(from, 10, 1 << 20).unwrap();
    assert_eq!((served.changes.get(1), served.end), (Some(LATER), head.position));
    let tables = crate::herd_view::HerdView::read(&replica.reader().snapshot().unwrap());
    assert_eq!(tables.totals.received, 2, "the tables are those of the changes before it");

    let kept = everything(&replica);
    drop(replica);
    assert_eq!(everything(&Store::open_replica(&disk, STORE).unwrap()), kept, "after opening it anew");
    let cut = disk.after_power_cut();
    assert_eq!(everything(&Store::open_replica(&cut, STORE).unwrap()), kept, "after a power cut");
}

#[test]
fn a_blocked_replica_keeps_further_changes() {
    let disk = MemoryDisk::default();
    let mut replica = replica_of(&disk, &log()[..4]);
    for change in &log()[4..] {
        let run = run_of(replica.head().position, [change.as_slice()].into_iter().collect());
        assert_eq!(replica.apply(run).unwrap().changes, 1);
    }
    assert_eq!((replica.head().folded, replica.head().blocked.clone()), (Sequence(3), Some(WHY)));
    let at_once = replica_of(&MemoryDisk::default(), &log());
    assert_eq!(everything(&replica), everything(&at_once));
}

#[test]
fn a_source_with_such_a_log_decides_nothing() {
    let disk = MemoryDisk::default();
    drop(replica_of(&disk, &log()));
    let world = World::new();
    let clock = world.now.in_boot(2);
    let mut source = Store::open_source(&disk, Rules::default(), clock, || STORE).unwrap();
    let before = everything(&source);
    let behind = |refused: Result<(), StoreError>| {
        let expected = (Sequence(3), Sequence(5));
        match refused {
            Err(StoreError::TablesBehind { folded, head, why }) => assert_eq!(((folded, head), why), (expected, WHY)),
            other => panic!("{other:?}"),
        }
    };
    behind(source.append(&[world.incoming("hxb:L1:LF9:UHF9")]).map(|_| ()));
    let suppressed = Suppressed { channel: "radio1".to_owned(), count: 1, first: clock, last: clock };
    behind(source.append_suppressed(suppressed));
    assert_eq!(everything(&source), before);
}

#[test]
fn a_known_kind_with_an_invalid_body_stops_the_tables_too() {
    let mut log = log();
    log[3] = b"\x01\x01\xff".to_vec();
    let replica = replica_of(&MemoryDisk::default(), &log);
    assert_eq!(replica.head().blocked, Some(ChangeError::Damaged { kind: 1, version: 1 }));
    assert_eq!(replica.head().folded, Sequence(3));
}

#[test]
fn an_epoch_with_a_lower_number_begins_nothing_however_often_the_log_is_opened() {
    let world = World::new();
    let epoch = |number: u32| {
        let clock = world.now.in_boot(1);
        let (writer, acceptance) = (StoreId([9; 16]), None);
        Change::Epoch(EpochStart { epoch: Epoch(number), store: STORE, writer, clock, acceptance }).to_bytes()
    };
    let disk = MemoryDisk::default();
    let mut replica = Store::open_replica(&disk, STORE).unwrap();
    for (change, expected) in [(epoch(1), 1), (epoch(3), 3), (epoch(2), 3), (epoch(3), 3), (epoch(0), 3), (epoch(4), 4)]
    {
        let mut run = run_of(replica.head().position, [change.as_slice()].into_iter().collect());
        run.end.epoch = Epoch(expected);
        replica.apply(run).unwrap();
        assert_eq!(replica.head().position.epoch, Epoch(expected));
    }
    let epochs = |store: &Store| -> Vec<u32> {
        (0..=6).map(|n| store.reader().position_at(Sequence(n)).unwrap().unwrap().epoch.0).collect()
    };
    let before = epochs(&replica);
    assert_eq!(before, [0, 1, 3, 3, 3, 3, 4]);
    drop(replica);
    assert_eq!(epochs(&Store::open_replica(&disk, STORE).unwrap()), before);
}

/// Catches a digest of other changes beside tables that end within a run. The next start would fold the whole log again.
#[test]
fn tables_that_end_within_a_run_have_the_digest_of_their_last_change() {
    let disk = MemoryDisk::default();
    let mut replica = replica_of(&disk, &log());
    replica.settle().unwrap();
    drop(replica);
    let tables = verify_disk(&disk, &mut |_| {}).unwrap().tables;
    assert!(matches!(tables, TablesVerdict::Equal { folded: Sequence(3), .. }), "{tables:?}");
}
