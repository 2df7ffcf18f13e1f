//! First sighting of an animal.
//!
//! # Decisions
//!
//! - **The first sighting is the event that founded the animal, or an earlier sign of one that was merged into it.** The
//!   row tells both: the number of the animal is that of its founding event, and each tag and batch names the change that
//!   brought it.
//! - **A voided event is no sighting**, although the animal keeps its number. Only then is the history read for the first event
//!   that counts, up to [`MAX_CHANGES_READ`]. A date in the row was rejected: it would be written for every animal, and
//!   wanted for few.

use super::history::StepBody;
use super::{QueryError, readable};
use crate::change::{AnimalId, Change, Outcome};
use crate::clock::WallTime;
use crate::payload::EventKind;
use crate::position::Sequence;
use crate::store::{Snapshot, StoreError};
use crate::tables::Animal;

/// Maximum number of changes of an animal that are read, the latest ones, if the event that founded it is void. An animal is
/// seen some hundred times in its life.
const MAX_CHANGES_READ: usize = 256;
/// Maximum number of an animal's batches that are considered. A batch that came from an absorbed, tag-only animal has an early
/// id, so it is among the first.
const MAX_MEMBERSHIPS_READ: usize = 4;

/// First sighting of an animal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstSighting {
    /// Time of the sighting: for an event, the arrival of its payload.
    pub(crate) at: WallTime,
    /// Kind of the event; `None` if a correction is the first sign of the animal.
    pub(crate) kind: Option<EventKind>,
}

impl FirstSighting {
    fn of(change: &Change) -> Self {
        let (clock, kind) = match (change, change.late_event()) {
            (_, Some(late)) => (late.received, Some(late.accepted.event.kind)),
            (Change::Received(received), None) => match &received.outcome {
                Outcome::Accepted(accepted) => (received.clock, Some(accepted.event.kind)),
                Outcome::Rejected(_) => (received.clock, None),
            },
            (other, None) => (other.clock(), None),
        };
        Self { at: clock.wall(), kind }
    }
}

impl Snapshot {
    /// Returns the first sighting of an animal; `None` if its change cannot be read.
    pub(crate) fn first_sighting(&self, id: AnimalId, animal: &Animal) -> Result<Option<FirstSighting>, QueryError> {
        let tags = animal.state.tags.iter().map(|held| held.since);
        let joined = animal.state.memberships.iter().take(MAX_MEMBERSHIPS_READ).map(|held| held.joined);
        let (evidence, founding) = (tags.chain(joined).min(), Sequence(id.0));
        let read = |sequence| readable(self.change(sequence).map_err(QueryError::from));
        if let Some(evidence) = evidence.filter(|evidence| *evidence <= founding) {
            return Ok(read(evidence)?.as_ref().map(FirstSighting::of));
        }
        let change = read(founding)?;
        let of = change.as_ref().and_then(Change::late_event).map_or(founding, |late| late.of);
        let founded = change.as_ref().map(FirstSighting::of);
        if self.amendments(of)?.event_change(of) == Some(founding) {
            return Ok(founded);
        }
        match (self.first_event(id), evidence) {
            (Err(QueryError::Store(StoreError::DamagedLog { .. })), _) => Ok(None),
            (Err(error), _) => Err(error),
            (Ok(Some((sequence, first))), evidence) if evidence.is_none_or(|evidence| sequence < evidence) => {
                Ok(Some(first))
            }
            (Ok(_), Some(evidence)) => Ok(read(evidence)?.as_ref().map(FirstSighting::of)),
            // The row of a voided animal has nothing else to show.
            (Ok(_), None) => Ok(founded),
        }
    }

    /// Returns the event of an animal that counts and whose payload came first, and the change that holds this payload.
    fn first_event(&self, animal: AnimalId) -> Result<Option<(Sequence, FirstSighting)>, QueryError> {
        let Some(mut walk) = self.walk(animal, None)? else { return Ok(None) };
        let mut first: Option<(Sequence, FirstSighting)> = None;
        for _ in 0..MAX_CHANGES_READ {
            let Some(step) = walk.step()? else { break };
            let StepBody::Event(event) = step.body else { continue };
            if event.voided_by.is_none() && first.is_none_or(|(sequence, _)| event.of < sequence) {
                let (at, kind) = (event.received.wall(), Some(event.accepted.event.kind));
                first = Some((event.of, FirstSighting { at, kind }));
            }
        }
        Ok(first)
    }
}
