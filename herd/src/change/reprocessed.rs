//! The body of a Reprocessed change, version 1. The order of the fields is frozen.

use super::{AnimalId, Origin, PlacedEvent};
use crate::clock::ClockReading;
use crate::position::Sequence;
use serde::{Deserialize, Serialize};

/// A rejected payload that is an event by the current grammar and tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reprocessed {
    /// When the payload was judged again.
    pub clock: ClockReading,
    /// The event.
    pub event: LateEvent,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
}

/// The event of a payload that was accepted by a later change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateEvent {
    /// The Received change that holds the payload.
    pub of: Sequence,
    /// Origin of the payload.
    pub origin: Origin,
    /// When the payload arrived.
    pub received: ClockReading,
    /// The event and its animal.
    pub accepted: PlacedEvent,
}
