//! The bodies of the changes that speak of earlier ones: Reprocessed and Corrected, version 1. The order of fields
//! and variants is frozen.

use super::{Accepted, AnimalId, AnimalState, BatchState, Correction, Origin};
use crate::clock::ClockReading;
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// A payload that had been rejected is an event by the grammar and the tables of today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reprocessed {
    /// When it was judged anew.
    pub clock: ClockReading,
    /// What it is now.
    pub event: LateEvent,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
}

/// A person corrected something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// Who, as they call themselves.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Chosen by whoever asked: the same one again makes no second change.
    pub idempotency_key: String,
    /// The named HTTP key that it came through, or the control socket.
    pub channel: String,
    /// When.
    pub clock: ClockReading,
    /// What was asked for.
    pub correction: Correction,
    /// What came of it.
    pub result: CorrectionResult,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
}

/// What a correction leaves, so that nobody has to work it out again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CorrectionResult {
    /// Animals and batches as they are afterwards.
    States(Box<States>),
    /// The event of a payload that had been rejected.
    Accepted(Box<LateEvent>),
    /// The readers of a group count anew.
    ReaderEra {
        /// Which group.
        reader_group: String,
        /// The era that begins.
        reader_era: u32,
    },
}

/// Animals and batches as a correction leaves them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// Every animal that is not as it was.
    pub animals: Vec<AnimalState>,
    /// Every batch that is not as it was.
    pub batches: Vec<BatchState>,
}

/// The event of a payload that had been rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateEvent {
    /// The Received change that keeps the payload.
    pub of: Sequence,
    /// What had brought it.
    pub origin: Origin,
    /// When it had come.
    pub received: ClockReading,
    /// The event, and whom it happened to.
    pub accepted: Accepted,
}

impl Corrected {
    /// The event that it accepts, where it is such a correction.
    #[must_use]
    pub fn accepts(&self) -> Option<&LateEvent> {
        match &self.result {
            CorrectionResult::Accepted(event) => Some(event),
            CorrectionResult::States(_) | CorrectionResult::ReaderEra { .. } => None,
        }
    }
}
