//! Replicas: equal to their source for any groups and pages. Rebuilt tables equal the ones kept along the way, and an
//! altered page is refused whole.
//!
//! Catches: a decision that depends on the group, a fold that depends on the page, staged rows that are never written,
//! tables that are trusted although they are behind, an altered page that is accepted, and a panic on hostile bytes.

use crate::property;
use crate::steps::{Step, steps};
use crate::world::{BEGAN_US, STORE, all_changes, everything, open_source};
use herd::change::{Change, MAX_CHANGE_BYTES};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::position::{Digest, Epoch, Sequence, StoreId};
use herd::store::{ChangeRun, Changes, Disk, MAX_REPROCESSED, MemoryDisk, Receipt, Store, StoreError, TABLES_FILE};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Appends the steps in groups of these sizes, which recur. A reboot ends a group.
fn appended(disk: &MemoryDisk, steps: &[Step], group_sizes: &[usize]) -> (Store, Vec<Receipt>) {
    let mut now = RawReading { received_at_us: BEGAN_US, synchronized: true, since_boot_ms: 1_000 };
    let mut boot = 1;
    let mut store = open_source(disk, Rules::default(), now.in_boot(boot));
    let (mut receipts, mut group, mut sizes) = (Vec::new(), Vec::new(), group_sizes.iter().cycle());
    let mut size = *sizes.next().unwrap();
    for step in steps {
        step.pass(&mut now);
        match step {
            Step::Wait { .. } => {}
            Step::Send(sent) => group.push(sent.incoming(now)),
            Step::Correct(request) => {
                receipts.extend(store.append(&std::mem::take(&mut group)).unwrap());
                store.correct(request, now).unwrap();
            }
            Step::Reprocess => {
                receipts.extend(store.append(&std::mem::take(&mut group)).unwrap());
                store.reprocess(Sequence::ZERO, MAX_REPROCESSED, now).unwrap();
            }
            Step::Reboot => {
                receipts.extend(store.append(&std::mem::take(&mut group)).unwrap());
                drop(store);
                boot += 1;
                store = open_source(disk, Rules::default(), now.in_boot(boot));
            }
        }
        if group.len() >= size {
            receipts.extend(store.append(&std::mem::take(&mut group)).unwrap());
            size = *sizes.next().unwrap();
        }
    }
    receipts.extend(store.append(&group).unwrap());
    (store, receipts)
}

fn source_of(steps: &[Step]) -> Store {
    appended(&MemoryDisk::default(), steps, &[7]).0
}

fn replica(disk: &MemoryDisk) -> Store {
    Store::open_replica(disk, STORE).unwrap()
}

fn run_after(source: &Store, after: u64, limit: usize) -> ChangeRun {
    let after = source.reader().position_at(Sequence(after)).unwrap().unwrap();
    source.reader().run_after(after, limit, 1 << 20).unwrap()
}

proptest! {
    #![proptest_config(property::cases(48))]

    #[test]
    fn groups_of_any_sizes_decide_the_same(steps in steps(60), sizes in vec(1_usize..20, 1..6)) {
        let (alone, receipts_alone) = appended(&MemoryDisk::default(), &steps, &[1]);
        let (grouped, receipts) = appended(&MemoryDisk::default(), &steps, &sizes);
        prop_assert_eq!(receipts, receipts_alone);
        prop_assert_eq!(everything(&grouped), everything(&alone));
    }

    #[test]
    fn a_log_with_a_journal_and_one_without_give_the_same_answers(
        steps in steps(60), sizes in vec(1_usize..20, 1..6), segment in 2_u64..9, limit in 1_usize..15,
    ) {
        let with = MemoryDisk::default().with_segments(segment * 4_096);
        let without = MemoryDisk::default().without_journal_room();
        let (source, receipts) = appended(&with, &steps, &sizes);
        let (plain, plain_receipts) = appended(&without, &steps, &sizes);
        prop_assert_eq!(receipts, plain_receipts);
        prop_assert_eq!(everything(&source), everything(&plain));

        let copies = [MemoryDisk::default().with_segments(segment * 4_096), MemoryDisk::default().without_journal_room()];
        for disk in &copies {
            let mut copy = replica(disk);
            while copy.head().position != source.head().position {
                copy.apply(run_after(&source, copy.head().position.sequence.0, limit)).unwrap();
                if copy.head().position.sequence.0.is_multiple_of(5) {
                    drop(copy);
                    copy = replica(disk);
                }
            }
            prop_assert_eq!(everything(&copy), everything(&source));
            let changes = all_changes(&source);
            for after in 0..changes.len() {
                let run = run_after(&copy, after as u64, limit);
                let end = after + run.changes.len();
                prop_assert!(end > after && run.changes.iter().eq(&changes[after..end]), "after {}", after);
                prop_assert_eq!(Some(run.end), plain.reader().position_at(Sequence(end as u64)).unwrap());
            }
        }
        let expected = everything(&source);
        drop((source, plain));
        for disk in [with, without] {
            prop_assert_eq!(&everything(&replica(&disk)), &expected);
        }
    }

    #[test]
    fn pages_of_any_sizes_repeated_and_overlapping_make_an_equal_replica(
        steps in steps(60), pages in vec((1_usize..15, 0_u64..20, 1_u8..3), 1..8),
    ) {
        let source = source_of(&steps);
        let mut replica = replica(&MemoryDisk::default());
        for (limit, back, times) in pages.iter().cycle() {
            let applied = replica.head().position.sequence;
            if applied == source.head().position.sequence {
                break;
            }
            for _ in 0..*times {
                replica.apply(run_after(&source, applied.0.saturating_sub(*back), *limit)).unwrap();
            }
            // Those may have brought nothing new. This one does.
            replica.apply(run_after(&source, replica.head().position.sequence.0, *limit)).unwrap();
        }
        prop_assert_eq!(everything(&replica), everything(&source));
    }

    #[test]
    fn lost_tables_are_rebuilt_to_the_same(steps in steps(60)) {
        let disk = MemoryDisk::default();
        let (store, _) = appended(&disk, &steps, &[5]);
        let kept = everything(&store);
        drop(store);
        disk.remove(TABLES_FILE).unwrap();
        prop_assert_eq!(everything(&replica(&disk)), kept);
    }

    #[test]
    fn tables_of_an_earlier_durable_state_are_completed_to_the_same(
        steps in steps(60), settled_at in any::<Index>(),
    ) {
        let source = source_of(&steps);
        let disk = MemoryDisk::default();
        let mut copy = replica(&disk);
        let settled_at = settled_at.index(all_changes(&source).len()) as u64;
        while copy.head().position != source.head().position {
            let applied = copy.head().position.sequence.0;
            if applied == settled_at {
                copy.settle().unwrap();
            }
            copy.apply(run_after(&source, applied, 1)).unwrap();
        }
        let cut = disk.after_power_cut();
        prop_assert_eq!(everything(&replica(&cut)), everything(&source));
    }

    #[test]
    fn any_bytes_decode_to_a_change_or_an_error(bytes in vec(any::<u8>(), 0..200), known in 0_u8..8) {
        let mut near = bytes.clone();
        near.splice(0..near.len().min(2), [known, 1]);
        for bytes in [bytes, near] {
            if let Ok(change) = Change::from_bytes(&bytes) {
                prop_assert_eq!(Change::from_bytes(&change.to_bytes()), Ok(change));
            }
        }
    }

    #[test]
    fn a_change_with_an_altered_byte_is_decoded_or_refused_without_a_panic(
        steps in steps(20), which in any::<Index>(), at in any::<Index>(), byte: u8,
    ) {
        let mut changes = all_changes(&source_of(&steps));
        let which = which.index(changes.len());
        let change = &mut changes[which];
        let at = at.index(change.len());
        change[at] = byte;
        if let Ok(read) = Change::from_bytes(change) {
            prop_assert_eq!(Change::from_bytes(&read.to_bytes()), Ok(read));
        }
    }

    #[test]
    fn an_altered_page_is_refused_and_nothing_of_it_is_written(
        steps in steps(40), applied in any::<Index>(), how in alterations(),
    ) {
        let source = source_of(&steps);
        let head = source.head().position.sequence.0;
        let disk = MemoryDisk::default();
        let mut copy = replica(&disk);
        let applied = applied.index(usize::try_from(head).unwrap()) as u64;
        if applied > 0 {
            copy.apply(run_after(&source, 0, usize::try_from(applied).unwrap())).unwrap();
        }
        let before = everything(&copy);
        let good = run_after(&source, before.0.position.sequence.0, 1_000);
        let altered = how.iter().fold(good.clone(), |run, how| how.alter(run));
        prop_assume!(altered != good);
        let refused = copy.apply(altered);
        prop_assert!(refused.is_err(), "{:?} was applied: {:?}", how, refused);
        prop_assert_eq!(everything(&copy), before);
        copy.apply(good).unwrap();
        prop_assert_eq!(everything(&copy), everything(&source));
    }

    #[test]
    fn a_page_that_ends_before_the_head_and_differs_from_the_log_is_refused(
        steps in steps(40), at in any::<Index>(),
    ) {
        let source = source_of(&steps);
        let mut copy = replica(&MemoryDisk::default());
        copy.apply(run_after(&source, 0, 1_000)).unwrap();
        let before = everything(&copy);
        let at = at.index(before.1.len()) as u64;
        let other: Changes = [&b"\x63\x01of another history"[..]].into_iter().collect();
        let run = run_of(source.reader().position_at(Sequence(at)).unwrap().unwrap(), other);
        prop_assert!(copy.apply(run).is_err());
        prop_assert_eq!(everything(&copy), before);
    }
}

/// Returns a run whose end follows from its changes, as from a source that lies consistently.
pub(crate) fn run_of(after: herd::position::Position, changes: Changes) -> ChangeRun {
    let digest = changes.chain(after.digest, after.sequence);
    let sequence = Sequence(after.sequence.0 + changes.len() as u64);
    ChangeRun { after, end: herd::position::Position { sequence, digest, ..after }, changes }
}

/// A fault of a page.
#[derive(Clone, Debug)]
enum Alteration {
    Byte { change: Index, at: Index, xor: u8 },
    Missing { change: Index },
    Repeated { change: Index },
    TooLong,
    AfterDigest,
    AfterSequence { by: u64 },
    AfterEpoch,
    EndDigest,
    EndSequence { by: u64 },
    EndEpoch,
    OtherStore,
    OtherStoreAtTheEnd,
}

fn alterations() -> impl Strategy<Value = Vec<Alteration>> {
    use Alteration as A;
    let one = prop_oneof![
        (any::<Index>(), any::<Index>(), 1_u8..).prop_map(|(change, at, xor)| A::Byte { change, at, xor }),
        any::<Index>().prop_map(|change| A::Missing { change }),
        any::<Index>().prop_map(|change| A::Repeated { change }),
        Just(A::TooLong),
        Just(A::AfterDigest),
        prop_oneof![1_u64..5, Just(u64::MAX)].prop_map(|by| A::AfterSequence { by }),
        Just(A::AfterEpoch),
        Just(A::EndDigest),
        prop_oneof![1_u64..5, Just(u64::MAX)].prop_map(|by| A::EndSequence { by }),
        Just(A::EndEpoch),
        Just(A::OtherStore),
        Just(A::OtherStoreAtTheEnd),
    ];
    vec(one, 1..3)
}

impl Alteration {
    fn alter(&self, mut run: ChangeRun) -> ChangeRun {
        let mut changes: Vec<Vec<u8>> = run.changes.iter().map(<[u8]>::to_vec).collect();
        let count = changes.len();
        match self {
            Self::Byte { .. } | Self::Missing { .. } | Self::Repeated { .. } if count == 0 => {}
            Self::Byte { change, at, xor } => {
                let change = &mut changes[change.index(count)];
                let at = at.index(change.len());
                change[at] ^= xor;
            }
            Self::Missing { change } => drop(changes.remove(change.index(count))),
            Self::Repeated { change } => changes.push(changes[change.index(count)].clone()),
            Self::TooLong => changes.push(vec![99; MAX_CHANGE_BYTES + 1]),
            Self::AfterDigest => run.after.digest = Digest([1; 32]),
            Self::AfterSequence { by } => run.after.sequence = Sequence(run.after.sequence.0.wrapping_add(*by)),
            Self::AfterEpoch => run.after.epoch = Epoch(7),
            Self::EndDigest => run.end.digest = Digest([1; 32]),
            Self::EndSequence { by } => run.end.sequence = Sequence(run.end.sequence.0.wrapping_add(*by)),
            Self::EndEpoch => run.end.epoch = Epoch(7),
            Self::OtherStore => run.after.store = StoreId([8; 16]),
            Self::OtherStoreAtTheEnd => run.end.store = StoreId([8; 16]),
        }
        run.changes = changes.iter().map(Vec::as_slice).collect();
        run
    }
}

#[test]
fn an_overlong_change_is_refused_even_if_its_digests_agree() {
    let mut copy = replica(&MemoryDisk::default());
    let long = vec![99; MAX_CHANGE_BYTES + 1];
    let run = run_of(copy.head().position, [long.as_slice()].into_iter().collect());
    assert!(matches!(copy.apply(run), Err(herd::store::ApplyError::Oversize { at: Sequence(1), .. })));
    assert_eq!(copy.head().position.sequence, Sequence::ZERO);
}

#[test]
fn a_payload_too_long_for_followers_is_refused_at_the_source() {
    let mut world = crate::world::World::new();
    world.keeps("hxb:L1:A:U1");
    let head = world.store.head();
    let group = [world.incoming("hxb:L1:B:U2"), world.incoming(&"x".repeat(MAX_CHANGE_BYTES))];
    let too_long = match world.store.append(&group) {
        Err(StoreError::Oversize { bytes, .. }) => bytes - MAX_CHANGE_BYTES,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.store.head(), head);
    let longest = "x".repeat(MAX_CHANGE_BYTES - too_long);
    let refused = world.store.append(&[world.incoming(&format!("{longest}x"))]);
    assert!(matches!(refused, Err(StoreError::Oversize { bytes, .. }) if bytes == MAX_CHANGE_BYTES + 1), "{refused:?}");
    world.rejects(&longest);
    world.keeps("hxb:L1:B:U2");
}

/// Catches a copy that goes on with the history of another barn, because its directory was taken for that one.
#[test]
fn the_copy_of_another_history_is_refused_and_left_as_it_is() {
    let disk = MemoryDisk::default();
    let barn = open_source(&MemoryDisk::default(), Rules::default(), RawReading::default().in_boot(1));
    let mut copy = Store::open_replica(&disk, STORE).unwrap();
    copy.apply(barn.reader().run_after(copy.head().position, 10, 1 << 20).unwrap()).unwrap();
    let head = copy.head();
    drop(copy);
    // Another one in the last byte only.
    let mut other = STORE;
    other.0[15] ^= 1;
    match Store::open_replica(&disk, other) {
        Err(StoreError::OtherStore { expected, found, .. }) => assert_eq!((expected, found), (other, STORE)),
        opened => panic!("{opened:?}"),
    }
    assert_eq!(Store::open_replica(&disk, STORE).unwrap().head(), head);
}
