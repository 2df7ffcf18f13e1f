//! Payloads as readers of real yards send them: reads without a tag, one tag in many spellings, bytes around a text,
//! repairs of other animals, counters that leap, weights in pounds.
//!
//! Catches: one animal out of many, or many out of one; a good read that is lost behind a rejection; a payload that nobody
//! can accept; an animal that nobody can correct any more.

use crate::corrections::{accept, retag, void, weigh};
use crate::herd_view::key_of;
use crate::world::{BEGAN_US, World};
use herd::change::{AnimalId, Correction, TagKind, WeighingTime};
use herd::clock::{EARLIEST_US, iso_utc};
use herd::decide::Rules;
use herd::position::Sequence;
use herd::query::PageLimit;
use herd::store::{Receipt, Store};
use herd::tables::{MAX_PAST_TAGS, TagState};

/// Accepts a payload, with what a person says about it.
fn accept_as(sequence: u64, animal: Option<u64>, batch_number: &str) -> Correction {
    let (sequence, animal) = (Sequence(sequence), animal.map(AnimalId));
    Correction::AcceptRejected { sequence, animal, batch_number: Some(batch_number.to_owned()) }
}

/// Returns the change of the last payload.
fn last(world: &World) -> u64 {
    world.store.head().position.sequence.0
}

#[test]
fn three_head_read_by_a_dead_antenna_are_three_head() {
    let mut world = World::new();
    for read in ["hxb:NR:None:U1", "hxb:NR:None:U2", "hxb:NR:000000000000000:U3"] {
        world.keeps(read);
    }
    let herd = world.herd();
    assert_eq!(herd.heads().map(|(_, animal)| key_of(animal.lf.as_ref())).collect::<Vec<_>>(), [None; 3]);
    assert_eq!(herd.batches_named("hxb", "NR")[0].1.active, 3);
    for nobody in
        ["hxb:NR:None:NOREAD", "hxb:NR::", "event:hxbchi000001|lid:0|weight:300", "event:hxbpai000001|lf:FFFFFFFF"]
    {
        assert_eq!(world.rejects(nobody), "no_animal_named", "{nobody}");
    }
}

#[test]
fn all_spellings_of_a_tag_are_one_animal() {
    let mut world = World::new();
    world.keeps("hxb:NZ:LA 00000 0 982 000196588496:E2801160600002044310B2E2");
    for spelling in [
        "982-000196588496",
        "982 000 196588496",
        "982_000.196588496",
        "982\u{200b}000196588496",
        "0982000196588496",
        "LA 982 000196588496",
        "A 00000 0 982 000196588496",
        "00000 0 982 000196588496",
        "8000F5800BB7B3D0",
        "0x8000f5800bb7b3d0",
    ] {
        world.keeps(&format!("hxb:NZ:{spelling}:EPC=e280-1160 6000-0204-4310-b2e2"));
    }
    world.keeps("event:hxbchi000001|lf:982-000196588496|weight:300");
    let herd = world.herd();
    let (animal, row) = herd.only_animal();
    let (lf, epc) = ("982000196588496", "E2801160600002044310B2E2");
    assert_eq!(herd.tags_of(animal), [("LF", lf, TagState::Current), ("UHF", epc, TagState::Current)]);
    assert_eq!(row.weight_g, Some(300_000));
    assert_eq!(world.rejects("event:hxbchi000002|lf:9.82E+14|weight:310"), "rounded_tag");
}

#[test]
fn lots_that_differ_in_case_or_blanks_are_one_as_first_written() {
    let mut world = World::new();
    for (n, lot) in ["Lot 7-A", "LOT7-A", "lot 7-a"].into_iter().enumerate() {
        world.keeps(&format!("hxb:{lot}::U{n}"));
    }
    let induction = world.keeps("event:hxbind000001|lot:LOT 7-a|lid:1");
    let herd = world.herd();
    assert_eq!((herd.batches.len(), herd.batches_named("hxb", "Lot 7-A")[0].1.active), (1, 4));
    assert_eq!(world.refuses(crate::corrections::move_batch(induction, "lot7-A")), "nothing_to_change");
}

/// Catches a good read that is a duplicate of a rejection of the same text.
#[test]
fn bytes_around_a_text_make_no_other_payload() {
    let mut world = World::new();
    world.keeps("\u{a0}hxb:Q:a:b");
    for repeat in ["hxb:Q:a:b", "\u{feff}hxb:Q:a:b", "hxb:Q:a:b\0\0", "hxb:Q:a:b\r"] {
        assert_eq!(world.send(repeat), Receipt::Duplicate { of: Sequence(2) }, "{repeat:?}");
    }
}

#[test]
fn a_blank_field_is_absent_and_a_blank_lot_waits_for_a_person() {
    let mut world = World::new();
    world.keeps("event:hxbind000001|funder:F|lot:EMPT|pen:P1|lid:1|sex:Steer|tag_color:|visual_id:|notes:");
    assert_eq!(world.herd().only_animal().1.traits.tag_color, None);
    assert_eq!(world.rejects("event:hxbind000002|lot:None|lid:2|funder:None|"), "empty_field");
    let payload = last(&world);
    assert_eq!(world.refuses(accept(payload, None)), "still_rejected");
    world.corrects(accept_as(payload, None, "empt"));
    let herd = world.herd();
    assert_eq!(herd.batches_named("hxb", "EMPT")[0].1.active, 2);
    assert_eq!(herd.animals[&(payload + 1)].traits.funder, None);
}

#[test]
fn an_event_of_nobody_is_accepted_for_the_animal_that_a_person_names() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbind000001|lot:L|lid:1");
    assert_eq!(world.rejects("event:hxbchi000001|lid:|weight:300"), "no_animal_named");
    let weighing = last(&world);
    assert_eq!(world.refuses(accept_as(weighing, Some(animal), "L")), "names_no_batch");
    world.corrects(accept(weighing, Some(animal)));
    assert_eq!(world.rejects("hxb::NOREAD:"), "empty_field");
    let scan = last(&world);
    assert_eq!(world.refuses(accept(scan, Some(animal))), "still_rejected");
    assert_eq!(world.refuses(accept_as(scan, None, "L2")), "still_rejected");
    world.corrects(accept_as(scan, Some(animal), "L2"));
    let herd = world.herd();
    assert_eq!(herd.only_animal().1.weight_g, Some(300_000));
    assert_eq!(herd.batches_named("hxb", "L2")[0].1.active, 1);
}

#[test]
fn a_repair_with_an_old_tag_that_is_not_worn_waits_for_a_person() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbpai000001|lid:1|lf:WORN|epc:U");
    assert_eq!(world.rejects("event:hxbrep000001|lid:1|old_lf:OTHER|new_lf:NEW"), "old_tag_not_worn");
    assert_eq!(world.rejects("event:hxbrep000002|lid:1|old_epc:V|new_epc:W"), "old_tag_not_worn");
    let payload = last(&world);
    let worn = |world: &World| {
        let herd = world.herd();
        herd.tags_of(animal)
            .into_iter()
            .filter(|tag| tag.2 == TagState::Current)
            .map(|tag| tag.1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(worn(&world), ["WORN", "U"]);
    // The tag that it wore before, as in a repair that is sent again by hand.
    world.keeps("event:hxbrep000003|lid:1|old_lf:WORN|new_lf:SECOND");
    world.keeps("event:hxbrep000004|lid:1|old_lf:WORN|new_lf:THIRD");
    assert_eq!(worn(&world), ["THIRD", "U"]);
    // An animal without a tag of that kind may have had any.
    world.corrects(retag(animal, TagKind::Epc, None));
    world.corrects(accept(payload, None));
    assert_eq!(worn(&world), ["THIRD", "W"]);
}

#[test]
fn an_animal_with_thousands_of_past_tags_stays_correctable() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbind1|lid:1|lf:TAG-0|lot:L");
    let repairs = 2_000;
    for group in (1..=repairs).collect::<Vec<_>>().chunks(500) {
        let payload = |n: &u32| world.incoming(&format!("event:hxbrep{n}|lid:1|old_lf:TAG-{}|new_lf:TAG-{n}", n - 1));
        let payloads: Vec<_> = group.iter().map(payload).collect();
        let receipts = world.store.append(&payloads).unwrap();
        assert!(receipts.iter().all(|receipt| matches!(receipt, Receipt::Kept { .. })));
    }
    let tags = world.herd().tags_of(animal).len();
    assert_eq!(tags, MAX_PAST_TAGS + 1);
    world.corrects(weigh(animal, 300_000));
    world.corrects(retag(animal, TagKind::Lf, Some("LAST")));
    // The latest of its past tags still lead to it.
    world.keeps("hxb:L:TAG-1999:");
    let herd = world.herd();
    let (found, row) = herd.only_animal();
    assert_eq!((found, key_of(row.lf.as_ref())), (animal, Some("LAST")));
    let voided = last(&world);
    world.corrects(void(voided));
}

#[test]
fn a_counter_that_leaps_is_told_and_counts_no_missed_reads() {
    let mut world = World::new();
    let mut check_in = |n: u64, spans: &[(u64, u64)], missed: u64| {
        world.keeps(&format!("event:hxbchi{n}|lid:1"));
        let herd = world.herd();
        assert_eq!((&herd.gap_spans()[..], herd.totals.missed_events), (spans, missed), "after {n}");
    };
    check_in(10, &[], 0);
    check_in(10_011, &[(11, 10_010)], 10_000);
    check_in(20_013, &[(11, 10_010), (10_012, 20_012)], 10_000);
    // A late read splits a leap into parts that count.
    check_in(15_000, &[(11, 10_010), (10_012, 14_999), (15_001, 20_012)], 20_000);
    check_in(u64::MAX, &[(11, 10_010), (10_012, 14_999), (15_001, 20_012), (20_014, u64::MAX - 1)], 20_000);
    check_in(0, &[(1, 9), (11, 10_010), (10_012, 14_999), (15_001, 20_012), (20_014, u64::MAX - 1)], 20_009);
    check_in(u64::MAX - 1, &[(1, 9), (11, 10_010), (10_012, 14_999), (15_001, 20_012), (20_014, u64::MAX - 2)], 20_009);
}

#[test]
fn weights_have_the_unit_of_their_readers() {
    let mut world = World::with(Rules { pound_groups: ["gate".to_owned()].into(), ..Rules::default() });
    let mut weighed = |group: &str, n: u32, weight: &str| {
        let mut incoming = world.incoming(&format!("event:hxbchi{n}|lid:1|lf:A|weight:{weight}"));
        incoming.origin.reader_group = group.into();
        assert!(matches!(world.store.append(&[incoming]).unwrap()[..], [Receipt::Kept { .. }]), "{weight}");
        world.herd().only_animal().1.weight_g
    };
    assert_eq!(weighed("main", 1, "245,5"), Some(245_500));
    assert_eq!(weighed("gate", 1, "540"), Some(244_940));
    assert_eq!(weighed("gate", 2, "245.5 kg"), Some(245_500));
    assert_eq!(weighed("main", 2, "540 lb"), Some(244_940));
}

/// Returns the weights of an animal with their times, the latest change first.
fn weights(world: &World, animal: u64) -> Vec<(u32, Option<String>)> {
    let snapshot = world.store.reader().snapshot().unwrap();
    let limit = PageLimit::new(100).unwrap();
    let page = snapshot.weights(AnimalId(animal), None, limit).unwrap().unwrap();
    page.data.into_iter().map(|weight| (weight.weight_g, weight.received_at)).collect()
}

fn reweigh(animal: u64, weight_g: u32, when: WeighingTime) -> Correction {
    Correction::Weigh { animal: AnimalId(animal), weight_g, when }
}

/// Catches a daily gain over the wrong number of days, because a weight was put right weeks later.
#[test]
fn a_wrong_weight_is_put_right_on_its_day() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbchi1|lid:1|weight:245.5");
    let day = |world: &World| Some(iso_utc(world.now.received_at_us));
    let first_day = day(&world);
    world.wait(20 * 86_400_000);
    let wrong = world.keeps("event:hxbchi2|lid:1|weight:560");
    let second_day = day(&world);
    world.wait(20 * 86_400_000);
    let right = world.corrects(reweigh(animal, 256_000, WeighingTime::InsteadOf(Sequence(wrong))));
    let expected = vec![(256_000, second_day.clone()), (245_500, first_day.clone())];
    assert_eq!(weights(&world, animal), expected);
    assert_eq!(world.herd().only_animal().1.weight_g, Some(256_000));
    // Again, because that was wrong too; and the first one, which is no longer the current weight.
    assert_eq!(world.refuses(reweigh(animal, 1, WeighingTime::InsteadOf(Sequence(wrong)))), "weighing_replaced");
    world.corrects(reweigh(animal, 257_000, WeighingTime::InsteadOf(Sequence(right))));
    world.corrects(reweigh(animal, 246_000, WeighingTime::InsteadOf(Sequence(animal))));
    assert_eq!(weights(&world, animal), [(246_000, first_day.clone()), (257_000, second_day.clone())]);
    assert_eq!(world.herd().only_animal().1.weight_g, Some(257_000));
    // A weighing on paper, of a day between the two.
    let between = BEGAN_US + 10 * 86_400_000_000;
    world.corrects(reweigh(animal, 250_000, WeighingTime::At(between)));
    assert_eq!(weights(&world, animal)[0], (250_000, Some(iso_utc(between))));
    assert_eq!(world.herd().only_animal().1.weight_g, Some(257_000));
    // What the person corrected is void with its event.
    world.corrects(void(wrong));
    assert_eq!(weights(&world, animal), [(250_000, Some(iso_utc(between))), (246_000, first_day)]);
}

#[test]
fn a_weighing_that_is_none_of_the_animal_cannot_be_replaced() {
    let mut world = World::new();
    let one = world.keeps("event:hxbchi1|lid:1|weight:245.5");
    let two = world.keeps("event:hxbchi2|lid:2|weight:300");
    let unweighed = world.keeps("event:hxbchi3|lid:1");
    let moved = world.corrects(crate::corrections::move_pen(one, "P1"));
    for other in [two, unweighed, moved, 1, 99] {
        let when = WeighingTime::InsteadOf(Sequence(other));
        assert_eq!(world.refuses(reweigh(one, 250_000, when)), "no_weighing", "{other}");
    }
    world.corrects(void(one));
    world.wait(61_000);
    assert_eq!(world.refuses(reweigh(one, 250_000, WeighingTime::InsteadOf(Sequence(one)))), "no_weighing");
    for at in [0, EARLIEST_US - 1, world.now.received_at_us + 1, i64::MAX] {
        assert_eq!(world.refuses(reweigh(two, 250_000, WeighingTime::At(at))), "weighing_time", "{at}");
    }
    for at in [EARLIEST_US, world.now.received_at_us] {
        world.corrects(reweigh(two, 250_000, WeighingTime::At(at)));
    }
    // A clock that follows no time source does not know what the future is.
    world.now.synchronized = false;
    world.corrects(reweigh(two, 250_000, WeighingTime::At(world.now.received_at_us + 1)));
    assert_eq!(world.refuses(reweigh(two, 250_000, WeighingTime::At(EARLIEST_US - 1))), "weighing_time");
}

/// Catches an old weight that becomes the current one, because its payload was accepted late.
#[test]
fn a_weight_that_is_accepted_late_does_not_replace_a_later_one() {
    let mut world = World::new();
    let animal = world.keeps("event:hxbind1|lid:1|lot:L");
    assert_eq!(world.rejects("event:hxbchi1|lid:0|weight:200"), "no_animal_named");
    let late = last(&world);
    world.wait(1_000);
    world.keeps("event:hxbchi2|lid:1|weight:300");
    let accepted = world.corrects(accept(late, Some(animal)));
    assert_eq!(world.herd().only_animal().1.weight_g, Some(300_000));
    assert_eq!(weights(&world, animal).len(), 2);
    // It is a weighing like any other, and can be put right.
    world.corrects(reweigh(animal, 210_000, WeighingTime::InsteadOf(Sequence(accepted))));
    assert_eq!(weights(&world, animal).iter().map(|(weight_g, _)| *weight_g).collect::<Vec<_>>(), [210_000, 300_000]);
    assert_eq!(world.herd().only_animal().1.weight_g, Some(300_000));
}

/// Catches a rule that only the barn applies.
#[test]
fn a_replica_of_such_reads_equals_its_source() {
    let mut world = World::new();
    for read in [
        "hxb:lot 1:None:E280-1160-6000-0204-4310-B2E2",
        "hxb:LOT1:LA 982 000196588496:NOREAD",
        "event:hxbchi20000|lid:1|weight:1 lb",
    ] {
        world.keeps(read);
    }
    world.keeps("event:hxbchi1|lid:1|notes:|");
    let mut replica = Store::open_replica(&herd::store::MemoryDisk::default(), crate::world::STORE).unwrap();
    replica.apply(world.store.reader().run_after(replica.head().position, 100, 1 << 20).unwrap()).unwrap();
    replica.settle().unwrap();
    assert_eq!(crate::world::everything(&replica), crate::world::everything(&world.store));
}
