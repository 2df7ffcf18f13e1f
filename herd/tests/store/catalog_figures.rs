//! The catalog of a small yard whose animals, figures and counts are known by hand.
//!
//! Catches: a value of an animal that no page shows (a gain, an export, a doubtful time), and a figure, count or list that is
//! wrong in the same way whether the catalog followed or was built.

use crate::corrections::void;
use crate::world::{BEGAN_US, World};
use herd::catalog::{
    AnimalFilter, Catalog, CatalogAnimal, HeadCounts, HeadFigures, HeadGroup, LotFigures, QUARTER_US, ReadCounts, Sort,
    ToLookAt,
};
use herd::change::{AnimalId, AnimalStatus, Correction};
use herd::clock::WallTime;
use herd::position::Sequence;
use std::ops::{ControlFlow, Range};

const DAY_MS: u64 = 86_400_000;
const DAY_US: i64 = 86_400_000_000;
const ALL_TIMES: Range<i64> = i64::MIN..i64::MAX;

pub(crate) fn built(world: &World) -> Catalog {
    Catalog::build(&world.store.reader(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Returns the time of the day with this number, which is known or doubtful.
fn day(number: i64, synchronized: bool) -> Option<WallTime> {
    Some(WallTime { at_us: BEGAN_US + number * DAY_US, synchronized })
}

/// Makes a yard of five head: one that is weighed twice, one that came back, one whose clock was not set when it came, one that
/// was first seen when it left, and a dead one.
pub(crate) fn yard() -> World {
    let mut world = World::new();
    world.keeps(
        "event:hxbind1|lid:1|lot:L1|pen:P1|funder:Co A|sex:Steer|visual_id:V1|weight:200|lf:982000000000001|epc:E28011606000020443100001",
    );
    world.keeps("hxb:L1:982000000000002:");
    world.now.synchronized = false;
    world.keeps("event:hxbind2|lid:2|lot:L2|pen:P1|sex:Heifer|weight:300|lf:TAG3");
    world.now.synchronized = true;
    world.wait(10 * DAY_MS);
    world.keeps("event:hxbchi1|lid:1|weight:214.2");
    world.keeps("event:hxbchi2|lid:2|weight:500");
    world.keeps("hxe:OUT1:982000000000002:");
    world.wait(DAY_MS);
    world.keeps("hxb:L3:982000000000002:U3");
    world.keeps("hxb:L1:982000000000001:STRANGE");
    world.keeps("hxe:OUT2:982000000000004:U4");
    world.keeps("hxb:L1:982000000000005:U5");
    world.corrects(Correction::Died { animal: AnimalId(11) });
    world
}

/// Returns an animal of which only this is known.
fn head(id: u64, status: AnimalStatus, lf: &str, last_seen: Option<WallTime>) -> CatalogAnimal {
    CatalogAnimal {
        id: AnimalId(id),
        status,
        visual_id: None,
        lf: Some(lf.into()),
        lf_is_identity: lf.len() == 15,
        epc: None,
        is_unconfirmed: false,
        pen: None,
        lot: None,
        is_in_lot: false,
        export_lot: None,
        funder: None,
        sex: None,
        weight_g: None,
        gain_g_per_day: None,
        is_gain_doubtful: false,
        has_odd_weight: false,
        inducted: None,
        exported: None,
        last_seen,
        is_returned: false,
    }
}

fn animals() -> [CatalogAnimal; 5] {
    [
        CatalogAnimal {
            visual_id: Some("V1".into()),
            epc: Some("E28011606000020443100001".into()),
            is_unconfirmed: true,
            pen: Some("P1".into()),
            lot: Some("L1".into()),
            is_in_lot: true,
            funder: Some("Co A".into()),
            sex: Some("Steer".into()),
            weight_g: Some(214_200),
            gain_g_per_day: Some(1_420),
            inducted: day(0, true),
            ..head(2, AnimalStatus::Active, "982000000000001", day(11, true))
        },
        CatalogAnimal {
            epc: Some("U3".into()),
            lot: Some("L3".into()),
            is_in_lot: true,
            export_lot: Some("OUT1".into()),
            inducted: day(0, true),
            exported: day(10, true),
            is_returned: true,
            ..head(3, AnimalStatus::Active, "982000000000002", day(11, true))
        },
        CatalogAnimal {
            pen: Some("P1".into()),
            lot: Some("L2".into()),
            is_in_lot: true,
            sex: Some("Heifer".into()),
            weight_g: Some(500_000),
            gain_g_per_day: Some(20_000),
            is_gain_doubtful: true,
            has_odd_weight: true,
            inducted: day(0, false),
            ..head(4, AnimalStatus::Active, "TAG3", day(10, true))
        },
        CatalogAnimal {
            epc: Some("U4".into()),
            export_lot: Some("OUT2".into()),
            exported: day(11, true),
            ..head(10, AnimalStatus::Exported, "982000000000004", day(11, true))
        },
        CatalogAnimal {
            epc: Some("U5".into()),
            lot: Some("L1".into()),
            inducted: day(11, true),
            ..head(11, AnimalStatus::Dead, "982000000000005", day(11, true))
        },
    ]
}

#[test]
fn each_animal_has_its_values() {
    let catalog = built(&yard());
    let found = catalog.ids(&AnimalFilter::default(), Sort::default());
    let found: Vec<_> = found.ids.into_iter().map(|id| catalog.animal(id).unwrap()).collect();
    assert_eq!(found, animals());
}

#[test]
fn heads_are_counted_by_state_and_by_what_is_odd() {
    let catalog = built(&yard());
    let expected = HeadCounts {
        all: 5,
        on_yard: 3,
        tag_missing: 1,
        no_lf: 0,
        no_epc: 1,
        unconfirmed: 1,
        not_weighed: 1,
        odd_weight: 1,
        doubtful_time: 1,
        exported: 1,
        dead: 1,
    };
    assert_eq!(catalog.counts(), expected);
    let mut nameless = World::new();
    nameless.keeps("hxb:L1::U1");
    nameless.keeps("hxb:L1:A:U2");
    let counts = built(&nameless).counts();
    assert_eq!((counts.no_lf, counts.no_epc, counts.tag_missing), (1, 0, 1));
}

/// Catches a yard with UHF tags in which nobody lacks one, and one without in which everybody does.
#[test]
fn a_kind_of_tag_is_missing_once_one_in_ten_head_wears_it() {
    let lacking = |head: usize| {
        let mut world = World::new();
        world.keeps("hxb:L1:LF0:U0");
        for n in 1..head {
            world.keeps(&format!("hxb:L1:LF{n}:"));
        }
        built(&world).counts().tag_missing
    };
    assert_eq!([lacking(10), lacking(11)], [9, 0]);
}

#[test]
fn lots_and_pens_have_their_figures() {
    let catalog = built(&yard());
    let at = |number| day(number, true).map(|at| at.at_us);
    let lot = |name: &str, figures, others: &[(Option<&str>, u64)]| LotFigures {
        name: Some(name.into()),
        figures,
        others: others.iter().map(|(name, head)| (name.map(Into::into), *head)).collect(),
    };
    let one = HeadFigures { head: 1, on_yard: 1, inducted: 1, ..HeadFigures::default() };
    let seen = |first, mean, last| HeadFigures { first_in_us: first, mean_in_us: mean, last_in_us: last, ..one };
    let first_lot = HeadFigures {
        head: 2,
        dead: 1,
        inducted: 2,
        weighed: 1,
        weight_sum_g: 214_200,
        gaining: 1,
        gain_sum_g: 1_420,
        unconfirmed: 1,
        ..seen(at(0), Some(BEGAN_US + 11 * DAY_US / 2), at(11))
    };
    let second_lot = HeadFigures {
        weighed: 1,
        weight_sum_g: 500_000,
        gaining: 1,
        gain_sum_g: 20_000,
        tag_missing: 1,
        ..seen(at(0), at(0), at(0))
    };
    let no_lot =
        HeadFigures { head: 1, exported: 1, first_out_us: at(11), last_out_us: at(11), ..HeadFigures::default() };
    let expected = [
        lot("L1", first_lot, &[(None, 1), (Some("P1"), 1)]),
        lot("L2", second_lot, &[(Some("P1"), 1)]),
        lot("L3", seen(at(0), at(0), at(0)), &[(None, 1)]),
        LotFigures { name: None, ..lot("", no_lot, &[(None, 1)]) },
    ];
    assert_eq!(catalog.lots(), expected);
    assert_eq!(catalog.export_lots(), [lot("OUT2", no_lot, &[])]);
    let pen = HeadFigures {
        head: 2,
        on_yard: 2,
        inducted: 2,
        weighed: 2,
        weight_sum_g: 714_200,
        gaining: 2,
        gain_sum_g: 21_420,
        tag_missing: 1,
        unconfirmed: 1,
        ..seen(at(0), at(0), at(0))
    };
    let no_pen = seen(at(0), at(0), at(0));
    let without = LotFigures { name: None, ..lot("", no_pen, &[(Some("L3"), 1)]) };
    assert_eq!(catalog.pens(), [lot("P1", pen, &[(Some("L1"), 1), (Some("L2"), 1)]), without]);
    assert_eq!((pen.mean_weight_g(), pen.mean_gain_g()), (Some(357_100), Some(10_710)));
    assert_eq!(
        (catalog.lot_names(9).join(" "), catalog.pen_names(9).join(" ")),
        ("L1 L2 L3".to_owned(), "P1".to_owned())
    );
    assert_eq!(catalog.lot_names(2).join(" "), "L1 L2");
}

/// Catches a mean that is cut instead of rounded, and a division by no head.
#[test]
fn means_are_rounded_and_missing_without_a_weight() {
    let mean = |weight_sum_g, weighed| {
        let group = HeadGroup { weight_sum_g, weighed, ..HeadGroup::default() };
        let figures = HeadFigures { weight_sum_g, weighed, ..HeadFigures::default() };
        assert_eq!(group.mean_weight_g(), figures.mean_weight_g());
        figures.mean_weight_g()
    };
    assert_eq!([mean(0, 0), mean(7, 2), mean(7, 3), mean(8, 3)], [None, Some(4), Some(2), Some(3)]);
    assert_eq!(HeadFigures::default().mean_gain_g(), None);
}

#[test]
fn a_day_has_what_came_left_and_was_weighed() {
    let catalog = built(&yard());
    let figures = |number: i64| catalog.day(&(BEGAN_US + number * DAY_US..BEGAN_US + number * DAY_US + 1));
    let first = figures(0);
    assert_eq!((first.head_in, first.head_out, first.weighed, first.tag_missing), (3, 0, 2, 1));
    let group = |lot: &str| HeadGroup { lot: Some(lot.into()), head: 1, ..HeadGroup::default() };
    let weighed = |weight_sum_g, sex: &str| HeadGroup {
        pen: Some("P1".into()),
        sex: Some(sex.into()),
        weighed: 1,
        weight_sum_g,
        ..HeadGroup::default()
    };
    let expected = [
        HeadGroup { lot: Some("L1".into()), funder: Some("Co A".into()), head: 1, ..weighed(200_000, "Steer") },
        HeadGroup { lot: Some("L2".into()), head: 1, tag_missing: 1, ..weighed(300_000, "Heifer") },
        group("L3"),
    ];
    assert_eq!(first.groups_in, expected);
    let tenth = figures(10);
    assert_eq!((tenth.head_in, tenth.head_out, tenth.weighed), (0, 0, 2), "who came back has not left");
    let last = figures(11);
    assert_eq!((last.head_in, last.head_out, last.groups_out), (1, 1, vec![group("OUT2")]));
}

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
