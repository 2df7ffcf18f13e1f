//! Why a correction is refused. Nothing is written then.

use crate::change::{AnimalId, AnimalStatus, BatchId};
use crate::payload::Rejection;
use crate::position::Sequence;

/// Why a correction is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such animal.
    #[error("there is no animal {0}: look it up by its tag")]
    UnknownAnimal(AnimalId),
    /// It went up in another.
    #[error("animal {animal} turned out to be animal {by}: correct that one")]
    AbsorbedAnimal {
        /// Which.
        animal: AnimalId,
        /// The animal that it went up in.
        by: AnimalId,
    },
    /// One animal cannot go up in itself.
    #[error("animal {0} cannot be merged with itself")]
    MergeWithItself(AnimalId),
    /// It left the yard.
    #[error("animal {animal} is not on the yard ({}): if it is, a read of its tag brings it back", status.as_str())]
    NotOnYard {
        /// Which.
        animal: AnimalId,
        /// Where it is.
        status: AnimalStatus,
    },
    /// No such batch.
    #[error("there is no batch {0}: batches are corrected by their id, which is not their number")]
    UnknownBatch(BatchId),
    /// It is closed.
    #[error("batch {batch} was closed by change {by}")]
    BatchClosed {
        /// Which.
        batch: BatchId,
        /// The change that closed it.
        by: Sequence,
    },
    /// No payload has this number.
    #[error("change {0} keeps no payload: take the payload's id")]
    UnknownPayload(Sequence),
    /// A rejection has no event that could be voided.
    #[error("payload {0} is no event, so there is nothing to void")]
    NotAnEvent(Sequence),
    /// Its event is void.
    #[error("payload {sequence} was voided by change {by}")]
    AlreadyVoided {
        /// Which.
        sequence: Sequence,
        /// The change that voided it.
        by: Sequence,
    },
    /// It is an event already.
    #[error("payload {0} is an event: to tell it of another animal, void it first")]
    NotRejected(Sequence),
    /// A later change made an event of it.
    #[error("payload {sequence} was accepted by change {by}")]
    AlreadyAccepted {
        /// Which.
        sequence: Sequence,
        /// The change that accepted it.
        by: Sequence,
    },
    /// The same payload came more than once, and is an event.
    #[error("payload {sequence} says what payload {of} says, which is an event: accepted too, it would count twice")]
    AcceptedAgain {
        /// Which.
        sequence: Sequence,
        /// The same payload, which is an event.
        of: Sequence,
    },
    /// What was wrong with it is wrong still.
    #[error("payload {sequence} cannot be an event as it stands: {reason}")]
    StillRejected {
        /// Which.
        sequence: Sequence,
        /// Why.
        reason: Rejection,
    },
    /// The tag is known as another animal's.
    #[error("tag {tag:?} is or was of animal {owner}: merge the two if they are one, or void the event that gave it")]
    TagOfAnother {
        /// As it was given, or received.
        tag: String,
        /// Whose it is.
        owner: AnimalId,
    },
    /// The lid is known as another animal's.
    #[error("lid {lid:?} is of animal {owner}: accept the payload for that one, or merge the two")]
    LidOfAnother {
        /// As received.
        lid: String,
        /// Whose it is.
        owner: AnimalId,
    },
    /// Everything is so already.
    #[error("nothing would change: it is so already")]
    NothingToChange,
    /// No reader of this group was ever heard.
    #[error("no event was ever heard of reader group {0:?}: look at the event counters for those there are")]
    UnknownReaderGroup(String),
    /// The key stands for another correction.
    #[error("idempotency key {key:?} is that of another correction, change {of}: choose a new one for each")]
    KeyReused {
        /// The key.
        key: String,
        /// The change that bears it.
        of: Sequence,
    },
    /// The animal's history is too long to be told anew.
    #[error("the history of animal {animal} has more than {limit} changes, too many to be told anew")]
    TooMuchHistory {
        /// Which.
        animal: AnimalId,
        /// How many changes are told anew at most.
        limit: usize,
    },
    /// What it leaves does not fit into one change.
    #[error("what the correction leaves has {bytes} bytes, more than the {limit} of one change")]
    TooLarge {
        /// Bytes of the change.
        bytes: usize,
        /// How many a change has at most.
        limit: usize,
    },
}

impl Refused {
    /// The word that programs decide on. Stable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownAnimal(_) => "unknown_animal",
            Self::AbsorbedAnimal { .. } => "absorbed_animal",
            Self::MergeWithItself(_) => "merge_with_itself",
            Self::NotOnYard { .. } => "not_on_yard",
            Self::UnknownBatch(_) => "unknown_batch",
            Self::BatchClosed { .. } => "batch_closed",
            Self::UnknownPayload(_) => "unknown_payload",
            Self::NotAnEvent(_) => "not_an_event",
            Self::AlreadyVoided { .. } => "already_voided",
            Self::NotRejected(_) => "not_rejected",
            Self::AlreadyAccepted { .. } => "already_accepted",
            Self::AcceptedAgain { .. } => "accepted_again",
            Self::StillRejected { .. } => "still_rejected",
            Self::TagOfAnother { .. } => "tag_of_another",
            Self::LidOfAnother { .. } => "lid_of_another",
            Self::NothingToChange => "nothing_to_change",
            Self::UnknownReaderGroup(_) => "unknown_reader_group",
            Self::KeyReused { .. } => "key_reused",
            Self::TooMuchHistory { .. } => "too_much_history",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Whether what was named does not exist, rather than cannot be corrected so.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::UnknownAnimal(_) | Self::UnknownBatch(_) | Self::UnknownPayload(_) | Self::UnknownReaderGroup(_)
        )
    }
}
