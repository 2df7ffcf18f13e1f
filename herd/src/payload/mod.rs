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

pub use content::{ContentHash, content_hash, trimmed};
pub use event::{Event, EventId, EventKind, SourceType, Traits};
pub use rejection::Rejection;
pub use tag::Tag;
pub(crate) use weight::kilograms;
pub use weight::{MAX_WEIGHT_G, Weight};

use std::ops::Range;

/// Maximum length of a payload after trimming: the capacity of one `LoRa` packet.
pub const MAX_PAYLOAD_BYTES: usize = 255;

/// Maximum length of a key or value after trimming, in characters.
pub const MAX_FIELD_CHARS: usize = 64;

/// First bytes from here on mark a sealed binary frame. No ASCII character begins with one.
const FIRST_SEALED_BYTE: u8 = 0x80;

/// A payload that was read: the place of its text, and the meaning of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedPayload {
    /// Range of the trimmed text in the payload. Equal texts make two payloads the same content.
    pub text: Range<usize>,
    /// The event, or the first reason found why the text is not one.
    pub outcome: Result<Event, Rejection>,
}

/// Reads a payload as received, of any length and content. Never panics.
///
/// A first byte of 0x80 or above is reserved for sealed binary frames and is checked first. Such a payload is a
/// [`Rejection::SealedFrame`] even if its bytes are valid UTF-8, because the bytes of a frame may be valid by chance. A
/// text that begins with non-ASCII whitespace is therefore not an event.
pub fn parse(raw: &[u8]) -> ParsedPayload {
    let text = content::trimmed_range(raw);
    let is_sealed = raw.first().is_some_and(|byte| *byte >= FIRST_SEALED_BYTE);
    let outcome = if is_sealed { Err(Rejection::SealedFrame) } else { event_in(&raw[text.clone()]) };
    ParsedPayload { text, outcome }
}

/// Reads the event in the trimmed text.
fn event_in(text: &[u8]) -> Result<Event, Rejection> {
    let text = checked_text(text)?;
    let head = text.split([':', '|']).next().unwrap_or(text).trim();
    if head == event_form::EVENT {
        return event_form::parse(text);
    }
    match SourceType::of_prefix(head) {
        Some(source) => short_form::parse(source, text),
        None => Err(Rejection::UnknownPrefix { prefix: bounds::shortened(head) }),
    }
}

/// Checks the length, encoding and characters of the trimmed text.
fn checked_text(bytes: &[u8]) -> Result<&str, Rejection> {
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(Rejection::TooLong { bytes: bounds::count(bytes.len()) });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Rejection::NotText)?;
    // Almost every text is of these bytes. Without an early end, many of them are checked at a time.
    if bytes.iter().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~')) {
        return Ok(text);
    }
    match text.chars().position(char::is_control) {
        Some(at) => Err(Rejection::ControlCharacter { at: bounds::count(at) }),
        None => Ok(text),
    }
}
