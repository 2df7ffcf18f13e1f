//! Events as they are shown.

use super::tag_view::TagView;
use crate::change::TagUse;
use crate::payload::{Event, Traits, Weight, kilograms};
use serde::Serialize;

/// What a payload says happened to an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// `scan`, `export`, `induction`, `pairing`, `check_in` or `repair`.
    pub kind: &'static str,
    /// The reader's own number for it; the short forms have none.
    pub event_id: Option<String>,
    /// The animal's number among its readers.
    pub lid: Option<String>,
    /// The LF tag that the animal has, for a repair the one it gets.
    pub lf: Option<TagView>,
    /// The UHF tag that the animal has, for a repair the one it gets.
    pub epc: Option<TagView>,
    /// The LF tag that a repair takes off.
    pub old_lf: Option<TagView>,
    /// The UHF tag that a repair takes off.
    pub old_epc: Option<TagView>,
    /// The number of the batch that it names.
    pub batch_number: Option<String>,
    /// What the scale said, decimal kilograms.
    pub weight_kg: Option<String>,
    /// The text of a weight that was not believed: negative, above 2,000 kg, or no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_refused: Option<String>,
    /// What else it tells about the animal.
    pub traits: Traits,
    /// Keys that are not known for this kind, with their values, in the order received.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<(String, String)>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let tag = |tag: &Option<_>| tag.as_ref().map(TagView::from);
        Self {
            kind: event.kind.as_str(),
            event_id: event.id.map(|id| id.text),
            lid: event.lid,
            lf: tag(&event.lf),
            epc: tag(&event.epc),
            old_lf: tag(&event.old_lf),
            old_epc: tag(&event.old_epc),
            batch_number: event.batch,
            weight_kg: event.weight.grams().map(kilograms),
            weight_refused: match event.weight {
                Weight::Refused(text) => Some(text),
                _ => None,
            },
            traits: event.traits,
            unknown: event.unknown,
        }
    }
}

/// What a tag of an event is to its animal, in JSON; none where the event names no such tag.
pub(super) fn tag_use_name(tag_use: TagUse) -> Option<&'static str> {
    match tag_use {
        TagUse::Absent => None,
        TagUse::Assigned => Some("assigned"),
        TagUse::Sighted => Some("sighted"),
        TagUse::Unconfirmed => Some("unconfirmed"),
        TagUse::Past => Some("past"),
    }
}
