//! The events that earlier voids and moves decided again.
//!
//! A rewrite decides the events of its animals again, from a first place on. The log keeps the states that this left, but
//! not the new decision of each event. So a later rewrite cannot start inside such a range: the decisions of the range would
//! be lost, and the first ones, which no longer hold, would return.
//!
//! **A rewrite that reaches into the range of an earlier one starts where that range starts, or before.**
//!
//! The start of a range may depend on an animal that a void has split off. The history of the animals that remained does
//! not lead to it. So the ranges are worked out from the histories of all animals that were ever one with these.
//! To store the start in the Change would be simpler, but would change its frozen form for something that the log shows.

use crate::change::{AnimalId, Change, Correction, Outcome, PlacedEvent};
use crate::position::Sequence;
use crate::tables::last_successor;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The range of an earlier rewrite.
struct RewriteRange {
    /// The first place that it decided again.
    first: Sequence,
    /// Its own change.
    by: Sequence,
    /// The animals that it touched.
    animals: Vec<AnimalId>,
}

/// The ranges of all rewrites in some changes, and the merges as they are after the last one.
#[derive(Default)]
pub(super) struct RewriteRanges {
    ranges: Vec<RewriteRange>,
    absorbed_by: BTreeMap<AnimalId, AnimalId>,
}

impl RewriteRanges {
    /// Works out the ranges from the changes of all animals that were ever one.
    pub(super) fn of(changes: &BTreeMap<Sequence, Change>) -> Self {
        let mut rewrites = Self::default();
        // By payload, the place of the event that it was last.
        let mut events = BTreeMap::new();
        for (sequence, change) in changes {
            if let Change::EraMove(step) = change {
                if let Some(payload) = step.moved_payload() {
                    // A payload is moved to the place where it was received, which is before any later acceptance.
                    rewrites.add(*sequence, change, payload.of);
                    events.insert(payload.of, payload.of);
                }
            } else if let Some(payload) = change.payload_of_event(*sequence) {
                events.insert(payload, *sequence);
            }
            if let Some(payload) = voided_in(change) {
                rewrites.add(*sequence, change, events.get(&payload).copied().unwrap_or(payload));
            }
            rewrites.follow_merges(change);
        }
        rewrites
    }

    /// Returns the first place that has to be decided again if the histories of `animals`, and of those that are one with
    /// them, differ from the place `event` on.
    pub(super) fn first_redecided(&self, event: Sequence, animals: &[AnimalId]) -> Sequence {
        let mut first = event;
        loop {
            let lowered = animals.iter().fold(first, |first, animal| self.start_of_ranges(first, *animal));
            if lowered == first {
                return first;
            }
            first = lowered;
        }
    }

    /// Returns the start of the ranges of `animal` that reach over the place `event`, or that place.
    fn start_of_ranges(&self, event: Sequence, animal: AnimalId) -> Sequence {
        let root = self.successor(animal);
        let is_own = |range: &&RewriteRange| range.animals.iter().any(|id| self.successor(*id) == root);
        let mut own: Vec<_> = self.ranges.iter().filter(is_own).map(|range| (range.first, range.by)).collect();
        own.sort_unstable();
        // From the latest start down, because each earlier start may reach into further ranges.
        own.into_iter().rev().fold(event, |from, (first, by)| if first < from && from < by { first } else { from })
    }

    fn add(&mut self, by: Sequence, change: &Change, event: Sequence) {
        let animals: Vec<AnimalId> = change.previous().iter().map(|(id, _)| *id).collect();
        let first = self.first_redecided(event, &animals);
        self.ranges.push(RewriteRange { first, by, animals });
    }

    fn follow_merges(&mut self, change: &Change) {
        if let Some(PlacedEvent { animal, absorbed: Some(absorbed), .. }) = placed_event(change) {
            self.absorbed_by.insert(*absorbed, *animal);
        }
        for state in change.states().into_iter().flat_map(|states| &states.animals) {
            match state.absorbed_by {
                Some(by) => self.absorbed_by.insert(state.animal, by),
                None => self.absorbed_by.remove(&state.animal),
            };
        }
    }

    fn successor(&self, animal: AnimalId) -> AnimalId {
        let Ok(successor) = last_successor(animal, |id| Ok::<_, Infallible>(self.absorbed_by.get(&id).copied()));
        successor.unwrap_or(animal)
    }
}

/// Returns whether the change rewrites histories.
pub(super) fn is_rewrite(change: &Change) -> bool {
    match change {
        Change::EraMove(step) => step.moved_payload().is_some(),
        _ => voided_in(change).is_some(),
    }
}

/// Returns the payload whose event the change voids.
fn voided_in(change: &Change) -> Option<Sequence> {
    match change {
        Change::Corrected(corrected) => match corrected.correction {
            Correction::Void { sequence } => Some(sequence),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn placed_event(change: &Change) -> Option<&PlacedEvent> {
    match change {
        Change::Received(received) => match &received.outcome {
            Outcome::Accepted(accepted) => Some(accepted),
            Outcome::Rejected(_) => None,
        },
        _ => change.late_event().map(|event| &event.accepted),
    }
}
