//! Fields that a reader fills for want of a value, and what a person can say in their place.

use super::super::{Event, EventKind, Rejection, Supplement, Traits, Weight, WeightUnit, parse_with};
use super::{bare, epc, id, lf, parse, text};

fn event(payload: &str) -> Event {
    parse(payload.as_bytes()).unwrap_or_else(|rejection| panic!("{payload}: {rejection}"))
}

fn rejection(payload: &str) -> Rejection {
    parse(payload.as_bytes()).expect_err(payload)
}

/// Catches three head that become one, because a dead antenna reads the same text of each.
#[test]
fn three_head_read_by_a_dead_antenna_are_three_without_its_tag() {
    for (payload, uhf) in [("hxb:NR:None:U1", "U1"), ("hxb:NR:None:U2", "U2"), ("hxb:NR:000000000000000:U3", "U3")] {
        assert_eq!(event(payload), Event { batch: text("NR"), epc: epc(uhf), ..bare(EventKind::Scan) });
    }
}

#[test]
fn a_blank_optional_field_is_absent() {
    let plain = Event {
        id: Some(id(EventKind::Induction, "hxbind000001")),
        lid: text("1"),
        batch: text("EMPT"),
        traits: Traits { funder: text("F"), pen: text("P1"), sex: text("Steer"), ..Traits::default() },
        ..bare(EventKind::Induction)
    };
    let start = "event:hxbind000001|funder:F|lot:EMPT|pen:P1|lid:1|sex:Steer";
    for end in [
        "|tag_color:|visual_id:|notes:",
        "|",
        "||lot_group: |",
        "|lf:|epc:",
        "|lf:NOREAD|epc:FFFFFFFFFFFFFFFFFFFFFFFF",
        "|tag_color:None|pen_location:n/a|visual_id:0",
        "|shoe:",
    ] {
        assert_eq!(event(&format!("{start}{end}")), plain, "{end}");
    }
}

/// Catches a page that shows a funder of the name "None".
#[test]
fn a_label_that_says_nothing_is_absent() {
    let event = event("event:hxbind1|lid:1|lot:L|funder:None|pen:null|sex:-|lot_group:undefined|reason:N/A|notes:?");
    assert_eq!(event.traits, Traits::default());
}

#[test]
fn a_lid_that_says_nothing_names_no_animal() {
    for lid in ["0", "-1", "", "none", "00"] {
        assert_eq!(event(&format!("event:hxbchi1|lid:{lid}|lf:L7")).lid, None, "{lid}");
        assert_eq!(rejection(&format!("event:hxbchi1|lid:{lid}")), Rejection::NoAnimalNamed, "{lid}");
    }
    assert_eq!(event("event:hxbchi1|lid:-2").lid, text("-2"));
}

#[test]
fn a_repair_without_its_new_tag_names_the_field() {
    let missing = Rejection::MissingField { field: "new_lf or new_epc".to_owned() };
    assert_eq!(rejection("event:hxbrep1|lid:1|old_lf:L|new_lf:"), missing);
    assert_eq!(rejection("event:hxbrep1|lid:1|new_lf:NOREAD|new_epc:0"), missing);
    let repair = event("event:hxbrep1|lid:1|old_lf:None|new_lf:M");
    assert_eq!((repair.old_lf, repair.lf), (None, lf("M")));
}

#[test]
fn a_lot_that_says_nothing_rejects_the_payload_and_is_named() {
    let empty = |field: &str| Rejection::EmptyField { field: field.to_owned() };
    assert_eq!(rejection("event:hxbind1|lid:1|lot:"), empty("lot"));
    assert_eq!(rejection("event:hxeexp1|lid:1|batch:None"), empty("batch"));
    assert_eq!(rejection("event:hxeexp1|lid:1|lot:-|batch:"), empty("batch"));
    assert_eq!(event("event:hxeexp1|lid:1|lot:E1|batch:").batch, text("E1"));
    assert_eq!(event("event:hxbind1|lid:1").batch, None);
}

#[test]
fn a_person_can_say_which_lot_and_animal_were_meant() {
    let said = |payload: &str, supplement| parse_with(payload.as_bytes(), &supplement).outcome;
    let batch = Supplement { batch: Some("L9"), ..Supplement::default() };
    for payload in
        ["hxb::L:U", "hxb:None:L:U", "hxb:TYPO:L:U", "event:hxbind1|lid:1|lot:", "event:hxeexp1|lid:1|batch:|lot:E"]
    {
        assert_eq!(said(payload, batch).unwrap().batch, text("L9"), "{payload}");
    }
    assert_eq!(said("event:hxbchi1|lid:1", batch).unwrap().batch, None);
    let animal = Supplement { animal_is_known: true, ..Supplement::default() };
    for payload in ["hxb:B:NOREAD:", "event:hxbchi1|lid:0|weight:300", "event:hxbrep1|lid:|new_lf:M"] {
        assert_eq!(rejection(payload), Rejection::NoAnimalNamed, "{payload}");
        assert!(said(payload, animal).is_ok(), "{payload}");
    }
}

#[test]
fn the_unit_of_a_reader_counts_for_a_number_alone() {
    let pounds = Supplement { weight_unit: WeightUnit::Lb, ..Supplement::default() };
    for (weight, grams) in [("540", 244_940), ("540,0", 244_940), ("245.5 kg", 245_500)] {
        let payload = format!("event:hxbchi1|lid:1|weight:{weight}");
        assert_eq!(parse_with(payload.as_bytes(), &pounds).outcome.unwrap().weight, Weight::Grams(grams), "{weight}");
    }
}
