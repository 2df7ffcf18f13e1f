//! What stands in the rows.

use crate::change::{AnimalId, AnimalStatus, BatchId, LidName, TagState};
use crate::clock::ClockReading;
use crate::payload::{SourceType, Tag, Traits};
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// How many of everything there is, and what else every change touches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Received changes.
    pub received: u64,
    /// Those of them that are events, also if only a later change made them so.
    pub accepted: u64,
    /// Those of them that are rejections still.
    pub rejected: u64,
    /// Rejections counted instead of kept.
    pub suppressed: u64,
    /// Animals, without the absorbed ones.
    pub animals: u64,
    /// Animals on the yard.
    pub active: u64,
    /// Animals that left in an export.
    pub exported: u64,
    /// Batches of both sources.
    pub batches: u64,
    /// Those of them that are open.
    pub open_batches: u64,
    /// Corrections by operators.
    pub corrected: u64,
    /// Event counters never heard.
    pub missed_events: u64,
    /// When the last payload came, microseconds since 1970 UTC.
    pub last_received_at_us: i64,
    /// Look-up rows of texts kept at or before this sequence are gone. Looking for the oldest begins after it, instead
    /// of at the rows that the changes of one group have just removed.
    pub texts_forgotten: Sequence,
}

/// One head, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Animal {
    /// The last change that touched it; the start of its history.
    pub last: Sequence,
    /// When that was, microseconds since 1970 UTC.
    pub last_at_us: i64,
    /// Where it is in its life.
    pub status: AnimalStatus,
    /// The change that made it active again after an export.
    pub returned: Option<Sequence>,
    /// Its lids: one for each reader era, more only where an operator merged two animals.
    pub lids: Vec<LidName>,
    /// The LF tag it wears.
    pub lf: Option<Tag>,
    /// The UHF tag it wears.
    pub epc: Option<Tag>,
    /// Tags kept as unconfirmed so far; bounded by [`MAX_UNCONFIRMED_TAGS`].
    pub unconfirmed: u8,
    /// Funder, pen, sex and the rest, as last said.
    pub traits: Traits,
    /// The last weight, in grams.
    pub weight_g: Option<u32>,
    /// The change that brought it.
    pub weighed: Sequence,
    /// The barn batch that it is in.
    pub barn_batch: Option<BatchId>,
    /// The last change that named a barn batch for it; decides which membership stays when two animals become one.
    pub barn_named: Sequence,
    /// The export batch that it last left in.
    pub export_batch: Option<BatchId>,
    /// The animal that this one was shown to be: look there.
    pub absorbed_by: Option<AnimalId>,
}

/// How many unconfirmed tags an animal keeps in the tables; all of them stand in its history. A bound, so that no
/// stream of wrong reads makes one animal's rows grow without end.
pub const MAX_UNCONFIRMED_TAGS: u8 = 16;

/// An absorbed animal names its successor, which may have been absorbed in turn: followed so far at most, so that damaged
/// rows cannot lead in a circle for ever. Only operators make such chains, one merge after the other.
pub(crate) const MAX_SUCCESSORS: usize = 256;

/// A tag of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnimalTag {
    /// The tag.
    pub tag: Tag,
    /// What it is to the animal.
    pub state: TagState,
    /// The change that made it so.
    pub since: Sequence,
}

/// A batch, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Barn or export.
    pub source: SourceType,
    /// What the readers call it.
    pub number: String,
    /// When it was opened, microseconds since 1970 UTC.
    pub opened_at_us: i64,
    /// The change that closed it.
    pub closed: Option<Sequence>,
    /// What an operator wrote about it.
    pub notes: Option<String>,
    /// Memberships that have not ended: in a barn batch the animals that are in it and on the yard. An export batch is
    /// never left, so that it counts all of its animals, those that came back too.
    pub active: u32,
    /// Animals that ever were in it.
    pub members: u32,
    /// The last change that named it.
    pub last: Sequence,
    /// When that was; an export batch closes 24 h after.
    pub last_clock: ClockReading,
}

/// An animal's time in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The change that brought it in.
    pub joined: Sequence,
    /// The change that took it out.
    pub left: Option<Sequence>,
}

/// A text that was kept and that no event id identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextEntry {
    /// SHA-256 of the trimmed text.
    pub hash: [u8; 32],
    /// In which boot.
    pub boot: u32,
    /// How long after it, milliseconds.
    pub since_boot_ms: u64,
}

/// The event counters heard of one kind from one reader era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The lowest heard: below it nothing is said to be missing.
    pub lowest: u64,
    /// The highest heard.
    pub highest: u64,
}

/// The rejections kept of one channel in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectionHour {
    /// In which boot.
    pub boot: u32,
    /// Which hour since it.
    pub hour: u64,
    /// How many.
    pub count: u32,
}

/// What later changes made of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendments {
    /// The change that made an event of it although it had been rejected.
    pub accepted_by: Option<Sequence>,
    /// The last change that voided its event. One that accepted it after that made it an event again.
    pub voided_by: Option<Sequence>,
}

impl Amendments {
    /// The change that tells the event of `payload` as it stands: the payload's own, or the one that accepted it later.
    /// None while it is void. Whether a payload that nobody accepted is an event at all, its own change says.
    #[must_use]
    pub fn event_change(self, payload: Sequence) -> Option<Sequence> {
        match self.void() {
            Some(_) => None,
            None => Some(self.accepted_by.unwrap_or(payload)),
        }
    }

    /// The change that voided the event, while it is void.
    #[must_use]
    pub fn void(self) -> Option<Sequence> {
        self.voided_by.filter(|voided| self.accepted_by.is_none_or(|accepted| accepted < *voided))
    }
}

/// Event ids of a reader era that came again with another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collisions {
    /// How many.
    pub count: u64,
    /// The change that keeps the last of them.
    pub last: Sequence,
}
