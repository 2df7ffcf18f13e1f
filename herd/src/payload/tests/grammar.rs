//! Rules of the grammar beyond the cases from the field.

use super::super::{Event, EventKind, MAX_FIELD_CHARS, MAX_PAYLOAD_BYTES, Rejection, SourceType, Weight};
use super::{lf, parse, text};

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

/// Catches text, or noise, that is taken for a frame of a later reader.
#[test]
fn a_sealed_frame_is_long_enough_no_text_and_begins_as_no_text_can() {
    let frame = |first: u8, bytes: usize| {
        let mut frame = vec![0xff; bytes];
        frame[0] = first;
        frame
    };
    for first in 0..=u8::MAX {
        let is_sealed = (0x80..=0xbf).contains(&first);
        assert_eq!(parse(&frame(first, 21)) == Err(Rejection::SealedFrame), is_sealed, "{first:#x}");
    }
    assert_eq!(parse(&frame(0x80, 20)), Err(Rejection::NotText));
    assert_eq!(parse(&frame(0x80, 256)), Err(Rejection::TooLong { bytes: 256 }));
    assert_eq!(rejection("éxb:B:L:U"), Rejection::UnknownPrefix { prefix: "éxb".to_owned() });
}

/// Catches a yard whose reads are all rejected without a hint, because its transmitters use `RadioHead`.
#[test]
fn text_behind_a_header_is_told_from_noise() {
    let headers: [&[u8]; 4] = [&[0xff, 0xff, 0, 0], &[1, 2, 3, 4], &[0, 0xff, 7, 0], &[2, 1, b'A', 0]];
    for header in headers {
        for text in ["hxb:B:L:U", "hxe:B:L:U", "event:hxbchi1|lid:1"] {
            let raw = [header, text.as_bytes()].concat();
            assert_eq!(parse(&raw), Err(Rejection::TextBehindHeader), "{header:?} {text}");
        }
    }
    assert!(parse(b"\0\0\0\0hxb:B:L:U").is_ok());
    assert_eq!(rejection("to: hxb:B:L:U"), Rejection::UnknownPrefix { prefix: "to".to_owned() });
    assert_eq!(parse(b"\xff\xff\0\0hello"), Err(Rejection::NotText));
    assert_eq!(parse(b"\xff\xff\x01\x02\x03hxb:B:L:U"), Err(Rejection::NotText));
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
fn notes_and_reasons_may_be_as_long_as_the_payload() {
    for key in ["notes", "reason"] {
        let start = format!("event:hxbchi1|lid:1|{key}:");
        let long = "n".repeat(MAX_PAYLOAD_BYTES - start.len());
        let traits = event(&format!("{start}{long}")).traits;
        assert_eq!(traits.notes.or(traits.reason), text(&long));
    }
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
fn a_short_form_needs_its_batch_and_one_tag() {
    for payload in ["hxb::L:U", "hxb: :L:U", "hxb:None:L:U", "hxe:-:L:U"] {
        assert_eq!(rejection(payload), Rejection::EmptyField { field: "batch".to_owned() }, "{payload}");
    }
    for (payload, has) in [("hxb:B::U1", (false, true)), ("hxb:B:None:U1", (false, true)), ("hxe:B:L:", (true, false))]
    {
        let event = event(payload);
        assert_eq!((event.lf.is_some(), event.epc.is_some()), has, "{payload}");
    }
    for payload in ["hxb:B::", "hxb:B:NOREAD:0000000000000000", "hxe:B:?:null"] {
        assert_eq!(rejection(payload), Rejection::NoAnimalNamed, "{payload}");
    }
    assert_eq!(rejection("hxb"), Rejection::FieldCount { found: 1 });
}

#[test]
fn a_uhf_tag_in_a_short_form_may_have_colons() {
    for tag in ["EPC:E2801160600002044310B2E2", "E2:80:11:60:60:00:02:04:43:10:B2:E2"] {
        assert_eq!(event(&format!("hxb:B:L:{tag}")).epc.unwrap().key(), "E2801160600002044310B2E2");
    }
    let urn = "urn:epc:id:giai:0614141.12345400";
    assert_eq!(event(&format!("hxb:B:L:{urn}")).epc.unwrap().key(), urn);
    assert_eq!(rejection("hxb:B:L:U:X"), Rejection::FieldCount { found: 5 });
}

#[test]
fn an_event_is_fields_with_a_key_and_a_value_each_key_once() {
    let no_colon = |field: &str| Rejection::FieldWithoutValue { field: field.to_owned() };
    assert_eq!(rejection("event:hxbchi1|lid:1|limps"), no_colon("limps"));
    assert_eq!(rejection("event|lid:1"), no_colon("event"));
    let empty = |field: &str| Rejection::EmptyField { field: field.to_owned() };
    assert_eq!(rejection("event:hxbchi1|lid:1|:7"), empty(""));
    assert_eq!(rejection("event:"), empty("event"));
    let repeated = |key: &str| Rejection::RepeatedKey { key: key.to_owned() };
    assert_eq!(rejection("event:hxbchi1|lid:1|lid:1"), repeated("lid"));
    assert_eq!(rejection("event:hxbchi1|lid:1|event:hxbchi2"), repeated("event"));
    assert_eq!(rejection("event:hxbchi1|lid:1|shoe:7| shoe :8"), repeated("shoe"));
    for payload in ["event:hxbchi1|lid:|lid:1", "event:hxbchi1|lid:1|lid: ", "event:hxbchi1|lid:|lid:1|lid:"] {
        assert_eq!(event(payload).lid, text("1"), "{payload}: a blank field says nothing");
    }
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
    assert_eq!((repair.lf, repair.epc, repair.weight), (lf("B"), None, Weight::Grams(3_000)));

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
fn a_rounded_tag_rejects_the_payload_and_is_named() {
    for (payload, field) in [
        ("event:hxbpai1|lid:1|epc:9.82E+14", "epc"),
        ("event:hxbpai1|lid:1|lf:9.82E+14", "lf"),
        ("event:hxbrep1|lid:1|new_lf:9.82E+14", "new_lf"),
        ("event:hxbrep1|lid:1|new_lf:A|old_epc:9.82E+14", "old_epc"),
        ("hxb:B:9.82E+14:U", "lf"),
    ] {
        let text = "9.82E+14".to_owned();
        assert_eq!(rejection(payload), Rejection::RoundedTag { field: field.to_owned(), text });
    }
}

#[test]
fn names_of_kinds_and_sources_are_stable() {
    use EventKind::{CheckIn, Export, Induction, Pairing, Repair, Scan};
    let kinds = [Scan, Export, Induction, Pairing, CheckIn, Repair].map(EventKind::as_str);
    assert_eq!(kinds, ["scan", "export", "induction", "pairing", "check_in", "repair"]);
    assert_eq!([SourceType::Hxb, SourceType::Hxe].map(SourceType::as_str), ["hxb", "hxe"]);
}
