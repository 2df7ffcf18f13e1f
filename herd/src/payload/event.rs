//! Events: what a payload says about an animal.

use super::{Rejection, Tag, Weight};
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// An event of one animal, as typed fields. The order of the fields is frozen in stored changes.
///
/// Every text is trimmed and has 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Kind of the event.
    pub kind: EventKind,
    /// The reader's number of the event; `None` for short forms.
    pub id: Option<EventId>,
    /// The animal's number in its reader group and era.
    pub lid: Option<Text>,
    /// The LF tag of the animal; for a repair, the new one.
    pub lf: Option<Tag>,
    /// The UHF tag of the animal; for a repair, the new one.
    pub epc: Option<Tag>,
    /// The LF tag that a repair takes off; `None` for every other kind.
    pub old_lf: Option<Tag>,
    /// The UHF tag that a repair takes off; `None` for every other kind.
    pub old_epc: Option<Tag>,
    /// Number of the batch: a short form's BATCH, an induction's `lot`, an export's `batch` or `lot`.
    pub batch: Option<Text>,
    /// The weight from the scale.
    pub weight: Weight,
    /// Other facts about the animal.
    pub traits: Traits,
    /// Keys that the grammar does not know for this kind, with their values, in the order received.
    pub unknown: Vec<(String, String)>,
}

/// Kind of an event. The order is frozen in stored changes, so new kinds go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// `hxb:BATCH:LF:UHF`: the animal is in this batch.
    Scan,
    /// `hxe:BATCH:LF:UHF` or `exp`: the animal leaves, in this export batch.
    Export,
    /// `ind`: the animal comes into the yard, in a lot.
    Induction,
    /// `pai`: the animal wears these two tags.
    Pairing,
    /// `chi`: the animal passed the chute again, usually over the scale.
    CheckIn,
    /// `rep`: a tag was replaced.
    Repair,
}

impl EventKind {
    /// Returns the name in JSON and on pages. Stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Export => "export",
            Self::Induction => "induction",
            Self::Pairing => "pairing",
            Self::CheckIn => "check_in",
            Self::Repair => "repair",
        }
    }

    /// Returns the kind of batch that events of this kind name.
    pub const fn batch_source(self) -> SourceType {
        match self {
            Self::Export => SourceType::Hxe,
            _ => SourceType::Hxb,
        }
    }

    /// Returns the kind that these letters of an event id stand for.
    fn of_letters(letters: &str) -> Option<Self> {
        match letters {
            "ind" => Some(Self::Induction),
            "pai" => Some(Self::Pairing),
            "chi" => Some(Self::CheckIn),
            "rep" => Some(Self::Repair),
            "exp" => Some(Self::Export),
            _ => None,
        }
    }
}

/// The kind of device that sends, which decides the kind of batch. The order is frozen in stored changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceType {
    /// The barn.
    Hxb,
    /// The export.
    Hxe,
}

impl SourceType {
    /// Returns `hxb` or `hxe`: the prefix in a payload and the `source_type` in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hxb => "hxb",
            Self::Hxe => "hxe",
        }
    }

    /// Returns the source of a payload's prefix or of the first letters of an event id. Case matters.
    pub(super) fn of_prefix(prefix: &str) -> Option<Self> {
        [Self::Hxb, Self::Hxe].into_iter().find(|source| source.as_str() == prefix)
    }

    /// Returns the kind of a short form with this prefix.
    pub(super) const fn short_form_kind(self) -> EventKind {
        match self {
            Self::Hxb => EventKind::Scan,
            Self::Hxe => EventKind::Export,
        }
    }
}

/// The number that a reader gives an event: source, kind and counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// First three letters.
    pub source: SourceType,
    /// Next three letters; never [`EventKind::Scan`].
    pub kind: EventKind,
    /// The digits. Readers count each kind separately.
    pub counter: u64,
    /// The id as received, for example `hxbind000001`.
    pub text: Text,
}

impl EventId {
    /// Returns the letters before the digits, for example `hxbind`. A reader has one counter for each.
    pub fn counter_name(&self) -> &str {
        self.text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default()
    }

    /// Reads an id such as `hxbind000001`.
    pub(super) fn parse(text: &str) -> Result<Self, Rejection> {
        let (source, letters, counter) =
            parts_of_id(text).ok_or_else(|| Rejection::BadEventId { id: text.to_owned() })?;
        let kind =
            EventKind::of_letters(letters).ok_or_else(|| Rejection::UnknownEventKind { kind: letters.to_owned() })?;
        Ok(Self { source, kind, counter, text: text.into() })
    }
}

/// Splits an id into source, letters of the kind, and counter; `None` if it has another shape.
fn parts_of_id(id: &str) -> Option<(SourceType, &str, u64)> {
    let (prefix, rest) = id.split_at_checked(3)?;
    let source = SourceType::of_prefix(prefix)?;
    let (letters, digits) = rest.split_at(rest.find(|c: char| c.is_ascii_digit())?);
    let is_kind = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    // The text begins with a digit, so it cannot have the sign that `u64::from_str` would accept.
    let counter = digits.parse().ok()?;
    is_kind.then_some((source, letters, counter))
}

/// Other facts about an animal, as received. The order is frozen in stored changes.
///
/// `notes` and `reason` may come with every kind of event, the others only with an induction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// The funder of the animal.
    pub funder: Option<Text>,
    /// The pen that the animal went into.
    pub pen: Option<Text>,
    /// Sex, for example `M` or `Steer`.
    pub sex: Option<Text>,
    /// Color of the visual tag.
    pub tag_color: Option<Text>,
    /// Text on the visual tag.
    pub visual_id: Option<Text>,
    /// The group that the lot belongs to.
    pub lot_group: Option<Text>,
    /// Location of the pen, for example `East Section`.
    pub pen_location: Option<Text>,
    /// Free text.
    pub notes: Option<Text>,
    /// Reason for the event, for example `Tag damaged`.
    pub reason: Option<Text>,
}
