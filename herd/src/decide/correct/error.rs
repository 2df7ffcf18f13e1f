//! Reasons why a correction is refused.

use crate::change::{AnimalId, AnimalStatus, BatchId};
use crate::clock::{EARLIEST_US, iso_utc};
use crate::payload::Rejection;
use crate::position::Sequence;

/// Why a correction is refused. Nothing is written in that case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionError {
    /// The animal does not exist.
    #[error("there is no animal {0}; look it up by its tag")]
    UnknownAnimal(AnimalId),
    /// The animal was merged into another.
    #[error("animal {animal} was merged into animal {by}; correct that one")]
    AbsorbedAnimal {
        /// The animal that was named.
        animal: AnimalId,
        /// The animal that it was merged into.
        by: AnimalId,
    },
    /// Both animals of a merge are the same.
    #[error("animal {0} cannot be merged with itself")]
    MergeWithItself(AnimalId),
    /// The animal is not active.
    #[error("animal {animal} is not on the yard ({}); if it is back, a read of its tag makes it active", status.as_str())]
    NotOnYard {
        /// The animal that was named.
        animal: AnimalId,
        /// Its status.
        status: AnimalStatus,
    },
    /// The batch does not exist.
    #[error("there is no batch {0}; use the batch's id, not its number")]
    UnknownBatch(BatchId),
    /// The batch is closed already.
    #[error("batch {batch} is already closed, by change {by}")]
    BatchClosed {
        /// The batch that was named.
        batch: BatchId,
        /// The change that closed it.
        by: Sequence,
    },
    /// The change does not exist or holds no payload.
    #[error("change {0} holds no payload; use the payload's id")]
    UnknownPayload(Sequence),
    /// The payload is a rejection, which has no event to void.
    #[error("payload {0} is not an event; there is nothing to void")]
    NotAnEvent(Sequence),
    /// The payload's event is void already.
    #[error("payload {sequence} is already void, by change {by}")]
    AlreadyVoided {
        /// The payload that was named.
        sequence: Sequence,
        /// The change that voided it.
        by: Sequence,
    },
    /// The change records no weighing of the animal, or its event no longer counts.
    #[error("change {sequence} records no weight of animal {animal} that counts; see the animal's weights")]
    NoWeighing {
        /// The change that was named.
        sequence: Sequence,
        /// The animal that was named.
        animal: AnimalId,
    },
    /// The weighing was replaced before.
    #[error("the weight of change {sequence} was replaced by change {by}; replace that one")]
    WeighingReplaced {
        /// The change that was named.
        sequence: Sequence,
        /// The correction that replaced it.
        by: Sequence,
    },
    /// The time of a weighing is in the future, or before any barn ran.
    #[error(
        "an animal cannot have been weighed at {}; give a time that has passed and is not before {}",
        iso_utc(*at_us), iso_utc(EARLIEST_US)
    )]
    WeighingTime {
        /// The time, in microseconds since the Unix epoch.
        at_us: i64,
    },
    /// A batch was given for an event whose kind names none.
    #[error("payload {sequence} is a {kind}, which names no batch; leave `batch_number` out, and move the animal then")]
    NamesNoBatch {
        /// The payload that was named.
        sequence: Sequence,
        /// Kind of its event.
        kind: &'static str,
    },
    /// The payload is an event already.
    #[error("payload {0} is already an event; void it before assigning it to another animal")]
    NotRejected(Sequence),
    /// A later change accepted the payload.
    #[error("payload {sequence} is already accepted, by change {by}")]
    AlreadyAccepted {
        /// The payload that was named.
        sequence: Sequence,
        /// The change that accepted it.
        by: Sequence,
    },
    /// The same payload was received more than once, and another copy of it is an event.
    #[error(
        "payload {sequence} has the content of payload {of}, which is an event; accepting both would count it twice"
    )]
    AcceptedAgain {
        /// The payload that was named.
        sequence: Sequence,
        /// The copy that is an event.
        of: Sequence,
    },
    /// The payload would be rejected again.
    #[error("payload {sequence} is still not an event: {reason}")]
    StillRejected {
        /// The payload that was named.
        sequence: Sequence,
        /// Why it is rejected.
        reason: Rejection,
    },
    /// The tag leads to another animal.
    #[error(
        "tag {tag:?} belongs or belonged to animal {owner}; merge the two if they are one animal, or void the event that \
         assigned the tag"
    )]
    TagOfAnother {
        /// The tag, as given or received.
        tag: String,
        /// The animal that it leads to.
        owner: AnimalId,
    },
    /// The lid leads to another animal.
    #[error("lid {lid:?} belongs to animal {owner}; accept the payload for that animal, or merge the two")]
    LidOfAnother {
        /// The lid, as received.
        lid: String,
        /// The animal that it leads to.
        owner: AnimalId,
    },
    /// The correction would change nothing.
    #[error("nothing would change: the record is already so")]
    NothingToChange,
    /// No reader of this group was ever heard.
    #[error("no event of reader group {0:?} was ever received; the event counters list the groups that exist")]
    UnknownReaderGroup(String),
    /// The idempotency key belongs to another correction.
    #[error("idempotency key {key:?} belongs to another correction, change {of}; use a new key for each correction")]
    KeyReused {
        /// The key.
        key: String,
        /// The change that has it.
        of: Sequence,
    },
    /// The correction needs changes that the log no longer holds as they were written.
    #[error("the correction needs changes {first} to {last}, and the log is damaged there; restore it first")]
    DamagedHistory {
        /// The first change of the damaged row.
        first: Sequence,
        /// Its last change.
        last: Sequence,
    },
    /// The history of the animal is too long to be replayed.
    #[error("the history of animal {animal} has more than {limit} changes, too many to replay")]
    TooMuchHistory {
        /// The animal of the voided event.
        animal: AnimalId,
        /// Maximum number of changes that are replayed.
        limit: usize,
    },
    /// The result does not fit into one change.
    #[error("the correction would make a change of {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Length of the change.
        bytes: usize,
        /// Maximum length of a change.
        limit: usize,
    },
}

impl CorrectionError {
    /// Returns the `error` code in JSON. Stable.
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
            Self::NoWeighing { .. } => "no_weighing",
            Self::WeighingReplaced { .. } => "weighing_replaced",
            Self::WeighingTime { .. } => "weighing_time",
            Self::NamesNoBatch { .. } => "names_no_batch",
            Self::NotRejected(_) => "not_rejected",
            Self::AlreadyAccepted { .. } => "already_accepted",
            Self::AcceptedAgain { .. } => "accepted_again",
            Self::StillRejected { .. } => "still_rejected",
            Self::TagOfAnother { .. } => "tag_of_another",
            Self::LidOfAnother { .. } => "lid_of_another",
            Self::NothingToChange => "nothing_to_change",
            Self::UnknownReaderGroup(_) => "unknown_reader_group",
            Self::KeyReused { .. } => "key_reused",
            Self::DamagedHistory { .. } => "damaged_history",
            Self::TooMuchHistory { .. } => "too_much_history",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Returns whether the request names something that does not exist.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::UnknownAnimal(_) | Self::UnknownBatch(_) | Self::UnknownPayload(_) | Self::UnknownReaderGroup(_)
        )
    }
}
