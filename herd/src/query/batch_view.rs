//! Views of batches.

use crate::change::BatchId;
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::tables::{Batch, MAX_BATCH_TRAITS};
use serde::Serialize;
use std::ops::Not;

/// Maximum number of other batches with the same number on a view.
pub const MAX_OTHER_BATCHES: usize = 20;
/// Maximum number of pens, of sexes and of funders on a view.
pub const MAX_TRAIT_VALUES: usize = MAX_BATCH_TRAITS;

/// A batch. The keys up to `updated_at` are those of the original system, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchView {
    /// Id of the batch.
    pub id: BatchId,
    /// Number that the readers use for it.
    pub batch_number: String,
    /// Day on which it was opened, in UTC: `2026-01-15`; `None` if the barn's clock had never been set.
    pub induction_date: Option<String>,
    /// `Barn (HXB)` or `Export (HXE)`.
    pub source: &'static str,
    /// `hxb` or `hxe`.
    pub source_type: &'static str,
    /// Notes by an operator; `None` until somebody writes them, because readers cannot send notes.
    pub notes: Option<String>,
    /// Number of animals: those in the yard for a barn batch, all of them for an export batch.
    pub cattle_count: u32,
    /// Opening time, ISO 8601 in UTC; `None` if the barn's clock had never been set.
    pub created_at: Option<String>,
    /// Time of the latest event that named it, as `created_at`.
    pub updated_at: Option<String>,
    /// `true` if the barn's clock followed no time source when the batch was opened.
    #[serde(skip_serializing_if = "Not::not")]
    pub created_at_doubtful: bool,
    /// The same for `updated_at`.
    #[serde(skip_serializing_if = "Not::not")]
    pub updated_at_doubtful: bool,
    /// Number of its animals that are in the yard.
    pub active: u32,
    /// Number of animals that are or were in it.
    pub members: u32,
    /// `true` if new reads of its number still join it.
    pub open: bool,
    /// Change that closed it.
    pub closed_by: Option<Sequence>,
}

impl BatchView {
    pub(super) fn new(Batch { state: batch, .. }: Batch) -> Self {
        let (created_at, updated) = (batch.opened.iso_utc(), batch.last_clock.wall());
        let (source, cattle_count) = match batch.source {
            SourceType::Hxb => ("Barn (HXB)", batch.active),
            SourceType::Hxe => ("Export (HXE)", batch.members),
        };
        Self {
            id: batch.batch,
            induction_date: created_at.as_ref().and_then(|at| Some(at.split_once('T')?.0.to_owned())),
            batch_number: batch.number.into(),
            source,
            source_type: batch.source.as_str(),
            notes: batch.notes.map(String::from),
            cattle_count,
            created_at,
            updated_at: updated.iso_utc(),
            created_at_doubtful: !batch.opened.synchronized,
            updated_at_doubtful: !updated.synchronized,
            active: batch.active,
            members: batch.members,
            open: batch.closed.is_none(),
            closed_by: batch.closed,
        }
    }
}

/// Batch that a number refers to, and the other batches with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NumberedBatch {
    /// The batch.
    #[serde(flatten)]
    pub batch: BatchView,
    /// The other batches, latest first; at most [`MAX_OTHER_BATCHES`].
    pub others: Vec<OtherBatch>,
}

/// Another batch with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherBatch {
    /// Id of the batch.
    pub id: BatchId,
    /// `hxb` or `hxe`.
    pub source_type: &'static str,
    /// Opening time, as `created_at`.
    pub opened: Option<String>,
}

/// Traits with which the animals of a batch were inducted: at most [`MAX_TRAIT_VALUES`] values each, sorted by text.
///
/// Values from an event that was voided later are still listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchTraitValues {
    /// Pens.
    pub pens: Vec<String>,
    /// Sexes.
    pub sexes: Vec<String>,
    /// Funders.
    pub funders: Vec<String>,
}
