//! The body of an `EraMove` change, version 1. The order of fields and variants is frozen.

use super::{AnimalId, LateEvent, States};
use crate::clock::ClockReading;
use crate::payload::{EventId, Rejection};
use crate::position::Sequence;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// A step of an order that moves the payloads of some readers into a new reader era.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraMove {
    /// When the step was taken.
    pub clock: ClockReading,
    /// The readers.
    pub reader_group: Text,
    /// The era into which their payloads are moved.
    pub reader_era: u32,
    /// The correction that began the era.
    pub order: Sequence,
    /// All payloads of the order up to this sequence are done.
    pub through: Sequence,
    /// The payload of this step; `None` if no more are left.
    pub payload: Option<MovedPayload>,
    /// For each animal that this change touches, the change that touched it before; 0 for a new animal.
    pub previous: Vec<(AnimalId, Sequence)>,
}

/// A payload that a step moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedPayload {
    /// The Received change that holds the payload.
    pub of: Sequence,
    /// Era in which it counted before.
    pub former_era: u32,
    /// Its event id, if it has one.
    pub event_id: Option<EventId>,
    /// The result.
    pub result: MoveResult,
    /// Animals that later events had founded, and that are part of the event's animal now.
    pub joined: Vec<AnimalId>,
    /// Animals and batches as the move leaves them.
    pub states: States,
}

/// The result of a move, stored so that no reader has to work it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveResult {
    /// The payload is an event of the new era.
    Event(Box<LateEvent>),
    /// The payload was an event of the former era, and cannot be one of the new era: its event is void.
    Voided(Rejection),
    /// The payload stays as it is.
    Left(MoveObstacle),
}

/// Why a payload cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveObstacle {
    /// The history of its animals is too long to be replayed.
    TooMuchHistory,
    /// The log is damaged where it holds the history of its animals.
    DamagedHistory,
    /// The result does not fit into one change.
    TooLarge,
}

impl MoveObstacle {
    /// Returns the name in JSON. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooMuchHistory => "too_much_history",
            Self::DamagedHistory => "damaged_history",
            Self::TooLarge => "too_large",
        }
    }
}

impl EraMove {
    /// Returns the event that the step makes, if it makes one.
    #[must_use]
    pub fn event(&self) -> Option<&LateEvent> {
        match self.payload.as_ref().map(|payload| &payload.result) {
            Some(MoveResult::Event(event)) => Some(event),
            _ => None,
        }
    }

    /// Returns the payload whose event of the former era the step takes away.
    #[must_use]
    pub fn moved_payload(&self) -> Option<&MovedPayload> {
        self.payload.as_ref().filter(|payload| !matches!(payload.result, MoveResult::Left(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches another name in JSON, by which programs know why a payload stayed as it was.
    #[test]
    fn names_of_obstacles_are_stable() {
        let names = [MoveObstacle::TooMuchHistory, MoveObstacle::DamagedHistory, MoveObstacle::TooLarge]
            .map(MoveObstacle::as_str);
        assert_eq!(names, ["too_much_history", "damaged_history", "too_large"]);
    }
}
