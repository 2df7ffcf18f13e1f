//! The body of a Received change, version 1. The order of fields and variants is frozen.

use crate::clock::ClockReading;
use crate::payload::{Event, EventId, Rejection};
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

macro_rules! id_from_sequence {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Sequence> for $name {
            fn from(sequence: Sequence) -> Self {
                Self(sequence.0)
            }
        }
    };
}

id_from_sequence! {
    /// One animal: the sequence of the change that made it.
    AnimalId
}

id_from_sequence! {
    /// One batch: the sequence of the change that opened it. Numbers recur, ids do not.
    BatchId
}

/// A payload, where it came from, and what the source decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The bytes as they came, before any trimming.
    #[serde(with = "serde_bytes")]
    pub raw: Vec<u8>,
    /// Where in `raw` the trimmed text begins, in bytes.
    pub text_start: u32,
    /// How long the trimmed text is, in bytes.
    pub text_bytes: u32,
    /// What brought it.
    pub origin: Origin,
    /// When.
    pub clock: ClockReading,
    /// The decision.
    pub outcome: Outcome,
    /// Texts kept at or before this sequence are past the repeat window: their look-up rows go. 0 for none.
    pub forget_through: Sequence,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
}

impl Received {
    /// The trimmed text, whose equality makes two payloads the same.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let start = self.text_start as usize;
        let end = start.saturating_add(self.text_bytes as usize);
        self.raw.get(start..end).unwrap_or(&self.raw)
    }
}

/// What brought a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The named radio, modem or HTTP key.
    pub channel: String,
    /// Signal strength of the packet; none over HTTP.
    pub rssi_dbm: Option<i16>,
    /// Signal to noise in quarters of a dB, as the `SX127x` gives it; none over HTTP.
    pub snr_quarter_db: Option<i16>,
    /// How far the sender's carrier was off ours; none over HTTP.
    pub frequency_error_hz: Option<i32>,
    /// The readers that share one count of event ids and lids.
    pub reader_group: String,
    /// Which replacement or counter reset of that group, from 1.
    pub reader_era: u32,
}

/// The source's decision about a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is an event, and this is whom it happened to.
    Accepted(Box<PlacedEvent>),
    /// It is none.
    Rejected(RejectedPayload),
}

/// Why a payload is no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedPayload {
    /// The reason.
    pub reason: Rejection,
    /// The event id, where the text had one that reads: it was heard, though it is not occupied.
    pub event_id: Option<EventId>,
}

/// An event with all that was looked up to place it, so that a replica looks up nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedEvent {
    /// What the payload says.
    pub event: Event,
    /// The animal; it is new where this equals the change's own sequence.
    pub animal: AnimalId,
    /// A tag-only animal that this event showed to be the same one: it goes up in `animal`.
    pub absorbed: Option<AnimalId>,
    /// What the event's LF tag is to the animal.
    pub lf: TagUse,
    /// What the event's UHF tag is to the animal.
    pub epc: TagUse,
    /// The batch that the event names.
    pub batch: Option<BatchUse>,
}

/// What a tag that an event names is to the event's animal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagUse {
    /// The event names no tag of this kind.
    #[default]
    Absent,
    /// The animal wears it from now on.
    Assigned,
    /// The animal wears it already.
    Sighted,
    /// The animal wears another of this kind: shown beside it, identifies nobody.
    Unconfirmed,
    /// The animal wore it once; only history.
    Past,
}

/// The batch that an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchUse {
    /// The batch; it is new where this equals the change's own sequence.
    pub batch: BatchId,
    /// An export batch of the same number that had rested for 24 h and is closed by this change.
    pub closes: Option<BatchId>,
}
