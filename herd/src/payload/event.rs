//! What a payload says happened to an animal.

use serde::{Deserialize, Serialize};

use super::{Rejection, Tag, Weight};

/// What happened to one animal, as typed fields. The order of the fields freezes in stored changes.
///
/// Every text is trimmed, and of 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The reader's own number for it; the short forms have none.
    pub id: Option<EventId>,
    /// The animal's number in its reader group and era.
    pub lid: Option<String>,
    /// The LF tag that the animal has, for a repair the one it gets.
    pub lf: Option<Tag>,
    /// The UHF tag that the animal has, for a repair the one it gets.
    pub epc: Option<Tag>,
    /// The LF tag that a repair takes off; `None` for every other kind.
    pub old_lf: Option<Tag>,
    /// The UHF tag that a repair takes off; `None` for every other kind.
    pub old_epc: Option<Tag>,
    /// The number of the batch it names: a short form's BATCH, an induction's `lot`, an export's `batch` or `lot`.
    pub batch: Option<String>,
    /// What the scale said.
    pub weight: Weight,
    /// What else is told about the animal.
    pub traits: Traits,
    /// Keys that this grammar does not know for this kind, with their values, in the order received.
    pub unknown: Vec<(String, String)>,
}

/// What happened. The order freezes in stored changes: new kinds go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// `hxb:BATCH:LF:UHF`: this animal is in this batch.
    Scan,
    /// `hxe:BATCH:LF:UHF` or `exp`: it leaves, in this export batch.
    Export,
    /// `ind`: it comes into the yard, in a lot.
    Induction,
    /// `pai`: it wears these two tags.
    Pairing,
    /// `chi`: it passed the chute again, usually over the scale.
    CheckIn,
    /// `rep`: a tag was replaced.
    Repair,
}

impl EventKind {
    /// The kind's name in JSON and on pages. Stable.
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

    /// Which kind of batch an event of this kind names.
    pub const fn batch_source(self) -> SourceType {
        match self {
            Self::Export => SourceType::Hxe,
            _ => SourceType::Hxb,
        }
    }

    /// The kind that these letters of an event id stand for.
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

/// Which kind of device speaks, and so which kind of batch is meant. The order freezes in stored changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceType {
    /// The barn.
    Hxb,
    /// The export.
    Hxe,
}

impl SourceType {
    /// `hxb` or `hxe`: the prefix in a payload and the `source_type` in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hxb => "hxb",
            Self::Hxe => "hxe",
        }
    }

    /// The source that a payload's prefix or an event id's first letters name; their case matters.
    pub(super) fn of_prefix(prefix: &str) -> Option<Self> {
        [Self::Hxb, Self::Hxe].into_iter().find(|source| source.as_str() == prefix)
    }

    /// What a short form with this prefix says happened.
    pub(super) const fn short_form_kind(self) -> EventKind {
        match self {
            Self::Hxb => EventKind::Scan,
            Self::Hxe => EventKind::Export,
        }
    }
}

/// The number that a reader gives to an event: source, kind, counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// Its first three letters.
    pub source: SourceType,
    /// Its next three; never [`EventKind::Scan`].
    pub kind: EventKind,
    /// Its digits. Readers count each kind by itself.
    pub counter: u64,
    /// The id as received, for example `hxbind000001`.
    pub text: String,
}

impl EventId {
    /// The letters before the digits, for example `hxbind`: what a reader counts by itself.
    pub fn counter_name(&self) -> &str {
        self.text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default()
    }

    /// Reads an id such as `hxbind000001`.
    pub(super) fn parse(text: &str) -> Result<Self, Rejection> {
        let (source, letters, counter) =
            parts_of_id(text).ok_or_else(|| Rejection::BadEventId { id: text.to_owned() })?;
        let kind =
            EventKind::of_letters(letters).ok_or_else(|| Rejection::UnknownEventKind { kind: letters.to_owned() })?;
        Ok(Self { source, kind, counter, text: text.to_owned() })
    }
}

/// Source, letters of the kind, counter; `None` where the id has another shape.
fn parts_of_id(id: &str) -> Option<(SourceType, &str, u64)> {
    let (prefix, rest) = id.split_at_checked(3)?;
    let source = SourceType::of_prefix(prefix)?;
    let (letters, digits) = rest.split_at(rest.find(|c: char| c.is_ascii_digit())?);
    let is_kind = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    // It begins with a digit, so the sign that `u64::from_str` would also take cannot stand there.
    let counter = digits.parse().ok()?;
    is_kind.then_some((source, letters, counter))
}

/// What else an event tells about its animal, as received. The order freezes in stored changes.
///
/// `notes` and `reason` may come with every kind, the others only with an induction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// Who paid for it.
    pub funder: Option<String>,
    /// The pen it went into.
    pub pen: Option<String>,
    /// For example `M` or `Steer`.
    pub sex: Option<String>,
    /// Color of its visual tag.
    pub tag_color: Option<String>,
    /// What is written on its visual tag.
    pub visual_id: Option<String>,
    /// The group that its lot belongs to.
    pub lot_group: Option<String>,
    /// Where its pen is, for example `East Section`.
    pub pen_location: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// Why it was done, for example `Tag damaged`.
    pub reason: Option<String>,
}
