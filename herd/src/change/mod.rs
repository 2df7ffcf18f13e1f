//! A Change: one decision of the source, in bytes that freeze.
//!
//! A stored Change is `kind u8, version u8, body`. The body is the postcard form of one type, which never changes once a
//! log holds it. Another shape gets the next version, and this one stays readable. The bytes travel verbatim through log,
//! wire, mirror and backup, and the chain digest covers them.
//!
//! **Why postcard, with a version byte and whole reads:** it is small and fast. It does not describe itself; one frozen
//! type per version and tests over golden bytes make up for that.
//!
//! | kind | name | body |
//! |---|---|---|
//! | 1 | Received | version 1, [`Received`]; version 2 adds a [`Readmission`] |
//! | 2 | Reprocessed | version 1, [`Reprocessed`] |
//! | 3 | Corrected | version 2, [`Corrected`]; version 1 lacks times and is read into it |
//! | 4 | `ClockStepped` | no version yet |
//! | 5 | Epoch | version 1, [`EpochStart`]; version 2 adds an [`Acceptance`] |
//! | 6 | Suppressed | version 1, [`Suppressed`] |
//! | 7 | `EraMove` | version 1, [`EraMove`] |

mod corrected;
mod corrected_v1;
mod correction;
mod encode;
mod era_move;
mod readmission;
mod received;
mod reprocessed;
mod state;

pub use crate::payload::TagKind;
pub use corrected::{Corrected, CorrectionResult, States};
pub use correction::{Correction, WeighingTime};
pub(crate) use encode::encode;
pub use era_move::{EraMove, MoveObstacle, MoveResult, MovedPayload};
pub use readmission::Readmission;
pub use received::{AnimalId, BatchId, BatchUse, Origin, Outcome, PlacedEvent, Received, RejectedPayload, TagUse};
pub use reprocessed::{LateEvent, Reprocessed};
pub use state::{AnimalState, AnimalStatus, BatchState, HeldMembership, HeldTag, LidName, TagState};

use crate::clock::ClockReading;
use crate::position::{Epoch, Sequence, StoreId};
use corrected_v1::CorrectedV1;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Maximum length of a stored Change. The largest payload that is let in is 4 KiB.
pub const MAX_CHANGE_BYTES: usize = 64 * 1024;

/// Length that nearly all stored Changes stay below. It is room, not a limit.
const USUAL_CHANGE_BYTES: usize = 512;

/// The kind of a Change. Its number is the first stored byte and is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChangeKind {
    /// A payload arrived and was judged.
    Received = 1,
    /// An earlier payload was judged again, by the current grammar.
    Reprocessed = 2,
    /// A person made a correction, with author and reason.
    Corrected = 3,
    /// The barn's wall clock was set.
    ClockStepped = 4,
    /// A writer began: the first change of a store, and the first one after a restore.
    Epoch = 5,
    /// Rejections above the limit of one channel, which are counted instead of recorded.
    Suppressed = 6,
    /// An earlier payload was moved into the reader era that an operator began at it or before it.
    EraMove = 7,
}

impl ChangeKind {
    /// Returns the kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        use ChangeKind as K;
        let all = [K::Received, K::Reprocessed, K::Corrected, K::ClockStepped, K::Epoch, K::Suppressed, K::EraMove];
        all.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Returns the name in JSON. Stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Reprocessed => "reprocessed",
            Self::Corrected => "corrected",
            Self::ClockStepped => "clock_stepped",
            Self::Epoch => "epoch",
            Self::Suppressed => "suppressed",
            Self::EraMove => "era_move",
        }
    }
}

/// A decoded Change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Kind 1.
    Received(Box<Received>),
    /// Kind 2.
    Reprocessed(Box<Reprocessed>),
    /// Kind 3.
    Corrected(Box<Corrected>),
    /// Kind 5.
    Epoch(EpochStart),
    /// Kind 6.
    Suppressed(Suppressed),
    /// Kind 7.
    EraMove(Box<EraMove>),
}

/// The start of an epoch: a writer began to write this history. Body version 1; the order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStart {
    /// Number of the epoch. The first change of a new store begins epoch 1.
    pub epoch: Epoch,
    /// The history.
    pub store: StoreId,
    /// 128 random bits that distinguish this writer from another one that restored the same backup.
    pub writer: StoreId,
    /// When the writer began.
    pub clock: ClockReading,
    /// Decision to go on with a log that lacks changes. Body version 2 has it at its end.
    #[serde(skip)]
    pub acceptance: Option<Acceptance>,
}

/// The decision to go on with a log that lacks changes: of a person, or of a barn to which a follower has shown what it lacks.
/// The order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Name of the person who decided.
    pub author: String,
    /// Reason of the decision.
    pub reason: String,
}

/// Rejections above the limit of one channel. Body version 1; the order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// Radio, modem or HTTP key that they came through.
    pub channel: String,
    /// Number of rejections.
    pub count: u64,
    /// When the first of them arrived.
    pub first: ClockReading,
    /// When the last of them arrived.
    pub last: ClockReading,
}

/// Why stored bytes could not be decoded.
///
/// Such a change is not dropped. The chain verifies it, and it is kept and served on; the tables stop before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The kind or version is of a later program.
    #[error("change of kind {kind}, version {version}, is unknown to this program; upgrade it")]
    Unknown {
        /// First stored byte.
        kind: u8,
        /// Second stored byte.
        version: u8,
    },
    /// The kind is known, but its body cannot be decoded or is missing.
    #[error("change of kind {kind}, version {version}, cannot be decoded; upgrade this program, or restore the log")]
    Damaged {
        /// First stored byte; 0 if there is none.
        kind: u8,
        /// Second stored byte; 0 if there is none.
        version: u8,
    },
}

impl Change {
    /// Returns when the source made the change.
    #[must_use]
    pub fn clock(&self) -> ClockReading {
        match self {
            Self::Received(received) => received.clock,
            Self::Reprocessed(reprocessed) => reprocessed.clock,
            Self::Corrected(corrected) => corrected.clock,
            Self::Epoch(began) => began.clock,
            Self::Suppressed(suppressed) => suppressed.last,
            Self::EraMove(step) => step.clock,
        }
    }

    /// Returns the event of an earlier payload that this change accepts, if it accepts one.
    #[must_use]
    pub fn late_event(&self) -> Option<&LateEvent> {
        match self {
            Self::Reprocessed(body) => Some(&body.event),
            Self::Corrected(corrected) => corrected.accepts(),
            Self::EraMove(step) => step.event(),
            Self::Received(_) | Self::Epoch(_) | Self::Suppressed(_) => None,
        }
    }

    /// Returns the payload whose event this change makes, which has the number `sequence`: its own, or an earlier one.
    #[must_use]
    pub fn payload_of_event(&self, sequence: Sequence) -> Option<Sequence> {
        match self {
            Self::Received(_) => Some(sequence),
            _ => self.late_event().map(|event| event.of),
        }
    }

    /// Returns the states that the change puts in the place of rows, if it does.
    #[must_use]
    pub fn states(&self) -> Option<&States> {
        match self {
            Self::Corrected(corrected) => match &corrected.result {
                CorrectionResult::States(states) => Some(states),
                CorrectionResult::Accepted(_) | CorrectionResult::ReaderEra { .. } => None,
            },
            Self::EraMove(step) => step.moved_payload().map(|payload| &payload.states),
            Self::Received(_) | Self::Reprocessed(_) | Self::Epoch(_) | Self::Suppressed(_) => None,
        }
    }

    /// Returns, for each animal that it touches, the change that touched it before; 0 for a new animal.
    #[must_use]
    pub fn previous(&self) -> &[(AnimalId, Sequence)] {
        match self {
            Self::Received(received) => &received.previous,
            Self::Reprocessed(body) => &body.previous,
            Self::Corrected(corrected) => &corrected.previous,
            Self::EraMove(step) => &step.previous,
            Self::Epoch(_) | Self::Suppressed(_) => &[],
        }
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Received(_) => ChangeKind::Received,
            Self::Reprocessed(_) => ChangeKind::Reprocessed,
            Self::Corrected(_) => ChangeKind::Corrected,
            Self::Epoch(_) => ChangeKind::Epoch,
            Self::Suppressed(_) => ChangeKind::Suppressed,
            Self::EraMove(_) => ChangeKind::EraMove,
        }
    }

    /// Encodes the stored form: kind, version, body. A body that was stored in an earlier version gets the current one.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_CHANGE_BYTES);
        bytes.extend_from_slice(&[self.kind() as u8, self.version()]);
        match self {
            Self::Received(body) => match &body.readmission {
                Some(readmission) => encode(&(body, readmission), bytes),
                None => encode(body, bytes),
            },
            Self::Reprocessed(body) => encode(body, bytes),
            Self::Corrected(body) => encode(body, bytes),
            Self::Epoch(body) => match &body.acceptance {
                Some(acceptance) => encode(&(body, acceptance), bytes),
                None => encode(body, bytes),
            },
            Self::Suppressed(body) => encode(body, bytes),
            Self::EraMove(body) => encode(body, bytes),
        }
    }

    /// Returns the version of the stored body.
    fn version(&self) -> u8 {
        match self {
            Self::Corrected(_) | Self::Epoch(EpochStart { acceptance: Some(_), .. }) => 2,
            Self::Received(body) if body.readmission.is_some() => 2,
            _ => 1,
        }
    }

    /// Decodes the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChangeError> {
        let [kind, version, body @ ..] = bytes else {
            return Err(ChangeError::Damaged { kind: bytes.first().copied().unwrap_or(0), version: 0 });
        };
        match (ChangeKind::from_number(*kind), version) {
            (Some(ChangeKind::Received), 1) => whole(body).map(|body| Self::Received(Box::new(body))),
            (Some(ChangeKind::Received), 2) => {
                let parts: Option<(Received, Readmission)> = whole(body);
                parts.map(|(body, readmission)| {
                    Self::Received(Box::new(Received { readmission: Some(Box::new(readmission)), ..body }))
                })
            }
            (Some(ChangeKind::Reprocessed), 1) => whole(body).map(|body| Self::Reprocessed(Box::new(body))),
            (Some(ChangeKind::Corrected), 1) => {
                whole(body).map(|body: CorrectedV1| Self::Corrected(Box::new(body.into())))
            }
            (Some(ChangeKind::Corrected), 2) => whole(body).map(|body| Self::Corrected(Box::new(body))),
            (Some(ChangeKind::Epoch), 1) => whole(body).map(Self::Epoch),
            (Some(ChangeKind::Epoch), 2) => {
                let parts: Option<(EpochStart, Acceptance)> = whole(body);
                parts.map(|(began, acceptance)| Self::Epoch(EpochStart { acceptance: Some(acceptance), ..began }))
            }
            (Some(ChangeKind::Suppressed), 1) => whole(body).map(Self::Suppressed),
            (Some(ChangeKind::EraMove), 1) => whole(body).map(|body| Self::EraMove(Box::new(body))),
            _ => return Err(ChangeError::Unknown { kind: *kind, version: *version }),
        }
        .ok_or(ChangeError::Damaged { kind: *kind, version: *version })
    }
}

/// Decodes a Received change of version 1 from the start of bytes, and returns the bytes behind it.
pub(crate) fn received_at_start(bytes: &[u8]) -> Option<(Received, &[u8])> {
    postcard::take_from_bytes(bytes).ok()
}

/// Decodes a value, if the bytes hold nothing after it.
fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    postcard::take_from_bytes(body).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}
