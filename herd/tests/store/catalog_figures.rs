//! The catalog of a small yard whose animals, figures and counts are known by hand.
//!
//! Catches: a value of an animal that no page shows (a gain, an export, a doubtful time), and a figure, count or list that is
//! wrong in the same way whether the catalog followed or was built.

use crate::corrections::void;
use crate::world::{BEGAN_US, World};
use herd::catalog::{
    AnimalFilter, Catalog, CatalogAnimal, DayEvent, DayFilter, HeadCounts, HeadFigures, HeadGroup, LotFigures, Sort,
};
use herd::change::{AnimalId, AnimalStatus, Correction, WeighingTime};
use herd::clock::{RawReading, WallTime};
use herd::position::Sequence;
use std::ops::{ControlFlow, Range};

const DAY_MS: u64 = 86_400_000;
const DAY_US: i64 = 86_400_000_000;
const ALL_TIMES: Range<i64> = i64::MIN..i64::MAX;

pub(crate) fn built(world: &World) -> Catalog {
    Catalog::build(&world.store.reader(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Returns the time of the day with this number, which is known or doubtful.
#[expect(clippy::unnecessary_wraps, reason = "every time of an animal is optional")]
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
    world.now.synchronized = false;
    world.keeps("hxe:OUT2:982000000000004:U4");
    world.now.synchronized = true;
    world.keeps("hxb:L1:982000000000005:");
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
            exported: day(11, false),
            ..head(10, AnimalStatus::Exported, "982000000000004", day(11, false))
        },
        CatalogAnimal {
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

/// Catches a gain of a weight that was replaced, an export that was voided, and a first sighting that was an export.
#[test]
fn what_no_longer_counts_is_left_out() {
    let mut world = World::new();
    let animal = AnimalId(world.keeps("event:hxbchi1|lid:1|lf:A|weight:200"));
    world.wait(10 * DAY_MS);
    let wrong = Sequence(world.keeps("event:hxbchi2|lid:1|weight:300"));
    world.wait(DAY_MS);
    world.corrects(Correction::Weigh { animal, weight_g: 214_200, when: WeighingTime::InsteadOf(wrong) });
    let (found, weighings) = (built(&world).animal(animal).unwrap(), built(&world).weighings(animal));
    assert_eq!((found.gain_g_per_day, found.has_odd_weight), (Some(1_420), false));
    let weighings: Vec<_> = weighings.into_iter().map(|weighing| (Some(weighing.at), weighing.weight_g)).collect();
    assert_eq!(weighings, [(day(0, true), 200_000), (day(10, true), 214_200)]);
    let left = world.keeps("hxe:OUT:A:");
    assert_eq!(built(&world).animal(animal).unwrap().exported, day(11, true));
    world.corrects(void(left));
    let found = built(&world).animal(animal).unwrap();
    assert_eq!((found.exported, found.status), (None, AnimalStatus::Active));
    let came = AnimalId(world.keeps("hxe:OUT:B:U2"));
    world.wait(DAY_MS);
    world.keeps("hxb:L1:B:U2");
    let found = built(&world).animal(came).unwrap();
    assert_eq!((found.inducted, found.exported), (day(12, true), day(11, true)));
}

/// Catches an animal without a time that is among those of a day without a beginning.
#[test]
fn what_never_happened_was_on_no_day() {
    let catalog = built(&yard());
    for event in [DayEvent::In, DayEvent::Weighed] {
        let day = Some(DayFilter { event, range: ALL_TIMES });
        let filter = AnimalFilter { export_lot: Some("OUT2".to_owned()), day, ..AnimalFilter::default() };
        assert_eq!(catalog.ids(&filter, Sort::default()).ids, [], "{event:?}");
    }
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
        tag_missing: 1,
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

/// Catches days on feed that one head of 1970 makes decades longer.
#[test]
fn head_of_a_clock_that_was_never_set_moves_no_time_of_its_lot() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:U1");
    world.wait(2 * DAY_MS);
    world.keeps("hxb:L1:B:U2");
    let known = world.now;
    world.now = RawReading { received_at_us: 5, synchronized: false, ..known };
    let came = world.keeps("hxb:L1:C:U3");
    let left = world.keeps("hxe:OUT:D:U4");
    world.now = known;
    world.keeps("hxe:OUT:E:U5");
    let catalog = built(&world);
    let at = |number| day(number, true).map(|at| at.at_us);
    let lot = catalog.lot("L1").unwrap().figures;
    assert_eq!((lot.head, lot.inducted), (3, 2));
    assert_eq!((lot.first_in_us, lot.mean_in_us, lot.last_in_us), (at(0), at(1), at(2)));
    let out = catalog.export_lot("OUT").unwrap().figures;
    assert_eq!((out.head, out.first_out_us, out.last_out_us), (2, at(2), at(2)));
    let [came, left] = [came, left].map(|id| catalog.animal(AnimalId(id)).unwrap());
    assert_eq!((came.inducted, left.exported), (None, None));
    assert_eq!(catalog.counts().doubtful_time, 1, "its time is still doubtful");
}

/// Catches figures that are kept although what they say has changed, and a lot that is offered after its last head has left.
#[test]
fn figures_follow_what_is_expected_of_the_yard() {
    let mut world = World::new();
    world.keeps("hxb:L1:A:");
    let left = world.keeps("hxb:L2:B:");
    let mut catalog = built(&world);
    let missing = |catalog: &Catalog| catalog.lots().iter().map(|lot| lot.figures.tag_missing).collect::<Vec<_>>();
    assert_eq!(missing(&catalog), [0, 0]);
    world.keeps("hxb:L3:C:U3");
    catalog.follow(&world.store.reader().snapshot().unwrap()).unwrap();
    assert_eq!(missing(&catalog), [1, 1, 0], "one head in three wears a UHF tag now");
    world.corrects(Correction::Died { animal: AnimalId(left) });
    let catalog = built(&world);
    assert_eq!((catalog.lots().len(), catalog.lot_names(9).join(" ")), (3, "L1 L3".to_owned()));
    let heads_by_pen = |world: &World| {
        let pens = built(world).lot("L1").unwrap().others.into_iter();
        pens.map(|(pen, head)| (pen.map(String::from), head)).collect::<Vec<_>>()
    };
    world.keeps("event:hxbind1|lid:1|lot:L1|pen:P9");
    world.keeps("event:hxbind2|lid:2|lot:L1|pen:P9");
    assert_eq!(heads_by_pen(&world), [(Some("P9".to_owned()), 2), (None, 1)], "most head first");
}

/// Catches an animal that loses the weights of the one that was merged into it.
#[test]
fn a_merged_animal_brings_its_weights() {
    let mut world = World::new();
    let remains = AnimalId(world.keeps("event:hxbchi1|lid:1|lf:A|weight:200"));
    world.wait(10 * DAY_MS);
    let absorbed = AnimalId(world.keeps("event:hxbchi2|lid:2|lf:B|weight:214.2"));
    world.corrects(Correction::Merge { animal: remains, absorbed });
    let catalog = built(&world);
    assert_eq!(catalog.animal(absorbed), None);
    let weights: Vec<_> = catalog.weighings(remains).iter().map(|weighing| weighing.weight_g).collect();
    assert_eq!((weights, catalog.animal(remains).unwrap().gain_g_per_day), (vec![200_000, 214_200], Some(1_420)));
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

/// Catches a tag of a few digits that is shown with zeros in front, and taken for an identity.
#[test]
fn a_tag_of_digits_is_an_identity_only_if_it_has_fifteen() {
    let mut world = World::new();
    let animal = AnimalId(world.keeps("event:hxbind1|lid:1|lot:L1|visual_id:47|lf:4433"));
    let found = built(&world).animal(animal).unwrap();
    let shown = (found.visual_id.as_deref(), found.lf.as_deref(), found.lf_is_identity);
    assert_eq!(shown, (Some("47"), Some("4433"), false));
}

/// Catches a count of doubtful times that asks for the first sighting alone.
#[test]
fn a_head_whose_last_event_alone_has_a_doubtful_time_is_counted() {
    let mut world = World::new();
    world.keeps("event:hxbind1|lid:1|lot:L1|weight:200");
    assert_eq!(built(&world).counts().doubtful_time, 0);
    world.now.synchronized = false;
    world.keeps("event:hxbchi1|lid:1|weight:201");
    assert_eq!(built(&world).counts().doubtful_time, 1);
}
