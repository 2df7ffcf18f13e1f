//! View of an event.

use super::tag_view::TagView;
use crate::change::TagUse;
use crate::payload::{Event, EventKind, Grams, TagKind, Traits, Weight};
use serde::Serialize;

/// Event that a payload reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// `scan`, `export`, `induction`, `pairing`, `check_in` or `repair`.
    pub kind: &'static str,
    /// Event id of the reader; `None` for the short forms of a payload.
    pub event_id: Option<String>,
    /// Number of the animal at its readers.
    pub lid: Option<String>,
    /// LF tag of the animal; for a repair, the new one.
    pub lf: Option<TagView>,
    /// UHF tag of the animal; for a repair, the new one.
    pub epc: Option<TagView>,
    /// LF tag that a repair removes.
    pub old_lf: Option<TagView>,
    /// UHF tag that a repair removes.
    pub old_epc: Option<TagView>,
    /// Number of the batch that it names.
    pub batch_number: Option<String>,
    /// Weight from the scale.
    pub weight_kg: Option<Grams>,
    /// `true` for a check-in without a weight, which most check-ins are made for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_weight: bool,
    /// Text of an implausible weight: negative, above 2,000 kg, or not a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_refused: Option<String>,
    /// Traits of the animal that it reports.
    pub traits: Traits,
    /// Keys that this kind does not define, with their values, in the order received.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<(String, String)>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let lf = |tag: &Option<_>| tag.as_ref().map(|tag| TagView::new(TagKind::Lf, tag));
        let epc = |tag: &Option<_>| tag.as_ref().map(|tag| TagView::new(TagKind::Epc, tag));
        Self {
            kind: event.kind.as_str(),
            event_id: event.id.map(|id| id.text.into()),
            lid: event.lid.map(String::from),
            lf: lf(&event.lf),
            epc: epc(&event.epc),
            old_lf: lf(&event.old_lf),
            old_epc: epc(&event.old_epc),
            batch_number: event.batch.map(String::from),
            weight_kg: event.weight.grams().map(Grams),
            no_weight: event.kind == EventKind::CheckIn && event.weight.grams().is_none(),
            weight_refused: match event.weight {
                Weight::Refused(text) => Some(text),
                _ => None,
            },
            traits: event.traits,
            unknown: event.unknown,
        }
    }
}

/// Returns the JSON name of a tag's use, or `None` if the event has no such tag.
pub(super) fn tag_use_name(tag_use: TagUse) -> Option<&'static str> {
    match tag_use {
        TagUse::Absent => None,
        TagUse::Assigned => Some("assigned"),
        TagUse::Sighted => Some("sighted"),
        TagUse::Unconfirmed => Some("unconfirmed"),
        TagUse::Past => Some("past"),
    }
}
