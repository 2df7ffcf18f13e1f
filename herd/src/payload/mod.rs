//! What the bytes of a payload mean: an [`Event`], or a [`Rejection`] that says why they are none.
//!
//! ```text
//! hxb:BATCH:LF:UHF            a barn's reader saw this animal in this batch
//! hxe:BATCH:LF:UHF            it leaves, in this export batch
//! event:ID|key:value|...      ID = hxb or hxe, then ind pai chi rep exp, then a counter
//! ```
//!
//! Only the source parses, once; [`Event`] and [`Rejection`] are then stored in changes, so their serialized form is
//! frozen. A rejection is no failure: it is kept, shown, and can be accepted later.

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

/// The longest payload, counted after trimming: what one `LoRa` packet can carry.
pub const MAX_PAYLOAD_BYTES: usize = 255;

/// The longest key or value, in characters after trimming.
pub const MAX_FIELD_CHARS: usize = 64;

/// The first byte from which on a payload is a sealed binary frame: no ASCII character begins so.
const FIRST_SEALED_BYTE: u8 = 0x80;

/// Reads a payload as it came, of any length and content. Never panics.
///
/// A first byte of 0x80 or above is reserved for sealed binary frames, and is looked at before anything else: such a
/// payload is a [`Rejection::SealedFrame`] even where its bytes would be valid UTF-8, since a frame's bytes may be so
/// by chance. A text that begins with a blank outside of ASCII is therefore no event.
///
/// # Errors
/// The reason why it is no event; the first that is found where there are several.
pub fn parse(raw: &[u8]) -> Result<Event, Rejection> {
    let text = text_of(raw)?;
    let head = text.split([':', '|']).next().unwrap_or(text).trim();
    if head == event_form::EVENT {
        return event_form::parse(text);
    }
    match SourceType::of_prefix(head) {
        Some(source) => short_form::parse(source, text),
        None => Err(Rejection::UnknownPrefix { prefix: bounds::shortened(head) }),
    }
}

/// The trimmed text, where the payload is a text that may be read at all.
fn text_of(raw: &[u8]) -> Result<&str, Rejection> {
    if raw.first().is_some_and(|byte| *byte >= FIRST_SEALED_BYTE) {
        return Err(Rejection::SealedFrame);
    }
    let bytes = trimmed(raw);
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(Rejection::TooLong { bytes: bounds::count(bytes.len()) });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Rejection::NotText)?;
    match text.chars().position(char::is_control) {
        Some(at) => Err(Rejection::ControlCharacter { at: bounds::count(at) }),
        None => Ok(text),
    }
}
