//! Complete states of animals and batches, as a correction leaves them. The order of fields and variants is frozen.
//!
//! These are not the rows of the tables: a row may get another shape with the next fold, a stored Change may not.

use super::{AnimalId, BatchId};
use crate::clock::{ClockReading, WallTime};
use crate::payload::{SourceType, Tag, TagKind, Traits};
use crate::position::Sequence;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Status of an animal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnimalStatus {
    /// On the yard.
    #[default]
    Active,
    /// Left in an export.
    Exported,
    /// Died. Only corrections set it.
    Dead,
    /// All events of the animal were voided, so it never existed.
    Voided,
}

impl AnimalStatus {
    /// Returns the name in JSON and on pages. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Exported => "exported",
            Self::Dead => "dead",
            Self::Voided => "voided",
        }
    }
}

/// Relation of a tag to an animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagState {
    /// The animal wears it.
    Current,
    /// The animal wore it before.
    Past,
    /// The tag was read together with the animal's own tags, and never confirmed.
    Unconfirmed,
}

/// The number that a reader group gives an animal, unique within (reader group, reader era).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LidName {
    /// Readers that share event ids and lids.
    pub reader_group: Text,
    /// Counts the replacements and resets of that group, from 1.
    pub reader_era: u32,
    /// The lid as received.
    pub lid: Text,
}

/// A tag of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldTag {
    /// LF or UHF.
    pub kind: TagKind,
    /// The tag.
    pub tag: Tag,
    /// Its relation to the animal.
    pub state: TagState,
    /// The change that set this state.
    pub since: Sequence,
}

/// A membership of an animal in a batch, past or present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldMembership {
    /// The batch.
    pub batch: BatchId,
    /// The change that added the animal.
    pub joined: Sequence,
    /// The change that removed the animal, if it left.
    pub left: Option<Sequence>,
}

/// The complete state of an animal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnimalState {
    /// The animal.
    pub animal: AnimalId,
    /// Its status.
    pub status: AnimalStatus,
    /// The change that made it active again after an export.
    pub returned: Option<Sequence>,
    /// When the animal was last seen.
    pub last_seen: WallTime,
    /// Its lids.
    pub lids: Vec<LidName>,
    /// Its tags. At most one of each kind is current.
    pub tags: Vec<HeldTag>,
    /// Funder, pen, sex and other traits.
    pub traits: Traits,
    /// The last weight, in grams.
    pub weight_g: Option<u32>,
    /// The change that recorded the weight.
    pub weighed: Sequence,
    /// When the animal was weighed.
    pub weighed_at: WallTime,
    /// The barn batch that the animal is in.
    pub barn_batch: Option<BatchId>,
    /// The last change that named a barn batch for it.
    pub barn_named: Sequence,
    /// The export batch that the animal last left in.
    pub export_batch: Option<BatchId>,
    /// All its memberships, past and present.
    pub memberships: Vec<HeldMembership>,
    /// The animal that it was merged into.
    pub absorbed_by: Option<AnimalId>,
}

/// The complete state of a batch, without its animals: their own states hold the memberships.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    /// The batch.
    pub batch: BatchId,
    /// Barn or export.
    pub source: SourceType,
    /// The number that the readers use.
    pub number: Text,
    /// When the batch was opened.
    pub opened: WallTime,
    /// The change that closed the batch, if it is closed.
    pub closed: Option<Sequence>,
    /// Notes of an operator.
    pub notes: Option<Text>,
    /// Number of memberships that have not ended.
    pub active: u32,
    /// Number of animals that are or were in the batch.
    pub members: u32,
    /// The last change that named the batch.
    pub last: Sequence,
    /// When that change was made.
    pub last_clock: ClockReading,
}
