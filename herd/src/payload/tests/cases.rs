//! Cases from the field that the grammar alone decides, with their numbers and original texts.

use super::super::{Event, EventKind, Rejection, Traits, Weight};
use super::{bare, epc, id, lf, parse, short, text};

pub(super) const INDUCTION: &str =
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red";
pub(super) const PAIRING: &str = "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5";
pub(super) const CHECK_IN: &str = "event:hxbchi000001|weight:267.3|lid:1";
pub(super) const REPAIR: &str = "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged";

pub(super) fn induction() -> Event {
    Event {
        id: Some(id(EventKind::Induction, "hxbind000001")),
        lid: text("1"),
        batch: text("LOT2024-001"),
        traits: Traits {
            funder: text("Southwest Cattle Co"),
            pen: text("P1"),
            sex: text("M"),
            tag_color: text("Red"),
            ..Traits::default()
        },
        ..bare(EventKind::Induction)
    }
}

pub(super) fn pairing() -> Event {
    Event {
        id: Some(id(EventKind::Pairing, "hxbpai000001")),
        lid: text("1"),
        lf: lf("LF_EAR_0001"),
        epc: epc("EPC:30143B7C84D500000000000"),
        weight: Weight::Grams(245_500),
        ..bare(EventKind::Pairing)
    }
}

pub(super) fn check_in() -> Event {
    Event {
        id: Some(id(EventKind::CheckIn, "hxbchi000001")),
        lid: text("1"),
        weight: Weight::Grams(267_300),
        ..bare(EventKind::CheckIn)
    }
}

pub(super) fn repair() -> Event {
    Event {
        id: Some(id(EventKind::Repair, "hxbrep000001")),
        lid: text("1"),
        lf: lf("LF_EAR_0099"),
        old_lf: lf("LF_EAR_0001"),
        traits: Traits { reason: text("Tag damaged"), ..Traits::default() },
        ..bare(EventKind::Repair)
    }
}

#[test]
fn cases_1_4_5_9_to_12_are_the_known_events() {
    let cases = [
        (1, "hxb:BATCH001:LF123:UHF456", short(EventKind::Scan, "BATCH001", "LF123", "UHF456")),
        (4, "hxe:EXPORT001:LF789:UHF012", short(EventKind::Export, "EXPORT001", "LF789", "UHF012")),
        (5, "hxb:TEST001:LF999:UHF888", short(EventKind::Scan, "TEST001", "LF999", "UHF888")),
        (9, INDUCTION, induction()),
        (10, PAIRING, pairing()),
        (11, CHECK_IN, check_in()),
        (12, REPAIR, repair()),
    ];
    for (number, payload, event) in cases {
        assert_eq!(parse(payload.as_bytes()), Ok(event), "case {number}: {payload}");
    }
}

#[test]
fn case_8_each_text_is_rejected_with_its_reason() {
    let cases = [
        ("invalid:data", Rejection::UnknownPrefix { prefix: "invalid".to_owned() }),
        ("hxb:BATCH001:LF123", Rejection::FieldCount { found: 3 }),
        ("hxb:B:L:U:X", Rejection::FieldCount { found: 5 }),
        ("hxx:B:1:2", Rejection::UnknownPrefix { prefix: "hxx".to_owned() }),
        ("hxb::LF:UHF", Rejection::EmptyField { field: "batch".to_owned() }),
        ("hxb: :LF1:UHF1", Rejection::EmptyField { field: "batch".to_owned() }),
    ];
    for (payload, rejection) in cases {
        assert_eq!(parse(payload.as_bytes()), Err(rejection), "case 8: {payload}");
    }
}

#[test]
fn case_9_an_induction_knows_the_rarer_traits() {
    let payload = format!("{INDUCTION}|lot_group:G1|pen_location:East Section|visual_id:V7|notes:limps: left hind");
    let plain = induction();
    let traits = Traits {
        lot_group: text("G1"),
        pen_location: text("East Section"),
        visual_id: text("V7"),
        notes: text("limps: left hind"),
        ..plain.traits.clone()
    };
    assert_eq!(parse(payload.as_bytes()), Ok(Event { traits, ..plain }));
}

#[test]
fn case_10_the_tag_is_shown_as_given_and_its_key_has_no_prefix() {
    let epc = parse(PAIRING.as_bytes()).unwrap().epc.unwrap();
    assert_eq!(epc.text(), "EPC:30143B7C84D500000000000");
    assert_eq!(epc.key(), "30143B7C84D500000000000");
}

#[test]
fn case_12_a_repair_can_replace_the_uhf_tag() {
    let payload = "event:hxbrep000001|old_epc:EPC:AA|new_epc:EPC:BB|lid:1|reason:LF tag lost during handling";
    let event = parse(payload.as_bytes()).unwrap();
    assert_eq!((event.lf, event.old_lf), (None, None));
    assert_eq!((event.epc, event.old_epc), (epc("EPC:BB"), epc("EPC:AA")));
}

#[test]
fn case_13_each_event_names_its_animal_so_any_can_come_first() {
    for payload in [INDUCTION, PAIRING, CHECK_IN, REPAIR] {
        assert_eq!(parse(payload.as_bytes()).unwrap().lid, text("1"), "{payload}");
    }
}

#[test]
fn case_20_an_empty_or_implausible_weight_leaves_the_tags() {
    let cases = [
        ("0", Weight::NotWeighed),
        ("", Weight::NotWeighed),
        ("-5", Weight::Refused("-5".to_owned())),
        ("NaN", Weight::Refused("NaN".to_owned())),
    ];
    for (weight_text, weight) in cases {
        let payload =
            format!("event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:{weight_text}");
        assert_eq!(parse(payload.as_bytes()), Ok(Event { weight, ..pairing() }), "{payload}");
    }
}
