//! Every rejection once, in its frozen order, with its code and its sentence.

use super::super::Rejection;

/// Code, rejection and sentence.
type Reason = (&'static str, Rejection, &'static str);

fn every_reason() -> impl Iterator<Item = Reason> {
    first_reasons().into_iter().chain(later_reasons())
}

fn first_reasons() -> Vec<Reason> {
    let of = |text: &str| text.to_owned();
    vec![
        ("empty", Rejection::Empty, "The payload is empty."),
        ("too_long", Rejection::TooLong { bytes: 300 }, "The payload has 300 bytes, and at most 255 are allowed."),
        (
            "not_text",
            Rejection::NotText,
            "The payload is not text (invalid UTF-8), so it was damaged or is of another device.",
        ),
        (
            "sealed_frame",
            Rejection::SealedFrame,
            "The payload is a sealed binary frame, which this version cannot open.",
        ),
        (
            "control_character",
            Rejection::ControlCharacter { at: 7 },
            "The payload has a control character after its first 7 characters.",
        ),
        (
            "unknown_prefix",
            Rejection::UnknownPrefix { prefix: of("hxx") },
            "The payload begins with \"hxx\", and only hxb, hxe and event are known.",
        ),
        (
            "field_count",
            Rejection::FieldCount { found: 3 },
            "A payload of the form hxb:BATCH:LF:UHF has four fields, and this one has 3.",
        ),
        (
            "empty_field",
            Rejection::EmptyField { field: of("batch") },
            "The field \"batch\" says nothing, and the event needs it: accept the payload with what was meant.",
        ),
        (
            "field_too_long",
            Rejection::FieldTooLong { field: of("notes"), chars: 65 },
            "The field \"notes\" has 65 characters, and at most 64 are allowed.",
        ),
        (
            "field_without_value",
            Rejection::FieldWithoutValue { field: of("limps") },
            "The field \"limps\" has no colon, so it has no value.",
        ),
        ("repeated_key", Rejection::RepeatedKey { key: of("lid") }, "The field \"lid\" is given more than once."),
        (
            "bad_event_id",
            Rejection::BadEventId { id: of("hxb1") },
            "The event id \"hxb1\" is not of the form hxbind000001.",
        ),
        (
            "unknown_event_kind",
            Rejection::UnknownEventKind { kind: of("mov") },
            "The event is of the kind \"mov\", and only ind, pai, chi, rep and exp are known.",
        ),
        ("no_animal_named", Rejection::NoAnimalNamed, "The event names no animal: it has neither a lid nor a tag."),
        (
            "missing_field",
            Rejection::MissingField { field: of("new_lf or new_epc") },
            "The event has no new_lf or new_epc, which its kind needs.",
        ),
        (
            "rounded_tag",
            Rejection::RoundedTag { field: of("lf"), text: of("9.82E+14") },
            "The tag \"9.82E+14\" in the field \"lf\" was rounded, as a spreadsheet does with long numbers: its last \
             digits are lost, so take it from the reader again.",
        ),
    ]
}

/// Reasons that only the tables show, and later ones.
fn later_reasons() -> Vec<Reason> {
    let of = |text: &str| text.to_owned();
    vec![
        (
            "event_id_reused",
            Rejection::EventIdReused { of: 17 },
            "Payload 17 came with the same event id and another content: accept this one by a correction, or start a \
             new reader era if the reader was replaced.",
        ),
        (
            "tags_of_two_animals",
            Rejection::TagsOfTwoAnimals { first: 3, second: 9 },
            "The tags are of two animals, 3 and 9: merge them if they are one.",
        ),
        (
            "lid_of_another",
            Rejection::LidOfAnother { lid: of("7"), tag_animal: 3, tag_lid: of("5") },
            "The event names lid \"7\", and its tag is of animal 3, which has lid \"5\".",
        ),
        (
            "old_tag_of_another",
            Rejection::OldTagOfAnother { tag: of("LF1"), named: 3, owner: 9 },
            "The repair takes tag \"LF1\" off animal 3, and that tag is of animal 9.",
        ),
        (
            "text_behind_header",
            Rejection::TextBehindHeader,
            "The payload is text behind a few bytes that are no text, such as the four bytes of RadioHead: set \
             strip_bytes = 4 for the radio.",
        ),
        (
            "old_tag_not_worn",
            Rejection::OldTagNotWorn { tag: of("LF1"), animal: 3, worn: of("LF2") },
            "The repair takes tag \"LF1\" off animal 3, which wears \"LF2\": correct the tag of the animal, then accept \
             this payload.",
        ),
    ]
}

#[test]
fn every_reason_has_its_code_and_a_sentence_that_names_the_fault() {
    for (code, rejection, sentence) in every_reason() {
        assert_eq!(rejection.code(), code);
        assert_eq!(rejection.to_string(), sentence);
    }
}

#[test]
fn the_number_of_a_reason_is_its_place_and_its_first_stored_byte() {
    for (place, (code, rejection, _)) in every_reason().enumerate() {
        assert_eq!(usize::from(rejection.number()), place, "{code}");
        assert_eq!(postcard::to_stdvec(&rejection).unwrap()[0], rejection.number(), "{code}");
    }
}

#[test]
fn every_reason_comes_back_from_its_stored_bytes() {
    for (_, rejection, _) in every_reason() {
        let bytes = postcard::to_stdvec(&rejection).unwrap();
        assert_eq!(postcard::from_bytes::<Rejection>(&bytes).unwrap(), rejection);
    }
}

#[test]
fn a_field_without_a_name_is_described_in_words() {
    let no_key = Rejection::EmptyField { field: String::new() };
    assert_eq!(no_key.to_string(), "A field has no name before its colon.");
}
