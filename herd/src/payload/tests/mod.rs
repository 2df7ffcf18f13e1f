//! Claims about the grammar as a whole. Tests of one type are in its file.

mod cases;
mod fillers;
mod frozen;
mod grammar;
mod properties;
mod rejections;

use super::{Event, EventId, EventKind, Rejection, SourceType, Tag, TagKind, Traits, Weight};
use crate::text::Text;

/// Parses a payload, without the range of its text.
fn parse(raw: &[u8]) -> Result<Event, Rejection> {
    super::parse(raw).outcome
}

/// Returns an event of this kind without any other field.
fn bare(kind: EventKind) -> Event {
    Event {
        kind,
        id: None,
        lid: None,
        lf: None,
        epc: None,
        old_lf: None,
        old_epc: None,
        batch: None,
        weight: Weight::Absent,
        traits: Traits::default(),
        unknown: Vec::new(),
    }
}

/// Returns the first id of this kind from a barn.
fn id(kind: EventKind, text: &str) -> EventId {
    EventId { source: SourceType::Hxb, kind, counter: 1, text: text.into() }
}

/// Returns a text as the fields of an event hold it.
#[expect(clippy::unnecessary_wraps, reason = "every field it fills is optional")]
fn text(value: &str) -> Option<Text> {
    Some(value.into())
}

fn lf(text: &str) -> Option<Tag> {
    Tag::read(TagKind::Lf, text).expect(text)
}

fn epc(text: &str) -> Option<Tag> {
    Tag::read(TagKind::Epc, text).expect(text)
}

/// Returns the event of a short form.
fn short(kind: EventKind, batch: &str, lf: &str, epc: &str) -> Event {
    Event { batch: text(batch), lf: self::lf(lf), epc: self::epc(epc), ..bare(kind) }
}
