//! Fuzzes the grammar of payloads, and the decision about a payload.
//!
//! For any bytes: the trimmed text is the one that is hashed, a line end changes nothing, a rejection explains itself
//! within bounds, the stored change holds the bytes as they came and is read back as it was written, its fold succeeds, and
//! the same payload again is a duplicate.
#![no_main]

use fuzz::seeds;
use fuzz::source::reading;
use herd::change::{Change, MAX_CHANGE_BYTES, Origin, Outcome};
use herd::decide::{Decision, History, Rules, TextWindow, decide};
use herd::digest::RowSum;
use herd::fold::{NoRows, RowsError, StagedRows, fold};
use herd::payload::{MAX_FIELD_CHARS, ParsedPayload, content_hash, parse, trimmed};
use herd::position::Sequence;

/// Maximum length of the sentence about a rejection: three quotes from the payload and the words around them.
const MAX_SENTENCE_CHARS: usize = 3 * MAX_FIELD_CHARS + 300;
/// Largest payload that is handed to a decision; longer ones are refused before.
const MAX_RAW_BYTES: usize = 4_096;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |raw: &[u8]| check(raw));

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    seeds::payloads().into_iter().map(Vec::from)
}

fn check(raw: &[u8]) {
    let ParsedPayload { text, outcome } = parse(raw);
    assert_eq!(&raw[text.clone()], trimmed(raw));
    assert_eq!(trimmed(trimmed(raw)), trimmed(raw));
    assert_eq!(content_hash(raw), content_hash(trimmed(raw)));
    assert_eq!(parse(&[raw, b"\r\n"].concat()).outcome, outcome, "a line end has a meaning");
    if let Err(rejection) = &outcome {
        let sentence = rejection.to_string();
        assert!((1..=MAX_SENTENCE_CHARS).contains(&sentence.chars().count()), "{sentence}");
        assert!(!rejection.code().is_empty());
    }
    if raw.len() <= MAX_RAW_BYTES {
        check_decision(raw);
    }
}

/// The first change, if there is one yet, and its text.
#[derive(Default)]
struct Log {
    change: Option<Change>,
    window: TextWindow,
}

impl History for Log {
    fn change_at(&self, _: Sequence) -> Result<Option<Change>, RowsError> {
        Ok(self.change.clone())
    }

    fn recent_texts(&self) -> &TextWindow {
        &self.window
    }
}

fn check_decision(raw: &[u8]) {
    let mut rows = StagedRows::new(NoRows, Sequence::ZERO, RowSum::default());
    let mut log = Log::default();
    let decision = decide_on(&rows, &log, raw);
    let Decision::Keep(change) = decision else { panic!("the first payload of a store is {decision:?}") };
    let Change::Received(received) = &change else { panic!("a payload makes {change:?}") };
    assert_eq!((received.raw.as_slice(), received.text()), (raw, trimmed(raw)));
    if let (Outcome::Accepted(placed), Ok(event)) = (&received.outcome, parse(raw).outcome) {
        assert_eq!(placed.event, event);
    }

    let bytes = change.to_bytes();
    assert!(bytes.len() <= MAX_CHANGE_BYTES);
    assert_eq!(Change::from_bytes(&bytes).as_ref(), Ok(&change));
    assert!(fold(&mut rows, Sequence(1), &change).is_ok());
    log.window.record(Sequence(1), &change);
    log.change = Some(change);
    assert_eq!(decide_on(&rows, &log, raw), Decision::Duplicate { of: Sequence(1) });
}

fn decide_on(rows: &StagedRows<NoRows>, log: &Log, raw: &[u8]) -> Decision {
    let origin = Origin { channel: "radio1".into(), reader_group: "main".into(), ..Origin::default() };
    let (sequence, clock) = (rows.folded().next(), reading(1_000).in_boot(1));
    let decided = decide(rows, log, &Rules::default(), sequence, raw, &origin, clock);
    decided.unwrap_or_else(|error| panic!("rows in memory can be read: {error}"))
}
