//! The corrections that an operator can make. The order of variants and fields is frozen: new corrections go to the end.

use super::{AnimalId, BatchId, TagKind};
use crate::payload::Tag;
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// A correction as requested, with trimmed and bounded texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Correction {
    /// Voids the event of a payload.
    Void {
        /// The Received change that holds the payload.
        sequence: Sequence,
    },
    /// Merges two animals. On a conflict the tag of `animal` wins.
    Merge {
        /// The animal that remains.
        animal: AnimalId,
        /// The animal that is merged into it.
        absorbed: AnimalId,
    },
    /// Replaces or removes a tag of an animal.
    Retag {
        /// The animal.
        animal: AnimalId,
        /// Kind of the tag.
        kind: TagKind,
        /// The new tag; `None` removes the tag.
        tag: Option<Tag>,
    },
    /// Moves an animal to another pen.
    MovePen {
        /// The animal.
        animal: AnimalId,
        /// Name of the pen.
        pen: String,
    },
    /// Moves an animal to another barn batch.
    MoveBatch {
        /// The animal.
        animal: AnimalId,
        /// Number of the barn batch. A new batch is opened if none of that number is open.
        batch_number: String,
    },
    /// Records a weight.
    Weigh {
        /// The animal.
        animal: AnimalId,
        /// The weight in grams.
        weight_g: u32,
        /// Time of the weighing.
        when: WeighingTime,
    },
    /// Records the death of an animal.
    Died {
        /// The animal.
        animal: AnimalId,
    },
    /// Closes a batch: new reads no longer join it.
    CloseBatch {
        /// The batch.
        batch: BatchId,
    },
    /// Replaces or removes the notes of a batch.
    EditBatch {
        /// The batch.
        batch: BatchId,
        /// New notes; `None` removes them.
        notes: Option<String>,
    },
    /// Accepts a rejected or voided payload as an event.
    AcceptRejected {
        /// The Received change that holds the payload.
        sequence: Sequence,
        /// Animal of the event; `None` if lid and tags decide.
        animal: Option<AnimalId>,
        /// Number of the batch of the event; `None` if the payload names it.
        batch_number: Option<String>,
    },
    /// Starts a new reader era after readers were replaced or reset.
    NewReaderEra {
        /// The reader group.
        reader_group: String,
        /// The first change whose payload counts in the new era; `None` if only payloads after the correction do.
        from: Option<Sequence>,
    },
}

/// Time of a weighing that a person records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeighingTime {
    /// The time of the correction.
    Now,
    /// A time that the person says, in microseconds since the Unix epoch.
    At(i64),
    /// The time of the weighing that this change recorded, and which no longer counts.
    InsteadOf(Sequence),
}

impl Correction {
    /// Returns the name in JSON and on the command line. Stable.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Void { .. } => "void",
            Self::Merge { .. } => "merge",
            Self::Retag { .. } => "retag",
            Self::MovePen { .. } => "move_pen",
            Self::MoveBatch { .. } => "move_batch",
            Self::Weigh { .. } => "weigh",
            Self::Died { .. } => "died",
            Self::CloseBatch { .. } => "close_batch",
            Self::EditBatch { .. } => "edit_batch",
            Self::AcceptRejected { .. } => "accept_rejected",
            Self::NewReaderEra { .. } => "new_reader_era",
        }
    }
}
