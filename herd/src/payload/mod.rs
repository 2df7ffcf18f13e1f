//! The grammar of payloads: bytes become an [`Event`], or a [`Rejection`] with the reason why they are not one.
//!
//! ```text
//! hxb:BATCH:LF:UHF            a reader in the barn saw this animal in this batch
//! hxe:BATCH:LF:UHF            the animal leaves, in this export batch
//! event:ID|key:value|...      ID = hxb or hxe, then ind pai chi rep exp, then a counter
//! ```
//!
//! Only the source parses, once. [`Event`] and [`Rejection`] are then stored in changes, so their serialized form is
//! frozen. A rejection is not a failure: it is recorded, shown, and can be accepted later.
//!
//! # Decisions
//!
//! - **The outcome follows from the trimmed text alone.** Equal texts are duplicates of each other, so a rejection must never
//!   hide a good read of the same text.
//! - **A field that says nothing is absent,** and only what an event cannot do without rejects it: its animal, its batch if it
//!   has a field for one, the new tag of a repair. A person can then accept it and say what was meant ([`Supplement`]).

mod blank;
mod bounds;
mod content;
mod event;
mod event_form;
mod rejection;
mod short_form;
mod tag;
#[cfg(test)]
mod tests;
mod weight;

pub(crate) use blank::compared_label;
pub use content::{ContentHash, content_hash, trimmed};
pub use event::{Event, EventId, EventKind, SourceType, Traits};
pub use rejection::Rejection;
pub use tag::{Issuer, RoundedTagError, Tag, TagKind};
pub use weight::{Grams, MAX_WEIGHT_G, Weight, WeightUnit};

use std::ops::{Range, RangeInclusive};

/// Maximum length of a payload after trimming: the capacity of one `LoRa` packet.
pub const MAX_PAYLOAD_BYTES: usize = 255;

/// Maximum length of a key or value after trimming, in characters. Notes and reasons may be as long as the payload.
pub const MAX_FIELD_CHARS: usize = 64;

/// First bytes of a sealed frame. No UTF-8 text begins with one.
const FIRST_SEALED_BYTES: RangeInclusive<u8> = 0x80..=0xbf;
/// Length of the shortest sealed frame: its first byte, a counter of 4 bytes, and an authentication tag of 16.
const MIN_SEALED_BYTES: usize = 21;
/// Length of the header that the `RadioHead` library puts before a text. It may begin with zeros, which are trimmed.
const MAX_HEADER_BYTES: usize = 4;

/// A payload that was read: the place of its text, and the meaning of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedPayload {
    /// Range of the trimmed text in the payload. Equal texts make two payloads the same content.
    pub text: Range<usize>,
    /// The event, or the first reason found why the text is not one.
    pub outcome: Result<Event, Rejection>,
}

/// Facts about an event that its payload does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supplement<'a> {
    /// Unit of a weight that is a number alone.
    pub weight_unit: WeightUnit,
    /// `true` if a person has said which animal it is. The payload need not name one then.
    pub animal_is_known: bool,
    /// Number of the batch that a person has said. The payload's own is ignored then.
    pub batch: Option<&'a str>,
}

/// Reads a payload as received, of any length and content, with weights in kilograms. Never panics.
pub fn parse(raw: &[u8]) -> ParsedPayload {
    parse_with(raw, &Supplement::default())
}

/// Reads a payload as received, with facts from elsewhere. Never panics.
pub fn parse_with(raw: &[u8], supplement: &Supplement<'_>) -> ParsedPayload {
    let text = content::trimmed_range(raw);
    let bytes = &raw[text.clone()];
    let outcome = event_in(bytes, supplement).map_err(|reason| match reason {
        Rejection::NotText
        | Rejection::SealedFrame
        | Rejection::ControlCharacter { .. }
        | Rejection::UnknownPrefix { .. }
            if has_header(bytes) =>
        {
            Rejection::TextBehindHeader
        }
        reason => reason,
    });
    ParsedPayload { text, outcome }
}

/// Reads the event in the trimmed text.
fn event_in(text: &[u8], supplement: &Supplement<'_>) -> Result<Event, Rejection> {
    let text = checked_text(text)?;
    let head = head_of(text);
    if head == event_form::EVENT {
        return event_form::parse(text, supplement);
    }
    match SourceType::of_prefix(head) {
        Some(source) => short_form::parse(source, text, supplement),
        None => Err(Rejection::UnknownPrefix { prefix: bounds::shortened(head) }),
    }
}

/// Returns the text before the first `:` or `|`.
fn head_of(text: &str) -> &str {
    blank::trimmed(text.split([':', '|']).next().unwrap_or(text))
}

/// Checks the length, encoding and characters of the trimmed text.
fn checked_text(bytes: &[u8]) -> Result<&str, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(Rejection::TooLong { bytes: bounds::count(bytes.len()) });
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(if is_sealed(bytes) { Rejection::SealedFrame } else { Rejection::NotText });
    };
    // Almost every text is of these bytes. Without an early end, many of them are checked at a time.
    if bytes.iter().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~')) {
        return Ok(text);
    }
    match text.chars().position(char::is_control) {
        Some(at) => Err(Rejection::ControlCharacter { at: bounds::count(at) }),
        None => Ok(text),
    }
}

/// Returns whether bytes that are not UTF-8 look like a sealed frame, a form that is reserved for later readers.
fn is_sealed(bytes: &[u8]) -> bool {
    bytes.len() >= MIN_SEALED_BYTES && FIRST_SEALED_BYTES.contains(&bytes[0])
}

/// Returns whether a known form stands behind a few bytes, one of which at least is no printable character.
fn has_header(bytes: &[u8]) -> bool {
    (1..=MAX_HEADER_BYTES).filter_map(|length| bytes.split_at_checked(length)).any(|(header, rest)| {
        let is_known = |text: &str| {
            let head = head_of(text);
            head == event_form::EVENT || SourceType::of_prefix(head).is_some()
        };
        !header.iter().all(|byte| matches!(byte, b' '..=b'~')) && std::str::from_utf8(rest).is_ok_and(is_known)
    })
}
