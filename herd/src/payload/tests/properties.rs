//! Properties that hold for every input. A failing input is printed with its seed, which is also written to
//! `proptest-regressions/`.

use std::vec::IntoIter;

use proptest::option;
use proptest::prelude::*;

use super::super::{
    Event, EventId, EventKind, MAX_PAYLOAD_BYTES, MAX_WEIGHT_G, Rejection, SourceType, Tag, TagKind, Weight,
    WeightUnit, blank, content_hash, trimmed,
};
use super::{bare, parse};
use crate::text::Text;

/// Blanks that are trimmed, ASCII or not.
const BLANKS: &str = "[ \t\r\n\0\u{a0}\u{2003}\u{200b}\u{3000}\u{feff}]{0,3}";
/// Values as readers send them: inner spaces and colons, non-ASCII letters, nothing to trim. The first letter begins no
/// filler.
const VALUE: &str = "[G-Mv-zé]([A-Za-z0-9éß :._-]{0,6}[A-Za-z0-9éß])?";

/// Bytes that get further into the grammar than random ones.
fn near_payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "hxb|hxe|event|hxbrep1|hxbchi2|lid|lf|new_lf|old_epc|weight|EPC:|[:| .0-9]".prop_map(String::into_bytes),
        any::<Vec<u8>>().prop_map(|bytes| bytes.into_iter().take(3).collect()),
        "\\PC{0,80}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// An event and the fields that a reader would send for it.
#[derive(Clone, Debug)]
struct SentEvent {
    event: Event,
    fields: Vec<(String, String)>,
}

impl SentEvent {
    fn new(source: SourceType, kind: EventKind, letters: &str, counter: u64) -> Self {
        let text = format!("{}{letters}{counter:06}", source.as_str()).into();
        Self { event: Event { id: Some(EventId { source, kind, counter, text }), ..bare(kind) }, fields: Vec::new() }
    }

    fn put(&mut self, key: &str, value: &str) {
        self.fields.push((key.to_owned(), value.to_owned()));
    }

    /// Sends this value, if there is one, and returns it as the event should hold it.
    fn send(&mut self, key: &str, value: Option<String>) -> Option<Text> {
        if let Some(value) = &value {
            self.put(key, value);
        }
        value.map(Text::from)
    }

    fn send_tag(&mut self, kind: TagKind, key: &str, value: Option<String>) -> Option<Tag> {
        self.send(key, value).and_then(|text| Tag::read(kind, &text).unwrap())
    }
}

fn sent() -> impl Strategy<Value = SentEvent> {
    let kind = prop_oneof![
        Just((EventKind::Induction, "ind")),
        Just((EventKind::Pairing, "pai")),
        Just((EventKind::CheckIn, "chi")),
        Just((EventKind::Repair, "rep")),
        Just((EventKind::Export, "exp")),
    ];
    let source = prop_oneof![Just(SourceType::Hxb), Just(SourceType::Hxe)];
    // One for each key of an induction, which has the most.
    let values = prop::collection::vec(option::of(VALUE), 14);
    (source, kind, any::<u64>(), VALUE, values, option::of(0..=MAX_WEIGHT_G))
        .prop_map(|(source, (kind, letters), counter, lid, values, weight_g)| {
            let mut sent = SentEvent::new(source, kind, letters, counter);
            sent.event.lid = sent.send("lid", Some(lid));
            let mut values = values.into_iter();
            put_tags(&mut sent, &mut values);
            put_texts(&mut sent, &mut values);
            put_weight(&mut sent, weight_g);
            sent
        })
        .prop_flat_map(|SentEvent { event, fields }| {
            Just(fields).prop_shuffle().prop_map(move |fields| in_order_of(event.clone(), fields))
        })
        .prop_filter("fits into one packet", |sent| render(sent, "").len() <= MAX_PAYLOAD_BYTES)
}

/// Orders unknown keys as received: a shuffle of the fields reorders them in the event too.
fn in_order_of(mut event: Event, fields: Vec<(String, String)>) -> SentEvent {
    event.unknown = fields.iter().filter(|(key, _)| key.starts_with('x')).cloned().collect();
    SentEvent { event, fields }
}

fn put_tags(sent: &mut SentEvent, values: &mut IntoIter<Option<String>>) {
    let mut next = || values.next().flatten();
    if sent.event.kind == EventKind::Repair {
        sent.event.lf = sent.send_tag(TagKind::Lf, "new_lf", Some("N1".to_owned()));
        sent.event.epc = sent.send_tag(TagKind::Epc, "new_epc", next());
        sent.event.old_lf = sent.send_tag(TagKind::Lf, "old_lf", next());
        sent.event.old_epc = sent.send_tag(TagKind::Epc, "old_epc", next());
    } else {
        sent.event.lf = sent.send_tag(TagKind::Lf, "lf", next());
        sent.event.epc = sent.send_tag(TagKind::Epc, "epc", next());
    }
}

fn put_texts(sent: &mut SentEvent, values: &mut IntoIter<Option<String>>) {
    let mut next = || values.next().flatten();
    sent.send("x-ray", next());
    sent.send("xeno", next());
    sent.event.traits.notes = sent.send("notes", next());
    sent.event.traits.reason = sent.send("reason", next());
    match sent.event.kind {
        EventKind::Export => sent.event.batch = sent.send("batch", next()),
        EventKind::Induction => {
            sent.event.batch = sent.send("lot", next());
            sent.event.traits.funder = sent.send("funder", next());
            sent.event.traits.pen = sent.send("pen", next());
            sent.event.traits.sex = sent.send("sex", next());
            sent.event.traits.tag_color = sent.send("tag_color", next());
            sent.event.traits.visual_id = sent.send("visual_id", next());
            sent.event.traits.lot_group = sent.send("lot_group", next());
            sent.event.traits.pen_location = sent.send("pen_location", next());
        }
        EventKind::Scan | EventKind::Pairing | EventKind::CheckIn | EventKind::Repair => {}
    }
}

fn put_weight(sent: &mut SentEvent, weight_g: Option<u32>) {
    let Some(weight_g) = weight_g else { return };
    sent.put("weight", &kilograms(weight_g));
    sent.event.weight = if weight_g == 0 { Weight::NotWeighed } else { Weight::Grams(weight_g) };
}

fn kilograms(weight_g: u32) -> String {
    format!("{}.{:03}", weight_g / 1_000, weight_g % 1_000)
}

/// Renders the payload, with `blank` around every key and value.
fn render(sent: &SentEvent, blank: &str) -> String {
    let id = &sent.event.id.as_ref().expect("every event sent in this form has an id").text;
    let fields = sent.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let rendered: Vec<String> = std::iter::once(("event", id.as_str()))
        .chain(fields)
        .map(|(key, value)| format!("{blank}{key}{blank}:{blank}{value}{blank}"))
        .collect();
    rendered.join("|")
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_a_rejection(raw: Vec<u8>) {
        assert_bounded(&raw)?;
    }

    #[test]
    fn bytes_near_a_payload_are_an_event_or_a_rejection(raw in near_payload()) {
        assert_bounded(&raw)?;
    }

    #[test]
    fn a_sent_event_is_parsed_as_meant(sent in sent()) {
        prop_assert_eq!(parse(render(&sent, "").as_bytes()), Ok(sent.event));
    }

    #[test]
    fn whitespace_around_keys_and_values_is_ignored(sent in sent()) {
        let payload = render(&sent, " ");
        prop_assume!(payload.trim().len() <= MAX_PAYLOAD_BYTES);
        prop_assert_eq!(parse(payload.as_bytes()), Ok(sent.event));
    }

    #[test]
    fn a_short_form_is_parsed_as_meant(
        batch in "[A-Za-z0-9éß|_-]{1,20}", lf in "[A-Za-z0-9éß _-]{0,9}[a-z]", epc in "[0-9A-F]{24}", is_barn: bool,
    ) {
        let prefix = if is_barn { "hxb" } else { "hxe" };
        prop_assume!(![&batch, &lf, &epc].into_iter().any(|field| blank::says_nothing(field)));
        let event = Event {
            batch: Some(batch.as_str().into()),
            lf: super::lf(&lf),
            epc: super::epc(&epc),
            ..bare(if is_barn { EventKind::Scan } else { EventKind::Export })
        };
        prop_assert_eq!(parse(format!("{prefix}:{batch}:{lf}:{epc}").as_bytes()), Ok(event));
    }

    #[test]
    fn blanks_around_a_payload_change_neither_event_nor_content(
        raw in near_payload(), before in BLANKS, after in BLANKS,
    ) {
        let Ok(text) = std::str::from_utf8(&raw) else { return Ok(()) };
        let padded = format!("{before}{text}{after}");
        prop_assert_eq!(parse(padded.as_bytes()), parse(text.as_bytes()));
        prop_assert_eq!(content_hash(padded.as_bytes()), content_hash(text.as_bytes()));
    }

    /// Catches a rejection that hides a good read of the same text.
    #[test]
    fn the_outcome_follows_from_the_trimmed_text(raw in near_payload()) {
        prop_assert_eq!(parse(trimmed(&raw)), parse(&raw));
    }

    #[test]
    fn trimming_twice_equals_trimming_once(raw in near_payload()) {
        prop_assert_eq!(trimmed(trimmed(&raw)), trimmed(&raw));
        prop_assert_eq!(&raw[super::super::parse(&raw).text], trimmed(&raw));
    }

    #[test]
    fn the_key_of_a_key_is_that_key(
        text in "(epc[:=]|EPC:|0x|LA|A|e ?p ?c ?: ?){0,3}[ 0]{0,3}([0-9 ._-]{14,26}|[0-9A-Fa-f:-]{14,30}|\\PC{0,20})",
        is_lf: bool,
    ) {
        let kind = if is_lf { TagKind::Lf } else { TagKind::Epc };
        if let Ok(Some(tag)) = Tag::read(kind, &text) {
            let again = Tag::read(kind, tag.key()).unwrap().expect("a key is never empty");
            prop_assert_eq!((again.text(), again.key()), (tag.key(), tag.key()));
        }
    }

    #[test]
    fn a_tag_comes_back_from_its_stored_bytes(text in "\\PC{1,20}") {
        if let Ok(Some(tag)) = Tag::read(TagKind::Lf, &text) {
            let bytes = postcard::to_stdvec(&tag).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Tag>(&bytes).unwrap(), tag);
        }
    }

    #[test]
    fn every_weight_in_grams_comes_back_from_its_kilograms(weight_g in 1..=MAX_WEIGHT_G, zeros in "0{0,5}") {
        let text = format!("{zeros}{}{zeros}", kilograms(weight_g));
        prop_assert_eq!(Weight::parse(&text, WeightUnit::Kg), Weight::Grams(weight_g));
    }

    #[test]
    fn a_heavier_weight_is_refused_with_its_text(weight_g in MAX_WEIGHT_G + 1..) {
        let text = kilograms(weight_g);
        prop_assert_eq!(Weight::parse(&text, WeightUnit::Kg), Weight::Refused(text));
    }

    #[test]
    fn damaged_stored_bytes_are_an_error_and_not_a_panic(raw: Vec<u8>) {
        if let Ok(event) = postcard::from_bytes::<Event>(&raw) {
            prop_assert!(postcard::to_stdvec(&event).is_ok());
        }
        if let Ok(rejection) = postcard::from_bytes::<Rejection>(&raw) {
            // Not the first byte of `raw`: postcard also accepts numbers in more bytes than needed.
            let bytes = postcard::to_stdvec(&rejection).unwrap();
            prop_assert_eq!(Some(&rejection.number()), bytes.first());
        }
    }
}

/// Asserts that the stored form of any payload is bounded, and decodes to the same value.
fn assert_bounded(raw: &[u8]) -> Result<(), TestCaseError> {
    match parse(raw) {
        Ok(event) => {
            let bytes = postcard::to_stdvec(&event).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), event);
        }
        Err(rejection) => {
            let bytes = postcard::to_stdvec(&rejection).unwrap();
            // The number, two texts of at most 64 characters of 4 bytes, and two short numbers.
            prop_assert!(bytes.len() <= 1 + 2 * (2 + 64 * 4) + 2 * 5, "{} bytes for {rejection:?}", bytes.len());
            prop_assert!(!rejection.to_string().is_empty());
        }
    }
    Ok(())
}
