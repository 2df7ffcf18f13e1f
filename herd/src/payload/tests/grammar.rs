//! Rules of the grammar beyond the cases from the field.

use super::super::{Event, EventKind, MAX_FIELD_CHARS, MAX_PAYLOAD_BYTES, Rejection, SourceType, Tag, Weight};
use super::parse;
use super::text;

fn rejection(payload: &str) -> Rejection {
    parse(payload.as_bytes()).expect_err(payload)
}

fn event(payload: &str) -> Event {
    parse(payload.as_bytes()).unwrap_or_else(|rejection| panic!("{payload}: {rejection}"))
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn unreadable_texts_have_different_rejections() {
    for raw in [&b""[..], b" ", b"\r\n\t", "\t\u{3000}".as_bytes()] {
        assert_eq!(parse(raw), Err(Rejection::Empty), "{raw:?}");
    }
    assert_eq!(parse(b"hxb:B:L\xff:U"), Err(Rejection::NotText));
    assert_eq!(parse(b"hxb:B:L\x00:U"), Err(Rejection::ControlCharacter { at: 7 }));
    assert_eq!(rejection("hxb:é:L\u{7f}:U"), Rejection::ControlCharacter { at: 7 });
}

#[test]
fn every_first_byte_from_0x80_on_is_a_sealed_frame_and_none_below() {
    for first in 0..=u8::MAX {
        let raw = [first, b'x'];
        assert_eq!(parse(&raw) == Err(Rejection::SealedFrame), first >= 0x80, "{first:#x}");
    }
}

#[test]
fn a_sealed_frame_is_one_at_any_length_and_as_valid_utf_8() {
    assert_eq!(rejection("éxb:B:L:U"), Rejection::SealedFrame);
    assert_eq!(parse(&[0x80; 300]), Err(Rejection::SealedFrame));
}

#[test]
fn the_length_is_counted_in_bytes_after_trimming() {
    let longest = format!("hxb:B:L:U{}", "x".repeat(MAX_PAYLOAD_BYTES - 9));
    assert!(matches!(rejection(&format!("  {longest}\r\n")), Rejection::FieldTooLong { .. }));
    assert_eq!(rejection(&format!("{longest}é")), Rejection::TooLong { bytes: 257 });
}

#[test]
fn a_field_may_have_64_characters_and_no_more() {
    let full = "é".repeat(MAX_FIELD_CHARS);
    assert_eq!(event(&format!("hxb:{full}:L:U")).batch, text(&full));
    assert_eq!(event(&format!("event:hxbchi1|lid:{full}")).lid, text(&full));
    let over = |field: &str| Rejection::FieldTooLong { field: field.to_owned(), chars: 65 };
    assert_eq!(rejection(&format!("hxb:B:L:{full}x")), over("epc"));
    assert_eq!(rejection(&format!("event:hxbchi1|lid:{full}x")), over("lid"));
    assert_eq!(rejection(&format!("event:hxbchi1|lid:1|weight:{}", "1".repeat(65))), over("weight"));
    let key = "k".repeat(65);
    assert_eq!(rejection(&format!("event:hxbchi1|lid:1|{key}:v")), over(&key[..64]));
}

#[test]
fn the_case_of_the_prefix_matters() {
    for prefix in ["HXB", "Hxe", "Event", "", "hxbx"] {
        let payload = format!("{prefix}:B:L:U");
        assert_eq!(rejection(&payload), Rejection::UnknownPrefix { prefix: prefix.to_owned() });
    }
    let long = "p".repeat(100);
    assert_eq!(rejection(&long), Rejection::UnknownPrefix { prefix: long[..64].to_owned() });
}

#[test]
fn whitespace_around_fields_keys_and_values_is_ignored() {
    assert_eq!(event(" hxb : B : L : U "), event("hxb:B:L:U"));
    assert_eq!(event(" event : hxbchi1 | lid : 1 | weight : 2 "), event("event:hxbchi1|lid:1|weight:2"));
}

#[test]
fn a_short_form_says_which_field_is_empty() {
    for (payload, field) in [("hxb::L:U", "batch"), ("hxe:B: :U", "lf"), ("hxe:B:L:", "epc")] {
        assert_eq!(rejection(payload), Rejection::EmptyField { field: field.to_owned() });
    }
    assert_eq!(rejection("hxb"), Rejection::FieldCount { found: 1 });
}

#[test]
fn an_event_is_fields_with_a_key_and_a_value_each_key_once() {
    let no_colon = |field: &str| Rejection::FieldWithoutValue { field: field.to_owned() };
    assert_eq!(rejection("event:hxbchi1|lid:1|limps"), no_colon("limps"));
    assert_eq!(rejection("event:hxbchi1|lid:1|"), no_colon(""));
    assert_eq!(rejection("event|lid:1"), no_colon("event"));
    let empty = |field: &str| Rejection::EmptyField { field: field.to_owned() };
    assert_eq!(rejection("event:hxbchi1|lid: "), empty("lid"));
    assert_eq!(rejection("event:hxbchi1|lid:1|shoe:"), empty("shoe"));
    assert_eq!(rejection("event:hxbchi1|lid:1|:7"), empty(""));
    assert_eq!(rejection("event:"), empty("event"));
    let repeated = |key: &str| Rejection::RepeatedKey { key: key.to_owned() };
    assert_eq!(rejection("event:hxbchi1|lid:1|lid:1"), repeated("lid"));
    assert_eq!(rejection("event:hxbchi1|lid:1|event:hxbchi2"), repeated("event"));
    assert_eq!(rejection("event:hxbchi1|lid:1|shoe:7| shoe :8"), repeated("shoe"));
}

#[test]
fn an_event_id_is_source_kind_and_a_counter_that_fits_64_bits() {
    let read = event("event:hxeexp00018446744073709551615|lid:1").id.unwrap();
    assert_eq!((read.source, read.kind, read.counter), (SourceType::Hxe, EventKind::Export, u64::MAX));
    assert_eq!(read.text, "hxeexp00018446744073709551615");
    let malformed = [
        "hxb",
        "hxbind",
        "hxb1",
        "hxb000001",
        "ind000001",
        "HXBind1",
        "hxxind1",
        "hxbind+1",
        "hxbind-1",
        "hxbind 1",
        "hxbind1x",
        "hxbind1.0",
        "hxbind18446744073709551616",
        "hxbin\u{e9}1",
        "hx\u{e9}ind1",
        "hxbind\u{663}",
    ];
    for id in malformed {
        assert_eq!(rejection(&format!("event:{id}|lid:1")), Rejection::BadEventId { id: id.to_owned() });
    }
    for kind in ["IND", "move", "in", "hxb"] {
        let payload = format!("event:hxb{kind}1|lid:1");
        assert_eq!(rejection(&payload), Rejection::UnknownEventKind { kind: kind.to_owned() });
    }
}

#[test]
fn each_kind_knows_its_own_keys_and_keeps_the_others_in_order() {
    let check_in = event("event:hxbchi1|zeta:1|pen:P1|lid:1|old_lf:X|lot:L1|Lid:2|reason:late");
    let kept = [pair("zeta", "1"), pair("pen", "P1"), pair("old_lf", "X"), pair("lot", "L1"), pair("Lid", "2")];
    assert_eq!(check_in.unknown, kept);
    assert_eq!((check_in.batch, check_in.old_lf, check_in.traits.reason), (None, None, text("late")));

    let repair = event("event:hxbrep1|lf:A|new_lf:B|lid:1|epc:C|batch:D|weight:3");
    assert_eq!(repair.unknown, [pair("lf", "A"), pair("epc", "C"), pair("batch", "D")]);
    assert_eq!((repair.lf, repair.epc, repair.weight), (Tag::new("B"), None, Weight::Grams(3_000)));

    let induction = event("event:hxbind1|lid:1|batch:B1|lot:L1|reason:new");
    assert_eq!((induction.batch, induction.traits.reason), (text("L1"), text("new")));
    assert_eq!(induction.unknown, [pair("batch", "B1")]);
}

#[test]
fn an_export_names_its_batch_by_one_of_two_keys() {
    assert_eq!(event("event:hxeexp1|lid:1|batch:E1").batch, text("E1"));
    assert_eq!(event("event:hxeexp1|lid:1|lot:E1").batch, text("E1"));
    assert_eq!(event("event:hxeexp1|lid:1").batch, None);
    assert_eq!(
        rejection("event:hxeexp1|lid:1|batch:E1|lot:E1"),
        Rejection::RepeatedKey { key: "batch or lot".to_owned() }
    );
}

#[test]
fn an_event_names_its_animal_by_a_key_that_its_kind_knows() {
    for named in ["chi1|lid:1", "chi1|lf:L", "ind1|epc:E", "rep1|old_lf:L|new_lf:M", "rep1|old_epc:E|new_lf:M"] {
        event(&format!("event:hxb{named}"));
    }
    for nameless in ["chi1", "chi1|weight:3", "chi1|old_lf:L", "rep1|new_lf:M", "rep1|lf:L|new_lf:M"] {
        assert_eq!(rejection(&format!("event:hxb{nameless}")), Rejection::NoAnimalNamed, "{nameless}");
    }
}

#[test]
fn a_repair_needs_a_new_tag() {
    let missing = Rejection::MissingField { field: "new_lf or new_epc".to_owned() };
    assert_eq!(rejection("event:hxbrep1|lid:1|old_lf:L"), missing);
    assert_eq!(rejection("event:hxbrep1|lid:1|lf:L"), missing);
}

#[test]
fn a_tag_without_a_number_rejects_the_payload_and_is_named() {
    for (payload, field) in [
        ("event:hxbpai1|lid:1|epc:EPC:", "epc"),
        ("event:hxbpai1|lid:1|lf:epc :", "lf"),
        ("event:hxbrep1|lid:1|new_lf:EPC:", "new_lf"),
        ("event:hxbrep1|lid:1|new_lf:A|old_epc:EPC:", "old_epc"),
    ] {
        assert_eq!(rejection(payload), Rejection::BadTag { field: field.to_owned() });
    }
}

#[test]
fn names_of_kinds_and_sources_are_stable() {
    use EventKind::{CheckIn, Export, Induction, Pairing, Repair, Scan};
    let kinds = [Scan, Export, Induction, Pairing, CheckIn, Repair].map(EventKind::as_str);
    assert_eq!(kinds, ["scan", "export", "induction", "pairing", "check_in", "repair"]);
    assert_eq!([SourceType::Hxb, SourceType::Hxe].map(SourceType::as_str), ["hxb", "hxe"]);
}
