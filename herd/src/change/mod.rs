//! A Change: one decision of the source, in bytes that freeze.
//!
//! A stored Change is `kind u8, version u8, body`. The body is the postcard form of one type that never alters once
//! a log holds it: whoever needs another shape gives it the next version and keeps reading this one. The bytes travel
//! verbatim through log, wire, mirror and backup; the chain digest is over them.
//!
//! | kind | name | body |
//! |---|---|---|
//! | 1 | Received | version 1, [`Received`] |
//! | 2 | Reprocessed | version 1, [`Reprocessed`] |
//! | 3 | Corrected | version 1, [`Corrected`] |
//! | 4 | `ClockStepped` | no version yet |
//! | 5 | Epoch | version 1, [`EpochStart`] |
//! | 6 | Suppressed | version 1, [`Suppressed`] |

mod corrected;
mod correction;
mod received;
mod reprocessed;
mod state;

pub use corrected::{Corrected, CorrectionResult, States};
pub use correction::Correction;
pub use received::{AnimalId, BatchId, BatchUse, Origin, Outcome, PlacedEvent, Received, RejectedPayload, TagUse};
pub use reprocessed::{LateEvent, Reprocessed};
pub use state::{AnimalState, AnimalStatus, BatchState, HeldMembership, HeldTag, LidName, TagKind, TagState};

use crate::clock::ClockReading;
use crate::position::{Epoch, Sequence, StoreId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The most bytes that one stored Change may have. The largest payload that a door lets in is 4 KiB.
pub const MAX_CHANGE_BYTES: usize = 64 * 1024;

/// What a Change is; the number is its first stored byte and never means anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChangeKind {
    /// A payload came and was judged.
    Received = 1,
    /// An earlier payload was judged anew by today's grammar.
    Reprocessed = 2,
    /// A person corrected something, with author and reason.
    Corrected = 3,
    /// The barn's wall clock was set.
    ClockStepped = 4,
    /// A writer began: the first change of a store, and the first after a restore.
    Epoch = 5,
    /// Rejections above the bound of one channel, counted instead of kept.
    Suppressed = 6,
}

impl ChangeKind {
    /// The kind with this number, where it has one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        use ChangeKind as K;
        let all = [K::Received, K::Reprocessed, K::Corrected, K::ClockStepped, K::Epoch, K::Suppressed];
        all.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Reprocessed => "reprocessed",
            Self::Corrected => "corrected",
            Self::ClockStepped => "clock_stepped",
            Self::Epoch => "epoch",
            Self::Suppressed => "suppressed",
        }
    }
}

/// A Change as this binary understands it.
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
}

/// A writer began to write this history. Version 1 of its body: the order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStart {
    /// Its number; the first change of a new store is epoch 1.
    pub epoch: Epoch,
    /// The history that it writes.
    pub store: StoreId,
    /// 128 random bits that tell this writer from one that restored the same backup elsewhere.
    pub writer: StoreId,
    /// When.
    pub clock: ClockReading,
}

/// Rejections of one channel that came above its bound. Version 1 of its body: the order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// The radio, modem or key that they came through.
    pub channel: String,
    /// How many.
    pub count: u64,
    /// When the first of them came.
    pub first: ClockReading,
    /// When the last of them came.
    pub last: ClockReading,
}

/// Why stored bytes could not be read as a Change. Neither is a reason to drop them: they are verified by the chain,
/// kept and served on; the tables stop before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A kind or version that a later binary made.
    #[error("change of kind {kind} version {version} is not known here: upgrade this program")]
    Unknown {
        /// First stored byte.
        kind: u8,
        /// Second stored byte.
        version: u8,
    },
    /// A known kind whose body does not read, or no body at all.
    #[error("change of kind {kind} version {version} has a body that does not read: upgrade this program, or restore")]
    Damaged {
        /// First stored byte, 0 where there is none.
        kind: u8,
        /// Second stored byte, 0 where there is none.
        version: u8,
    },
}

impl Change {
    /// When the source made it.
    #[must_use]
    pub fn clock(&self) -> ClockReading {
        match self {
            Self::Received(received) => received.clock,
            Self::Reprocessed(reprocessed) => reprocessed.clock,
            Self::Corrected(corrected) => corrected.clock,
            Self::Epoch(began) => began.clock,
            Self::Suppressed(suppressed) => suppressed.last,
        }
    }

    /// The event that it makes of a payload that had been rejected, where it does.
    #[must_use]
    pub fn late_event(&self) -> Option<&LateEvent> {
        match self {
            Self::Reprocessed(body) => Some(&body.event),
            Self::Corrected(corrected) => corrected.accepts(),
            Self::Received(_) | Self::Epoch(_) | Self::Suppressed(_) => None,
        }
    }

    /// For each animal that it touches, the change that touched it before; 0 for a new animal.
    #[must_use]
    pub fn previous(&self) -> &[(AnimalId, Sequence)] {
        match self {
            Self::Received(received) => &received.previous,
            Self::Reprocessed(body) => &body.previous,
            Self::Corrected(corrected) => &corrected.previous,
            Self::Epoch(_) | Self::Suppressed(_) => &[],
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Received(_) => ChangeKind::Received,
            Self::Reprocessed(_) => ChangeKind::Reprocessed,
            Self::Corrected(_) => ChangeKind::Corrected,
            Self::Epoch(_) => ChangeKind::Epoch,
            Self::Suppressed(_) => ChangeKind::Suppressed,
        }
    }

    /// The stored form: kind, version, body.
    ///
    /// # Panics
    /// Never: every body has a postcard form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(&[self.kind() as u8, 1]);
        match self {
            Self::Received(body) => postcard::to_extend(body, bytes),
            Self::Reprocessed(body) => postcard::to_extend(body, bytes),
            Self::Corrected(body) => postcard::to_extend(body, bytes),
            Self::Epoch(body) => postcard::to_extend(body, bytes),
            Self::Suppressed(body) => postcard::to_extend(body, bytes),
        }
        .expect("postcard into a vector fails only for sequences of unknown length, and there are none here")
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChangeError> {
        let [kind, version, body @ ..] = bytes else {
            return Err(ChangeError::Damaged { kind: bytes.first().copied().unwrap_or(0), version: 0 });
        };
        match (ChangeKind::from_number(*kind), version) {
            (Some(ChangeKind::Received), 1) => whole(body).map(|body| Self::Received(Box::new(body))),
            (Some(ChangeKind::Reprocessed), 1) => whole(body).map(|body| Self::Reprocessed(Box::new(body))),
            (Some(ChangeKind::Corrected), 1) => whole(body).map(|body| Self::Corrected(Box::new(body))),
            (Some(ChangeKind::Epoch), 1) => whole(body).map(Self::Epoch),
            (Some(ChangeKind::Suppressed), 1) => whole(body).map(Self::Suppressed),
            _ => return Err(ChangeError::Unknown { kind: *kind, version: *version }),
        }
        .ok_or(ChangeError::Damaged { kind: *kind, version: *version })
    }
}

/// The value, if the bytes hold it and nothing after it.
fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    postcard::take_from_bytes(body).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}
