//! Animals and batches whole, as a correction leaves them. The order of fields and variants is frozen.
//!
//! These are not the rows of the tables: a row may get another shape with the next fold, a stored Change may not.

use super::{AnimalId, BatchId};
use crate::clock::ClockReading;
use crate::payload::{SourceType, Tag, Traits};
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// Where an animal is in its life on the yard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnimalStatus {
    /// On the yard.
    #[default]
    Active,
    /// Left in an export.
    Exported,
    /// Died; made by corrections only.
    Dead,
    /// Never was: all of its events were voided.
    Voided,
}

impl AnimalStatus {
    /// The name in JSON and on pages. Stable.
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

/// LF or UHF, as it stands in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TagKind {
    /// Low frequency, ISO 11784 in the field.
    Lf = 0,
    /// Ultra high frequency, an EPC.
    Epc = 1,
}

impl TagKind {
    /// The name in JSON. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::Epc => "epc",
        }
    }
}

/// What a tag is to an animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagState {
    /// It wears it.
    Current,
    /// It wore it.
    Past,
    /// Read together with its own tags, never confirmed.
    Unconfirmed,
}

/// The number that a reader group gives an animal, unique in (reader group, reader era).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LidName {
    /// The readers that share one count.
    pub reader_group: String,
    /// Which replacement of them.
    pub reader_era: u32,
    /// The number as received.
    pub lid: String,
}

/// A tag that an animal wears, wore, or was seen beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldTag {
    /// LF or UHF.
    pub kind: TagKind,
    /// The tag.
    pub tag: Tag,
    /// What it is to the animal.
    pub state: TagState,
    /// The change that made it so.
    pub since: Sequence,
}

/// A batch that an animal is or was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldMembership {
    /// Which.
    pub batch: BatchId,
    /// The change that brought it in.
    pub joined: Sequence,
    /// The change that took it out.
    pub left: Option<Sequence>,
}

/// One head, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnimalState {
    /// Which.
    pub animal: AnimalId,
    /// Where it is in its life.
    pub status: AnimalStatus,
    /// The change that made it active again after an export.
    pub returned: Option<Sequence>,
    /// When it was last seen, microseconds since 1970 UTC.
    pub last_at_us: i64,
    /// Its lids.
    pub lids: Vec<LidName>,
    /// Its tags; at most one of each kind is current.
    pub tags: Vec<HeldTag>,
    /// Funder, pen, sex and the rest.
    pub traits: Traits,
    /// The last weight, in grams.
    pub weight_g: Option<u32>,
    /// The change that brought it.
    pub weighed: Sequence,
    /// The barn batch that it is in.
    pub barn_batch: Option<BatchId>,
    /// The last change that named a barn batch for it.
    pub barn_named: Sequence,
    /// The export batch that it last left in.
    pub export_batch: Option<BatchId>,
    /// All batches that it is or was in.
    pub memberships: Vec<HeldMembership>,
    /// The animal that it turned out to be.
    pub absorbed_by: Option<AnimalId>,
}

/// A batch, whole but for its animals, which say themselves where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    /// Which.
    pub batch: BatchId,
    /// Barn or export.
    pub source: SourceType,
    /// What the readers call it.
    pub number: String,
    /// When it was opened, microseconds since 1970 UTC.
    pub opened_at_us: i64,
    /// The change that closed it.
    pub closed: Option<Sequence>,
    /// What is written about it.
    pub notes: Option<String>,
    /// Memberships that have not ended.
    pub active: u32,
    /// Animals that ever were in it.
    pub members: u32,
    /// The last change that named it.
    pub last: Sequence,
    /// When that was.
    pub last_clock: ClockReading,
}
