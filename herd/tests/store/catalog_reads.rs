//! Reads and corrections as a catalog counts them.
//!
//! Catches: a read of another quarter or channel, a rejection that was accepted and still counts, and a list of corrections
//! that begins elsewhere than at its cursor.

use crate::catalog_figures::built;
use crate::corrections::void;
use crate::world::{BEGAN_US, World};
use herd::catalog::{QUARTER_US, ReadCounts, ToLookAt};
use herd::change::{AnimalId, Correction};
use herd::position::Sequence;
use std::ops::Range;

const DAY_MS: u64 = 86_400_000;
const ALL_TIMES: Range<i64> = i64::MIN..i64::MAX;

/// Catches reads that are counted in another quarter, or that lack what people should look at.
#[test]
fn reads_are_counted_by_quarter_and_channel() {
    let mut world = World::new();
    let receive = |world: &mut World, text: &str, channel: &str, rssi_dbm| {
        let mut incoming = world.incoming(text);
        (incoming.origin.channel, incoming.origin.rssi_dbm) = (channel.into(), rssi_dbm);
        world.store.append(&[incoming]).unwrap();
        world.store.head().position.sequence
    };
    receive(&mut world, "hxb:L1:A:U1", "radio1", Some(-110));
    let voided = receive(&mut world, "hxb:L1:B:U2", "radio1", Some(-111));
    receive(&mut world, "event:hxbchi1|lf:A|weight:-5", "radio1", None);
    let rejected = receive(&mut world, "nonsense", "radio2", None);
    world.now.synchronized = false;
    receive(&mut world, "hxb", "radio2", None);
    world.now.synchronized = true;
    world.corrects(void(voided.0));
    // 10:45:00, the first moment of the next quarter.
    world.wait(580_000);
    let late = receive(&mut world, "hxb:L1:A:U1", "radio1", None);
    let catalog = built(&world);
    let first_us = BEGAN_US - 320_000_000;
    let counts =
        |first: Sequence, last: Sequence, received| ReadCounts { received, first, last, ..ReadCounts::default() };
    let radio1 = ReadCounts { voided: 1, refused_weights: 1, weak: 1, ..counts(Sequence(2), Sequence(4), 3) };
    let radio2 = ReadCounts {
        rejected: 2,
        rejections: vec![("field_count", 1), ("unknown_prefix", 1)],
        doubtful: 1,
        ..counts(rejected, Sequence(6), 2)
    };
    let next = counts(late, late, 1);
    let found: Vec<_> =
        catalog.reads(&ALL_TIMES).map(|read| (read.starts_us, read.channel, read.counts.clone())).collect();
    let expected = [
        (first_us, "radio1", radio1.clone()),
        (first_us, "radio2", radio2.clone()),
        (first_us + QUARTER_US, "radio1", next),
    ];
    assert_eq!(found, expected);
    for (range, quarters) in [
        (first_us..first_us + QUARTER_US, 2),
        (first_us + 1..first_us + QUARTER_US, 0),
        (first_us..first_us + QUARTER_US + 1, 3),
        (first_us + 1..first_us + QUARTER_US + 1, 1),
        (first_us + QUARTER_US..first_us, 0),
    ] {
        assert_eq!(catalog.reads(&range).count(), quarters, "{range:?}");
    }
    let both = ReadCounts {
        voided: 1,
        refused_weights: 1,
        weak: 1,
        received: 5,
        last: Sequence(6),
        first: Sequence(2),
        ..radio2.clone()
    };
    let first_quarter = first_us..first_us + QUARTER_US;
    assert_eq!(catalog.read_total(&first_quarter), both);
    let mut backwards = radio2;
    backwards.add(&ReadCounts::default());
    backwards.add(&radio1);
    assert_eq!(backwards, both);
    let look =
        ToLookAt { head: catalog.counts(), rejected: 2, refused_weights: 1, doubtful: 1, weak: 1, corrections: 1 };
    assert_eq!(catalog.to_look_at(&first_quarter), look);
}

/// Catches a read that is still rejected or void after a person accepted it.
#[test]
fn reads_are_counted_as_later_changes_left_them() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbpai1|lid:1|lf:A");
    assert_eq!(world.rejects("event:hxbchi1|lid:0|weight:-5"), "no_animal_named");
    let of = world.store.head().position.sequence;
    let counts = |world: &World| {
        let total = built(world).read_total(&ALL_TIMES);
        (total.rejected, total.rejections.len(), total.voided, total.refused_weights)
    };
    let accept = Correction::AcceptRejected { sequence: of, animal: Some(AnimalId(animal)), batch_number: None };
    assert_eq!(counts(&world), (1, 1, 0, 0));
    world.corrects(accept.clone());
    assert_eq!(counts(&world), (0, 0, 0, 1));
    world.corrects(void(of.0));
    assert_eq!(counts(&world), (0, 0, 1, 1));
    world.corrects(accept);
    assert_eq!(counts(&world), (0, 0, 0, 1));
}

#[test]
fn corrections_are_listed_latest_first_and_by_time() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    let pen = |pen: &str| Correction::MovePen { animal: AnimalId(2), pen: pen.to_owned() };
    let first = Sequence(world.corrects(pen("P1")));
    world.wait(DAY_MS);
    let second = Sequence(world.corrects(pen("P2")));
    let catalog = built(&world);
    for (before, expected) in [
        (None, vec![second, first]),
        (Some(second), vec![first]),
        (Some(second.next()), vec![second, first]),
        (Some(first), vec![]),
    ] {
        assert_eq!(catalog.corrections(before).collect::<Vec<_>>(), expected, "{before:?}");
        assert_eq!(catalog.corrections_of(ALL_TIMES, before).collect::<Vec<_>>(), expected, "{before:?}");
    }
    let of_first = BEGAN_US..BEGAN_US + 1;
    assert_eq!(catalog.corrections_of(of_first.clone(), None).collect::<Vec<_>>(), [first]);
    assert_eq!((catalog.corrections_in(&of_first), catalog.corrections_in(&ALL_TIMES)), (1, 2));
}
