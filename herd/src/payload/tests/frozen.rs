//! The stored form of events and rejections. A failure here means that stored changes would be read as something else.
//! Fix the code then, never the bytes.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use super::super::{Event, EventId, EventKind, Rejection, SourceType, Traits, Weight};
use super::cases::{check_in, induction, pairing, repair};
use super::{epc, id, short, text};

/// Hexadecimal bytes of each field. Spaces are for readability.
type Golden<'a> = &'a [(&'a str, &'a str)];

fn assert_frozen<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, golden: Golden<'_>) {
    let golden: String = golden.iter().map(|(_, bytes)| bytes.replace(' ', "")).collect();
    assert_eq!(hex::encode(postcard::to_stdvec(value).unwrap()), golden, "{value:?}");
    assert_eq!(&postcard::from_bytes::<T>(&hex::decode(golden).unwrap()).unwrap(), value);
}

#[test]
fn a_scan_is_frozen() {
    assert_frozen(
        &short(EventKind::Scan, "BATCH001", "LF123", "UHF456"),
        &[
            ("kind", "00"),
            ("id", "00"),
            ("lid", "00"),
            ("lf", "01 05 4c46313233 00"),
            ("epc", "01 06 554846343536 00"),
            ("old_lf", "00"),
            ("old_epc", "00"),
            ("batch", "01 08 4241544348303031"),
            ("weight", "00"),
            ("traits", "00 00 00 00 00 00 00 00 00"),
            ("unknown", "00"),
        ],
    );
}

#[test]
fn an_export_is_frozen() {
    assert_frozen(
        &short(EventKind::Export, "EXPORT001", "lf 789", "EPC:UHF012"),
        &[
            ("kind", "01"),
            ("id", "00"),
            ("lid", "00"),
            ("lf and its key", "01 06 6c6620373839 01 05 4c46373839"),
            ("epc and its key", "01 0a 4550433a554846303132 01 06 554846303132"),
            ("old_lf", "00"),
            ("old_epc", "00"),
            ("batch", "01 09 4558504f5254303031"),
            ("weight", "00"),
            ("traits", "00 00 00 00 00 00 00 00 00"),
            ("unknown", "00"),
        ],
    );
}

#[test]
fn an_induction_with_every_trait_is_frozen() {
    let plain = induction();
    let traits = Traits {
        visual_id: text("V7"),
        lot_group: text("G1"),
        pen_location: text("East"),
        notes: text("calm"),
        reason: text("new"),
        ..plain.traits.clone()
    };
    assert_frozen(
        &Event { traits, ..plain },
        &[
            ("kind", "02"),
            ("id", "01 00 02 01 0c 687862696e64303030303031"),
            ("lid", "01 01 31"),
            ("lf", "00"),
            ("epc", "00"),
            ("old_lf", "00"),
            ("old_epc", "00"),
            ("batch", "01 0b 4c4f54323032342d303031"),
            ("weight", "00"),
            ("funder", "01 13 536f7574687765737420436174746c6520436f"),
            ("pen", "01 02 5031"),
            ("sex", "01 01 4d"),
            ("tag_color", "01 03 526564"),
            ("visual_id", "01 02 5637"),
            ("lot_group", "01 02 4731"),
            ("pen_location", "01 04 45617374"),
            ("notes", "01 04 63616c6d"),
            ("reason", "01 03 6e6577"),
            ("unknown", "00"),
        ],
    );
}

#[test]
fn a_pairing_is_frozen() {
    assert_frozen(
        &pairing(),
        &[
            ("kind", "03"),
            ("id", "01 00 03 01 0c 687862706169303030303031"),
            ("lid", "01 01 31"),
            ("lf", "01 0b 4c465f4541525f30303031 00"),
            ("epc", "01 1b 4550433a3330313433423743383444353030303030303030303030"),
            ("key of epc", "01 17 3330313433423743383444353030303030303030303030"),
            ("old_lf", "00"),
            ("old_epc", "00"),
            ("batch", "00"),
            ("weight in grams", "02 fcfd0e"),
            ("traits", "00 00 00 00 00 00 00 00 00"),
            ("unknown", "00"),
        ],
    );
}

#[test]
fn a_check_in_with_a_refused_weight_and_an_unknown_key_is_frozen() {
    let unknown = vec![("shoe".to_owned(), "7".to_owned())];
    assert_frozen(
        &Event { weight: Weight::Refused("-5".to_owned()), unknown, ..check_in() },
        &[
            ("kind", "04"),
            ("id", "01 00 04 01 0c 687862636869303030303031"),
            ("lid", "01 01 31"),
            ("lf", "00"),
            ("epc", "00"),
            ("old_lf", "00"),
            ("old_epc", "00"),
            ("batch", "00"),
            ("weight", "03 02 2d35"),
            ("traits", "00 00 00 00 00 00 00 00 00"),
            ("unknown", "01 04 73686f65 01 37"),
        ],
    );
}

#[test]
fn a_repair_of_both_tags_is_frozen() {
    let id = Some(id(EventKind::Repair, "hxbrep1"));
    let event = Event { id, epc: epc("B"), old_epc: epc("A"), weight: Weight::NotWeighed, ..repair() };
    assert_frozen(
        &event,
        &[
            ("kind", "05"),
            ("id", "01 00 05 01 07 68786272657031"),
            ("lid", "01 01 31"),
            ("lf", "01 0b 4c465f4541525f30303939 00"),
            ("epc", "01 01 42 00"),
            ("old_lf", "01 0b 4c465f4541525f30303031 00"),
            ("old_epc", "01 01 41 00"),
            ("batch", "00"),
            ("weight", "01"),
            ("eight traits", "00 00 00 00 00 00 00 00"),
            ("reason", "01 0b 5461672064616d61676564"),
            ("unknown", "00"),
        ],
    );
}

#[test]
fn four_rejections_are_frozen() {
    assert_frozen(&Rejection::TooLong { bytes: 300 }, &[("number", "01"), ("bytes", "ac02")]);
    let unknown_prefix = Rejection::UnknownPrefix { prefix: "hxx".to_owned() };
    assert_frozen(&unknown_prefix, &[("number", "05"), ("prefix", "03 687878")]);
    assert_frozen(
        &Rejection::OldTagOfAnother { tag: "LF1".to_owned(), named: 3, owner: 300 },
        &[("number", "13"), ("tag", "03 4c4631"), ("named", "03"), ("owner", "ac02")],
    );
    assert_frozen(
        &Rejection::OldTagNotWorn { tag: "LF1".to_owned(), animal: 300, worn: "LF2".to_owned() },
        &[("number", "15"), ("tag", "03 4c4631"), ("animal", "ac02"), ("worn", "03 4c4632")],
    );
}

#[test]
fn the_second_source_is_frozen() {
    let kind = EventKind::Export;
    let id = EventId { source: SourceType::Hxe, kind, counter: 300, text: "hxeexp300".into() };
    assert_frozen(&id, &[("source", "01"), ("kind", "01"), ("counter", "ac02"), ("text", "09 687865657870333030")]);
}
