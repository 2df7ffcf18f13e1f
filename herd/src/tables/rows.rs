//! Values of rows.

use crate::change::{AnimalId, AnimalStatus, BatchId, LidName, TagState};
use crate::clock::ClockReading;
use crate::payload::{SourceType, Tag, Traits};
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// Counts, and other values that every change may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Number of Received changes.
    pub received: u64,
    /// Received payloads that were accepted as events, at once or by a later change.
    pub accepted: u64,
    /// Received payloads that are still rejected.
    pub rejected: u64,
    /// Rejections that were counted instead of recorded.
    pub suppressed: u64,
    /// Animals, without those merged into others and voided ones.
    pub animals: u64,
    /// Animals on the yard.
    pub active: u64,
    /// Animals that left in an export.
    pub exported: u64,
    /// Batches of both sources.
    pub batches: u64,
    /// Batches that are open.
    pub open_batches: u64,
    /// Corrections by operators.
    pub corrected: u64,
    /// Event counters that were never received.
    pub missed_events: u64,
    /// Arrival of the last payload, in microseconds since the Unix epoch.
    pub last_received_at_us: i64,
    /// Look-up rows of texts up to this sequence are removed. The search for the oldest row begins after it, and not at
    /// rows that the same group has just removed.
    pub texts_forgotten: Sequence,
}

/// An animal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Animal {
    /// The last change that touched the animal. Its history starts here.
    pub last: Sequence,
    /// Time of the last event, in microseconds since the Unix epoch.
    pub last_at_us: i64,
    /// Its status.
    pub status: AnimalStatus,
    /// The change that made it active again after an export.
    pub returned: Option<Sequence>,
    /// Its lids: one for each reader era, or more if an operator merged animals.
    pub lids: Vec<LidName>,
    /// The LF tag that the animal wears.
    pub lf: Option<Tag>,
    /// The UHF tag that the animal wears.
    pub epc: Option<Tag>,
    /// Number of unconfirmed tags so far, up to [`MAX_UNCONFIRMED_TAGS`].
    pub unconfirmed: u8,
    /// Latest funder, pen, sex and other traits.
    pub traits: Traits,
    /// The last weight, in grams.
    pub weight_g: Option<u32>,
    /// The change that recorded the weight.
    pub weighed: Sequence,
    /// The barn batch that the animal is in.
    pub barn_batch: Option<BatchId>,
    /// The last change that named a barn batch. It decides which membership remains after a merge.
    pub barn_named: Sequence,
    /// The export batch that the animal last left in.
    pub export_batch: Option<BatchId>,
    /// The animal that this one was merged into.
    pub absorbed_by: Option<AnimalId>,
}

/// Maximum number of unconfirmed tags of an animal in the tables. Its history shows all of them. Without the limit, wrong
/// reads could make the rows of an animal grow without end.
pub const MAX_UNCONFIRMED_TAGS: u8 = 16;

/// Maximum length of a chain of merged animals that is followed.
///
/// A merged animal names its successor, which may have been merged in turn. Only operators make such chains, one merge after
/// the other. The limit keeps damaged rows from leading in a circle forever.
pub(crate) const MAX_SUCCESSORS: usize = 256;

/// A tag of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnimalTag {
    /// The tag.
    pub tag: Tag,
    /// Its relation to the animal.
    pub state: TagState,
    /// The change that set this state.
    pub since: Sequence,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Barn or export.
    pub source: SourceType,
    /// The number that the readers use.
    pub number: String,
    /// When the batch was opened, in microseconds since the Unix epoch.
    pub opened_at_us: i64,
    /// The change that closed the batch, if it is closed.
    pub closed: Option<Sequence>,
    /// Notes of an operator.
    pub notes: Option<String>,
    /// Number of memberships that have not ended. In a barn batch these are the animals in it on the yard. Animals never
    /// leave an export batch, so it counts all of them, also those that came back.
    pub active: u32,
    /// Number of animals that are or were in the batch.
    pub members: u32,
    /// The last change that named the batch.
    pub last: Sequence,
    /// When that change was made. After 24 h the next export closes an export batch.
    pub last_clock: ClockReading,
}

/// The time of an animal in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The change that added the animal.
    pub joined: Sequence,
    /// The change that removed the animal.
    pub left: Option<Sequence>,
}

/// A recorded text that no event id identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextEntry {
    /// SHA-256 of the trimmed text.
    pub hash: [u8; 32],
    /// Boot of the machine.
    pub boot: u32,
    /// Time since that boot, in milliseconds.
    pub since_boot_ms: u64,
}

/// The event counters received of one kind in a reader era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The lowest counter. Below it nothing counts as missing.
    pub lowest: u64,
    /// The highest counter.
    pub highest: u64,
}

/// The rejections of a channel that were recorded in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectionHour {
    /// Boot of the machine.
    pub boot: u32,
    /// Hour since that boot.
    pub hour: u64,
    /// Number of rejections.
    pub count: u32,
}

/// Later changes that accepted or voided a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendments {
    /// The last change that accepted the payload as an event.
    pub accepted_by: Option<Sequence>,
    /// The last change that voided its event. If `accepted_by` is later, the payload is an event again.
    pub voided_by: Option<Sequence>,
}

impl Amendments {
    /// Returns the change that makes the event of `payload`: its own, or the one that accepted it. `None` while it is void.
    ///
    /// If no later change accepted the payload, its own change shows whether it is an event at all.
    #[must_use]
    pub fn event_change(self, payload: Sequence) -> Option<Sequence> {
        match self.void() {
            Some(_) => None,
            None => Some(self.accepted_by.unwrap_or(payload)),
        }
    }

    /// Returns the change that voided the event, while it is void.
    #[must_use]
    pub fn void(self) -> Option<Sequence> {
        self.voided_by.filter(|voided| self.accepted_by.is_none_or(|accepted| accepted < *voided))
    }
}

/// Reuses of event ids in a reader era with another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collisions {
    /// Number of reuses.
    pub count: u64,
    /// The change of the last one.
    pub last: Sequence,
}
