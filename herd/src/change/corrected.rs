//! The body of a Corrected change, version 2. The order of fields and variants is frozen.

use super::{AnimalId, AnimalState, BatchState, Correction, LateEvent};
use crate::clock::ClockReading;
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// A correction by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// Name that the author gave.
    pub author: String,
    /// Reason for the correction.
    pub reason: String,
    /// Key chosen by the caller. A request with the same key makes no second change.
    pub idempotency_key: String,
    /// HTTP key that the request came through, or the control socket.
    pub channel: String,
    /// When the correction was made.
    pub clock: ClockReading,
    /// The correction as requested.
    pub correction: Correction,
    /// The result.
    pub result: CorrectionResult,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
}

/// The result of a correction, stored so that no reader has to work it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CorrectionResult {
    /// Animals and batches after the correction.
    States(Box<States>),
    /// The event of a payload that had been rejected or voided.
    Accepted(Box<LateEvent>),
    /// A new era of a reader group, in which event ids and lids count anew.
    ReaderEra {
        /// The group.
        reader_group: String,
        /// The era that begins.
        reader_era: u32,
    },
}

/// Animals and batches after a correction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// Every animal that the correction changed.
    pub animals: Vec<AnimalState>,
    /// Every batch that the correction changed.
    pub batches: Vec<BatchState>,
}

impl Corrected {
    /// Returns the event that the correction accepts, if it accepts one.
    #[must_use]
    pub fn accepts(&self) -> Option<&LateEvent> {
        match &self.result {
            CorrectionResult::Accepted(event) => Some(event),
            CorrectionResult::States(_) | CorrectionResult::ReaderEra { .. } => None,
        }
    }
}
