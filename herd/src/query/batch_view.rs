//! Batches as they are shown.

use crate::change::BatchId;
use crate::clock::iso_utc;
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::tables::Batch;
use serde::Serialize;

/// How many other batches of its number a batch names.
pub const MAX_OTHER_BATCHES: usize = 20;
/// How many pens, sexes and funders a batch names of each.
pub const MAX_TRAIT_VALUES: usize = 100;

/// A batch. The keys up to `updated_at` are those of the original, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchView {
    /// Which.
    pub id: BatchId,
    /// What the readers call it.
    pub batch_number: String,
    /// The day it was opened, UTC: `2026-01-15`.
    pub induction_date: String,
    /// `Barn (HXB)` or `Export (HXE)`.
    pub source: &'static str,
    /// `hxb` or `hxe`.
    pub source_type: &'static str,
    /// What an operator wrote about it. Readers cannot say anything of a batch, so it has none before it was edited.
    pub notes: Option<String>,
    /// Animals on the yard for a barn batch, all animals for an export batch.
    pub cattle_count: u32,
    /// When it was opened, ISO 8601 in UTC.
    pub created_at: String,
    /// When it was last named, ISO 8601 in UTC.
    pub updated_at: String,
    /// Animals that are in it and on the yard.
    pub active: u32,
    /// Animals that ever were in it.
    pub members: u32,
    /// Whether its name still means it.
    pub open: bool,
    /// The change that closed it.
    pub closed_by: Option<Sequence>,
}

impl BatchView {
    pub(super) fn new(id: BatchId, batch: Batch) -> Self {
        let created_at = iso_utc(batch.opened_at_us);
        let (source, cattle_count) = match batch.source {
            SourceType::Hxb => ("Barn (HXB)", batch.active),
            SourceType::Hxe => ("Export (HXE)", batch.members),
        };
        Self {
            id,
            induction_date: created_at.split('T').next().unwrap_or_default().to_owned(),
            batch_number: batch.number,
            source,
            source_type: batch.source.as_str(),
            notes: batch.notes,
            cattle_count,
            created_at,
            updated_at: iso_utc(batch.last_clock.received_at_us),
            active: batch.active,
            members: batch.members,
            open: batch.closed.is_none(),
            closed_by: batch.closed,
        }
    }
}

/// The batch that a number means, and the others that bear or bore it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NumberedBatch {
    /// The open barn batch, else the one opened last.
    #[serde(flatten)]
    pub batch: BatchView,
    /// The others, the latest first; at most [`MAX_OTHER_BATCHES`].
    pub others: Vec<OtherBatch>,
}

/// A batch that bears or bore the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherBatch {
    /// Which.
    pub id: BatchId,
    /// `hxb` or `hxe`.
    pub source_type: &'static str,
    /// When it was opened, ISO 8601 in UTC.
    pub opened: String,
}

/// What the animals of a batch were inducted with; at most [`MAX_TRAIT_VALUES`] of each, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchTraitValues {
    /// Pens.
    pub pens: Vec<String>,
    /// Sexes.
    pub sexes: Vec<String>,
    /// Funders.
    pub funders: Vec<String>,
}
