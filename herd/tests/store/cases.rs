//! The case table of the field's documents, one claim per row, at the level of a store.
//!
//! Catches: a rule of the grammar, of identity, of batches or of duplicates that is not decided or folded as the table says.
//! The numbers are those of the case table.

use crate::herd_view::key_of;
use crate::world::World;
use herd::store::Receipt;
use herd::tables::{AnimalStatus, TagState};

const CASE_1: &str = "hxb:BATCH001:LF123:UHF456";
const CASE_9: &str = "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red";
const CASE_10: &str = "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5";
const CASE_11: &str = "event:hxbchi000001|weight:267.3|lid:1";
const CASE_12: &str = "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged";

#[test]
fn case_1_a_scan_makes_a_batch_and_an_animal_with_both_tags() {
    let mut world = World::new();
    let id = world.keeps(CASE_1);
    assert_eq!(id, 2, "the first change of a store is its epoch");
    let herd = world.herd();
    let (animal, row) = herd.only_animal();
    assert_eq!((animal, key_of(row.lf.as_ref()), key_of(row.epc.as_ref())), (id, Some("LF123"), Some("UHF456")));
    let [(batch, barn)] = herd.batches_named("hxb", "BATCH001")[..] else { panic!("{:?}", herd.batches) };
    assert_eq!((barn.active, barn.members, barn.closed), (1, 1, None));
    assert_eq!(row.barn_batch.map(|batch| batch.0), Some(batch));
    assert_eq!((herd.totals.received, herd.totals.accepted, herd.totals.active), (1, 1, 1));
}

#[test]
fn case_2_a_repeat_within_the_window_makes_no_change_whatever_whitespace_surrounds_it() {
    let mut world = World::new();
    let of = world.keeps(CASE_1);
    let before = world.herd();
    for repeat in [CASE_1.to_owned(), format!("  {CASE_1}\r\n"), format!("{CASE_1}\n"), format!("\t{CASE_1}")] {
        world.wait(14_000);
        let receipt = world.send(&repeat);
        assert!(matches!(receipt, Receipt::Duplicate { of: found } if found.0 == of), "{repeat:?}: {receipt:?}");
    }
    assert_eq!(world.herd(), before);
    assert_eq!(world.store.head().position.sequence.0, of);
}

#[test]
fn case_2_a_repeat_does_not_extend_the_window() {
    let mut world = World::new();
    let of = world.keeps(CASE_1);
    world.wait(59_999);
    assert_eq!(world.send(CASE_1), Receipt::Duplicate { of: herd::position::Sequence(of) });
    world.wait(1);
    world.keeps(CASE_1);
}

#[test]
fn case_2_a_text_is_a_duplicate_across_radios_and_within_its_group() {
    let mut world = World::new();
    let mut other = world.incoming(CASE_1);
    other.origin.channel = "radio2".into();
    let group = [world.incoming(CASE_1), other];
    let receipts = world.store.append(&group).unwrap();
    let Receipt::Kept { sequence } = receipts[0] else { panic!("{receipts:?}") };
    assert_eq!(receipts[1], Receipt::Duplicate { of: sequence });
}

#[test]
fn case_3_at_the_end_of_the_window_the_text_is_a_new_sighting_of_the_same_animal() {
    let mut world = World::new();
    let first = world.keeps(CASE_1);
    world.wait(60_000);
    let second = world.keeps(&format!(" {CASE_1}\n"));
    let herd = world.herd();
    let (animal, row) = herd.only_animal();
    assert_eq!((animal, row.last.0), (first, second));
    assert_eq!(herd.batches.len(), 1);
    assert_eq!(herd.batches[&first].members, 1);
}

#[test]
fn case_3_a_reboot_ends_the_window_and_a_restart_of_the_process_does_not() {
    let mut world = World::new();
    world.keeps(CASE_1);
    let mut world = world.reboot();
    world.keeps(CASE_1);
    assert_eq!(world.herd().heads().count(), 1);

    let World { disk, store, now, .. } = world;
    drop(store);
    let mut reopened = crate::world::open_source(&disk, herd::decide::Rules::default(), now.in_boot(2));
    let repeat = herd::store::Incoming { raw: CASE_1.into(), origin: crate::world::origin("radio1", "main"), at: now };
    let receipts = reopened.append(&[repeat]).unwrap();
    assert_eq!(receipts, [Receipt::Duplicate { of: herd::position::Sequence(3) }], "of the one in the same boot");
}

#[test]
fn case_4_an_export_of_unknown_tags_makes_the_animal_and_exports_it() {
    let mut world = World::new();
    world.keeps("hxe:EXPORT001:LF789:UHF012");
    let herd = world.herd();
    let (_, row) = herd.only_animal();
    assert_eq!(row.status, AnimalStatus::Exported);
    let [(batch, export)] = herd.batches_named("hxe", "EXPORT001")[..] else { panic!("{:?}", herd.batches) };
    assert_eq!((row.export_batch.map(|batch| batch.0), row.barn_batch), (Some(batch), None));
    assert_eq!((export.members, export.closed), (1, None));
    assert_eq!((herd.totals.active, herd.totals.exported), (0, 1));
}

#[test]
fn case_5_the_acceptance_test_of_the_original() {
    let mut world = World::new();
    world.keeps("hxb:TEST001:LF999:UHF888");
    assert_eq!(world.herd().batches_named("hxb", "TEST001")[0].1.active, 1);
}

#[test]
fn case_6_three_scans_are_three_animals_in_one_batch() {
    let mut world = World::new();
    for n in 0..3 {
        world.keeps(&format!("hxb:LOT1:LF{n}:UHF{n}"));
    }
    let herd = world.herd();
    assert_eq!((herd.heads().count(), herd.batches.len()), (3, 1));
    assert_eq!(herd.batches_named("hxb", "LOT1")[0].1.active, 3);
}

#[test]
fn case_7_an_export_batch_of_the_same_number_is_separate_and_the_emptied_barn_batch_closes() {
    let mut world = World::new();
    world.keeps(CASE_1);
    let export = world.keeps("hxe:BATCH001:LF123:UHF456");
    let herd = world.herd();
    let (_, row) = herd.only_animal();
    assert_eq!((row.status, row.barn_batch), (AnimalStatus::Exported, None));
    let (_, barn) = herd.batches_named("hxb", "BATCH001")[0];
    assert_eq!((barn.active, barn.members, barn.closed.map(|by| by.0)), (0, 1, Some(export)));
    let (_, exported) = herd.batches_named("hxe", "BATCH001")[0];
    assert_eq!((exported.members, exported.closed), (1, None));
}

#[test]
fn case_7_a_closed_barn_batch_is_not_reopened_by_its_number_and_a_scan_brings_the_animal_back() {
    let mut world = World::new();
    let first = world.keeps(CASE_1);
    world.keeps("hxe:BATCH001:LF123:UHF456");
    world.wait(60_000);
    let back = world.keeps(CASE_1);
    let herd = world.herd();
    let batches = herd.batches_named("hxb", "BATCH001");
    assert_eq!(batches.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first, back]);
    let (_, row) = herd.only_animal();
    assert_eq!((row.status, row.returned.map(|by| by.0)), (AnimalStatus::Active, Some(back)));
}

#[test]
fn case_8_a_rejected_payload_is_kept_with_its_reason_and_makes_no_batch() {
    let mut world = World::new();
    let cases = [
        ("invalid:data", "unknown_prefix"),
        ("hxb:BATCH001:LF123", "field_count"),
        ("hxb:B:L:U:X", "field_count"),
        ("hxx:B:1:2", "unknown_prefix"),
        ("hxb::LF:UHF", "empty_field"),
        ("hxb: :LF1:UHF1", "empty_field"),
    ];
    for (text, code) in cases {
        assert_eq!(world.rejects(text), code, "{text}");
        assert!(matches!(world.send(text), Receipt::Duplicate { .. }), "{text} again within the window");
    }
    let herd = world.herd();
    assert_eq!((herd.batches.len(), herd.animals.len(), herd.rejected.len()), (0, 0, cases.len()));
    assert_eq!(herd.totals.rejected, cases.len() as u64);
}

#[test]
fn cases_9_to_12_an_animal_is_inducted_paired_weighed_and_repaired() {
    let mut world = World::new();
    let animal = world.keeps(CASE_9);
    let herd = world.herd();
    let traits = &herd.animals[&animal].traits;
    let values = [&traits.funder, &traits.pen, &traits.sex, &traits.tag_color].map(|value| value.as_deref().unwrap());
    assert_eq!(values, ["Southwest Cattle Co", "P1", "M", "Red"]);
    assert!(herd.traits.contains(&(animal, 0, "P1".into())), "the batch shows the pen: {:?}", herd.traits);

    world.keeps(CASE_10);
    let row = world.herd().only_animal().1.clone();
    assert_eq!((key_of(row.lf.as_ref()), row.weight_g), (Some("LF_EAR_0001"), Some(245_500)));
    assert_eq!(row.epc.unwrap().text(), "EPC:30143B7C84D500000000000");

    let weighed = world.keeps(CASE_11);
    let row = world.herd().only_animal().1.clone();
    assert_eq!((row.weight_g, row.weighed.0), (Some(267_300), weighed));

    world.keeps(CASE_12);
    let herd = world.herd();
    assert_eq!(herd.only_animal().0, animal);
    let tags = herd.tags_of(animal);
    let expected = [
        ("LF", "LF_EAR_0001", TagState::Past),
        ("LF", "LF_EAR_0099", TagState::Current),
        ("UHF", "30143B7C84D500000000000", TagState::Current),
    ];
    assert_eq!(tags, expected);
}

#[test]
fn case_14_an_event_id_with_the_same_text_is_a_duplicate_at_any_time() {
    let mut world = World::new();
    world.keeps(CASE_10);
    let of = world.keeps(CASE_11);
    world.wait(400 * 24 * 3_600_000);
    let mut world = world.reboot();
    assert!(matches!(world.send(&format!("{CASE_11}\r\n")), Receipt::Duplicate { of: found } if found.0 == of));
    assert_eq!(world.herd().only_animal().1.last.0, of);
}

#[test]
fn case_15_an_event_id_with_another_content_is_rejected_and_names_the_first() {
    let mut world = World::new();
    world.keeps(CASE_10);
    let of = world.keeps(CASE_11);
    let receipt = world.send("event:hxbchi000001|weight:300.0|lid:1");
    let Receipt::Rejected { reason, .. } = receipt else { panic!("{receipt:?}") };
    assert_eq!(reason, herd::payload::Rejection::EventIdReused { of });
    assert_eq!(world.herd().only_animal().1.weight_g, Some(267_300));
}

#[test]
fn case_15_another_reader_group_counts_its_own_event_ids() {
    let mut world = World::new();
    world.keeps(CASE_11);
    let mut other = world.incoming("event:hxbchi000001|weight:300.0|lid:1");
    other.origin.reader_group = "other".into();
    assert!(matches!(world.store.append(&[other]).unwrap()[..], [Receipt::Kept { .. }]));
    assert_eq!(world.herd().heads().count(), 2, "lid 1 of another group is another animal");
}

#[test]
fn case_16_a_repair_with_the_old_tag_of_another_animal_is_rejected_naming_both() {
    let mut world = World::new();
    let named = world.keeps("event:hxbpai000001|lid:1|lf:A");
    let owner = world.keeps("event:hxbpai000002|lid:2|lf:B");
    let receipt = world.send("event:hxbrep000001|lid:1|old_lf:B|new_lf:C");
    let Receipt::Rejected { reason, .. } = receipt else { panic!("{receipt:?}") };
    assert_eq!(reason, herd::payload::Rejection::OldTagOfAnother { tag: "B".to_owned(), named, owner });
    world.keeps("event:hxbrep000001|lid:2|old_lf:B|new_lf:C");
}

#[test]
fn case_18_a_second_tag_of_a_kind_is_unconfirmed_and_leads_nowhere() {
    let mut world = World::new();
    let animal = world.keeps("hxb:LOT8:LF6:UHF6");
    world.keeps("hxb:LOT8:LF6:UHF7");
    let herd = world.herd();
    assert_eq!(herd.only_animal().0, animal);
    let expected =
        [("LF", "LF6", TagState::Current), ("UHF", "UHF6", TagState::Current), ("UHF", "UHF7", TagState::Unconfirmed)];
    assert_eq!(herd.tags_of(animal), expected);
    world.keeps("hxb:LOT8:LF7:UHF7");
    assert_eq!(world.herd().heads().count(), 2);
}

#[test]
fn case_19_readings_with_one_key_are_one_tag() {
    let mut world = World::new();
    for (tag, epc) in [("124000224161433", "U1"), ("124 000 224161433", "u 1"), ("0124000224161433", "u1")] {
        world.keeps(&format!("hxb:LOT1:{tag}:{epc}"));
    }
    let herd = world.herd();
    let (animal, _) = herd.only_animal();
    let expected = [("LF", "124000224161433", TagState::Current), ("UHF", "U1", TagState::Current)];
    assert_eq!(herd.tags_of(animal), expected);
}

#[test]
fn case_20_an_invalid_weight_leaves_the_animal_tagged_and_not_weighed() {
    for weight in ["0", "", "-5", "NaN"] {
        let mut world = World::new();
        world.keeps(&format!("event:hxbpai000001|lf:A|epc:U|lid:1|weight:{weight}"));
        let row = world.herd().only_animal().1.clone();
        assert_eq!((row.weight_g, row.weighed.0), (None, 0), "{weight:?}");
        assert_eq!((key_of(row.lf.as_ref()), key_of(row.epc.as_ref())), (Some("A"), Some("U")), "{weight:?}");
    }
}

#[test]
fn case_21_a_missed_read_is_visible_until_it_comes_late() {
    let mut world = World::new();
    let checked_in = |n: u64| format!("event:hxbchi{n:06}|lid:1");
    world.keeps(&checked_in(117));
    assert_eq!(world.herd().gap_spans(), [], "nothing is missing below the first heard");
    world.keeps(&checked_in(121));
    assert_eq!(world.herd().gap_spans(), [(118, 120)]);
    assert_eq!(world.herd().totals.missed_events, 3);
    world.keeps(&checked_in(119));
    assert_eq!(world.herd().gap_spans(), [(118, 118), (120, 120)]);
    world.keeps(&checked_in(118));
    world.keeps(&checked_in(120));
    assert_eq!((world.herd().gap_spans(), world.herd().totals.missed_events), (vec![], 0));
    world.keeps("event:hxbpai000007|lid:1");
    assert_eq!(world.herd().gap_spans(), [], "each kind is counted by itself");
}

#[test]
fn case_21_a_rejected_event_was_heard_but_its_id_is_free() {
    let mut world = World::new();
    world.keeps("event:hxbpai000001|lid:1|lf:A");
    world.keeps("event:hxbpai000002|lid:2|lf:B");
    assert_eq!(world.rejects("event:hxbpai000003|lid:1|lf:B"), "lid_of_another");
    world.keeps("event:hxbpai000004|lid:1");
    assert_eq!(world.herd().gap_spans(), []);
    world.keeps("event:hxbpai000003|lid:1|weight:1");
}

#[test]
fn an_export_batch_that_rested_a_day_is_closed_by_the_next_export_of_its_number() {
    let mut world = World::new();
    let first = world.keeps("hxe:X:A:U1");
    world.wait(24 * 3_600_000 - 1);
    let second = world.keeps("hxe:X:B:U2");
    assert_eq!(world.herd().batches[&first].closed, None);
    world.wait(24 * 3_600_000);
    let third = world.keeps("hxe:X:C:U3");
    let herd = world.herd();
    assert_eq!(herd.batches[&first].closed.map(|by| by.0), Some(third));
    assert_eq!((herd.batches[&first].members, herd.batches[&third].members), (2, 1));
    assert_eq!(herd.batches[&first].last.0, second);
}

#[test]
fn an_animal_named_in_another_open_barn_batch_moves_and_keeps_the_first_as_history() {
    let mut world = World::new();
    let first = world.keeps("hxb:L1:A:U1");
    world.keeps("hxb:L1:B:U2");
    let moved = world.keeps("hxb:L2:A:U1");
    let herd = world.herd();
    assert_eq!((herd.batches[&first].active, herd.batches[&first].members, herd.batches[&first].closed), (1, 2, None));
    assert_eq!(herd.memberships[&(first, first)].left.map(|by| by.0), Some(moved));
    assert_eq!(herd.animals[&first].barn_batch.map(|batch| batch.0), Some(moved));
}

#[test]
fn rejections_above_the_limit_of_a_channel_are_only_counted_until_its_next_hour() {
    let rules = herd::decide::Rules { rejections_per_hour: 3, ..Default::default() };
    let mut world = World::with(rules);
    for n in 0..3 {
        world.rejects(&format!("noise {n}"));
    }
    assert_eq!(world.send("noise 3"), Receipt::Suppressed);
    assert!(matches!(world.send("noise 1"), Receipt::Duplicate { .. }));
    world.keeps(CASE_1);
    let mut other = world.incoming("noise 4");
    other.origin.channel = "radio2".into();
    assert!(matches!(world.store.append(&[other]).unwrap()[..], [Receipt::Rejected { .. }]));
    world.wait(3_600_000);
    world.rejects("noise 3");
}
