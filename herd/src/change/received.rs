//! The body of a Received change. The order of fields and variants is frozen.
//!
//! # Decisions
//!
//! - **The range of the trimmed text is stored.** The fold hashes that text. If the fold trimmed the raw bytes itself, a
//!   later grammar that trims in another way would build other tables from the same log.

use super::Readmission;
use crate::clock::ClockReading;
use crate::payload::{Event, EventId, Rejection};
use crate::position::Sequence;
use crate::text::Text;
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
    /// Id of an animal: the sequence of the change that made it. If that change moved a payload into a reader era, it is the
    /// sequence of the payload, as if the era had begun in time.
    AnimalId
}

id_from_sequence! {
    /// Id of a batch: the sequence of the change that opened it. Numbers recur, ids do not.
    BatchId
}

/// A payload, its origin, and the decision of the source about it. Body version 1; the order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The bytes as received, before trimming.
    #[serde(with = "serde_bytes")]
    pub raw: Vec<u8>,
    /// Start of the trimmed text in `raw`, in bytes.
    pub text_start: u32,
    /// Length of the trimmed text, in bytes.
    pub text_bytes: u32,
    /// Origin of the payload.
    pub origin: Origin,
    /// When the payload arrived.
    pub clock: ClockReading,
    /// The decision.
    pub outcome: Outcome,
    /// Texts up to this sequence are past the repeat window, so the fold removes their look-up rows. 0 for none.
    pub forget_through: Sequence,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
    /// The former place of a payload that was lost and came back. Body version 2 has it at its end.
    #[serde(skip)]
    pub readmission: Option<Box<Readmission>>,
}

impl Received {
    /// Returns the trimmed text. Payloads with equal texts have the same content.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let start = self.text_start as usize;
        let end = start.saturating_add(self.text_bytes as usize);
        self.raw.get(start..end).unwrap_or(&self.raw)
    }

    /// Returns the clock of the arrival, to be compared with others of this log. A payload that came back arrived at another
    /// machine, or at a branch of this one, which counts its boots for itself.
    #[must_use]
    pub fn arrival(&self) -> ClockReading {
        if self.readmission.is_some() { self.clock.of_no_boot() } else { self.clock }
    }
}

/// The channel and the readers that a payload came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the radio, modem or HTTP key.
    pub channel: Text,
    /// Signal strength of the packet; `None` over HTTP.
    pub rssi_dbm: Option<i16>,
    /// Signal-to-noise ratio in quarters of a dB, as the `SX127x` reports it; `None` over HTTP.
    pub snr_quarter_db: Option<i16>,
    /// Offset of the sender's carrier from ours; `None` over HTTP.
    pub frequency_error_hz: Option<i32>,
    /// Readers that share event ids and lids.
    pub reader_group: Text,
    /// Counts the replacements and resets of that group, from 1.
    pub reader_era: u32,
}

/// The source's decision about a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The payload is an event of this animal.
    Accepted(Box<PlacedEvent>),
    /// The payload is not an event.
    Rejected(RejectedPayload),
}

/// A payload that is not an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedPayload {
    /// Why it is rejected.
    pub reason: Rejection,
    /// The event id, if the text has a valid one. It counts as heard, but is not occupied.
    pub event_id: Option<EventId>,
}

/// An event with everything that was looked up to place it, so that a replica looks up nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedEvent {
    /// The event as parsed.
    pub event: Event,
    /// The animal. It is new if the id equals the change's own sequence.
    pub animal: AnimalId,
    /// A tag-only animal that the event shows to be the same one. It is merged into `animal`.
    pub absorbed: Option<AnimalId>,
    /// Relation of the event's LF tag to the animal.
    pub lf: TagUse,
    /// Relation of the event's UHF tag to the animal.
    pub epc: TagUse,
    /// The batch that the event names.
    pub batch: Option<BatchUse>,
}

/// Relation of a tag that an event names to the event's animal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagUse {
    /// The event names no tag of this kind.
    #[default]
    Absent,
    /// The animal wears the tag from now on.
    Assigned,
    /// The animal already wears the tag.
    Sighted,
    /// The animal wears another tag of this kind. The tag is shown beside it and leads to no animal.
    Unconfirmed,
    /// The animal wore the tag before. It is history.
    Past,
}

/// The batch that an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchUse {
    /// The batch. It is new if the id equals the change's own sequence.
    pub batch: BatchId,
    /// An export batch of the same number that has rested for 24 h. This change closes it.
    pub closes: Option<BatchId>,
}
