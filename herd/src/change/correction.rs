//! What a person may correct. The order of variants and fields is frozen: new corrections go to the end.

use super::{AnimalId, BatchId, TagKind};
use crate::payload::Tag;
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// A correction as it was asked for, its texts trimmed and bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Correction {
    /// The event of this payload never happened.
    Void {
        /// The Received change that keeps the payload.
        sequence: Sequence,
    },
    /// Two animals are one.
    Merge {
        /// The one that stays.
        animal: AnimalId,
        /// The one that goes up in it.
        absorbed: AnimalId,
    },
    /// The animal wears another tag of this kind, or none.
    Retag {
        /// Which.
        animal: AnimalId,
        /// LF or UHF.
        kind: TagKind,
        /// What it wears from now on.
        tag: Option<Tag>,
    },
    /// The animal stands in another pen.
    MovePen {
        /// Which.
        animal: AnimalId,
        /// Where.
        pen: String,
    },
    /// The animal is in another barn batch.
    MoveBatch {
        /// Which.
        animal: AnimalId,
        /// The number of the open barn batch; one is opened where none is open.
        batch_number: String,
    },
    /// The animal was weighed.
    Weigh {
        /// Which.
        animal: AnimalId,
        /// Grams.
        weight_g: u32,
    },
    /// The animal died.
    Died {
        /// Which.
        animal: AnimalId,
    },
    /// Nobody comes into the batch any more by its number.
    CloseBatch {
        /// Which.
        batch: BatchId,
    },
    /// What is written about the batch.
    EditBatch {
        /// Which.
        batch: BatchId,
        /// The notes; none takes them away.
        notes: Option<String>,
    },
    /// A rejected payload, or one whose event was voided, is an event after all.
    AcceptRejected {
        /// The Received change that keeps the payload.
        sequence: Sequence,
        /// Whose event it is, where that was the question.
        animal: Option<AnimalId>,
    },
    /// The readers of a group were replaced, or count from 1 again.
    NewReaderEra {
        /// Which.
        reader_group: String,
    },
}

impl Correction {
    /// The kind's name in JSON and on the command line. Stable.
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
