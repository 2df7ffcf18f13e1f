//! Voids an event: replays the history of its animal without it.
//!
//! Changes before the voided event are applied as they were decided, because nothing that they rest on has changed.
//! **From the voided event on, each event is decided again on what the replay has left so far:** a tag that the void
//! gives back clashes with one that a later event brought, and a lid or tag that it takes away leads to nobody. So a
//! later event assigns a tag, takes one off or merges two animals only if it would do so without the voided event. The
//! animal that an event was placed with stays the same.

use super::replay::Replay;
use super::tried::last_of;
use super::{Judged, Refused, or_refuse};
use crate::change::{
    Accepted, AnimalId, AnimalState, AnimalStatus, BatchId, BatchState, Change, Correction, CorrectionResult, Outcome,
    States,
};
use crate::decide::{History, Judge};
use crate::fold::{Rows, RowsError, animal_state, batch_state};
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::tables::{Afterwards, MAX_SUCCESSORS, Table, latest_batch_key, sequence_key};
use std::collections::{BTreeMap, BTreeSet};

/// So many changes are told anew at most. An animal is seen some hundred times in its life.
const MAX_RETOLD_CHANGES: usize = 10_000;

/// The event that is voided.
struct Voided {
    /// The change that made it an event: the payload's own, or a later one.
    by: Sequence,
    accepted: Accepted,
}

/// All changes that touched some animals, and the animals.
struct Family {
    changes: BTreeMap<Sequence, Change>,
    animals: BTreeSet<AnimalId>,
}

impl<R: Rows> Judge<'_, R> {
    pub(super) fn void(&self, history: &impl History, of: Sequence) -> Judged {
        let voided = or_refuse!(self.event_of(history, of)?);
        let Some(root) = self.successor(voided.accepted.animal)? else {
            return Ok(Err(too_much_history(voided.accepted.animal)));
        };
        let family = or_refuse!(self.family(history, root)?);
        let first_redecided = self.first_redecided(&family, voided.by)?;
        let mut replay = Replay::new(self.rows, self.rules, &family.animals);
        for (sequence, change) in &family.changes {
            if *sequence < first_redecided {
                replay.apply(*sequence, change)?;
            } else if *sequence != voided.by && !self.is_void(*sequence, change)? {
                replay.redecide(*sequence, change)?;
            }
        }
        let mut states = States::default();
        let mut previous = Vec::new();
        let mut moved = Moved::default();
        for id in &family.animals {
            let Some(before) = animal_state(self.rows, *id)? else { continue };
            let after = match replay.animal(*id)? {
                Some(_) => animal_state(&replay.rows, *id)?.unwrap_or_default(),
                None => nobody(&before),
            };
            // The animal of the event tells of the void in its history, even where nothing of the event was left.
            if before != after || *id == root {
                previous.push((*id, self.touched_before(&family, &before, &after)?));
                moved.add(&before, &after);
                states.animals.push(after);
            }
        }
        states.batches = self.batches_after(history, &moved)?;
        Ok(Ok((CorrectionResult::States(Box::new(states)), previous)))
    }

    /// The event that the payload is now, if it is one.
    fn event_of(&self, history: &impl History, of: Sequence) -> Result<Result<Voided, Refused>, RowsError> {
        let Some(received) = history.received_at(of)? else { return Ok(Err(Refused::UnknownPayload(of))) };
        let afterwards = self.afterwards(of)?;
        if let Some(by) = afterwards.void() {
            return Ok(Err(Refused::AlreadyVoided { sequence: of, by }));
        }
        let Some(by) = afterwards.accepted_by else {
            return Ok(match received.outcome {
                Outcome::Accepted(accepted) => Ok(Voided { by: of, accepted: *accepted }),
                Outcome::Rejected(_) => Err(Refused::NotAnEvent(of)),
            });
        };
        let event = history.change_at(by)?.and_then(|change| change.late_event().cloned());
        Ok(event.map(|event| Voided { by, accepted: event.accepted }).ok_or(Refused::NotAnEvent(of)))
    }

    fn afterwards(&self, of: Sequence) -> Result<Afterwards, RowsError> {
        Ok(self.rows.read(Table::Afterwards, &sequence_key(of))?.unwrap_or_default())
    }

    /// Whether the event of this change does not stand any more: it was voided, or is told by a later change.
    fn is_void(&self, sequence: Sequence, change: &Change) -> Result<bool, RowsError> {
        let Some(payload) = event_in(sequence, change) else { return Ok(false) };
        Ok(self.afterwards(payload)?.told_by(payload) != Some(sequence))
    }

    /// Returns the first change that has to be decided again if the event of change `voided_by` is void.
    ///
    /// That is `voided_by` itself, or an earlier event that was voided after it: the changes between the two were decided
    /// while that event stood, and what its void left rests on the event that is voided now.
    fn first_redecided(&self, family: &Family, voided_by: Sequence) -> Result<Sequence, RowsError> {
        let mut voided = self.voids_in(family)?;
        for (sequence, change) in family.changes.range(..voided_by) {
            if !voided.iter().any(|(event, _)| event == sequence) && self.is_void(*sequence, change)? {
                // An animal that was split off lacks the later changes of the one that it had been merged into.
                let payload = event_in(*sequence, change).unwrap_or(*sequence);
                voided.push((*sequence, self.afterwards(payload)?.voided_by.unwrap_or(Sequence(u64::MAX))));
            }
        }
        voided.sort_unstable();
        let mut first = voided_by;
        for (event, by) in voided.into_iter().rev() {
            if event < first && first < by {
                first = event;
            }
        }
        Ok(first)
    }

    /// Returns each void in the history, as the change of the voided event and the change that voided it.
    fn voids_in(&self, family: &Family) -> Result<Vec<(Sequence, Sequence)>, RowsError> {
        let mut last_event = BTreeMap::new();
        let mut voids = Vec::new();
        for (sequence, change) in &family.changes {
            if let Some(payload) = event_in(*sequence, change) {
                last_event.insert(payload, *sequence);
            } else if let Change::Corrected(corrected) = change
                && let Correction::Void { sequence: payload } = corrected.correction
            {
                let event = if let Some(event) = last_event.get(&payload) {
                    *event
                } else {
                    // The event of an animal that was split off is not in this history.
                    let accepted_by = self.afterwards(payload)?.accepted_by;
                    accepted_by.filter(|accepted| accepted < sequence).unwrap_or(payload)
                };
                voids.push((event, *sequence));
            }
        }
        Ok(voids)
    }

    /// The animal that this one turned out to be; none where that leads too far.
    fn successor(&self, id: AnimalId) -> Result<Option<AnimalId>, RowsError> {
        let mut id = id;
        for _ in 0..MAX_SUCCESSORS {
            match self.animal(id)?.and_then(|animal| animal.absorbed_by) {
                Some(by) => id = by,
                None => return Ok(Some(id)),
            }
        }
        Ok(None)
    }

    /// Walks back through the history of the animal and of those that went up in it.
    fn family(&self, history: &impl History, root: AnimalId) -> Result<Result<Family, Refused>, RowsError> {
        let mut family = Family { changes: BTreeMap::new(), animals: BTreeSet::from([root]) };
        let mut ahead = BTreeSet::from([last_of(self.rows, root)?]);
        while let Some(sequence) = ahead.pop_last().filter(|sequence| *sequence > Sequence::ZERO) {
            if family.changes.len() >= MAX_RETOLD_CHANGES {
                return Ok(Err(too_much_history(root)));
            }
            let Some(change) = history.change_at(sequence)? else { continue };
            for (animal, before) in change.previous() {
                match self.successor(*animal)? {
                    None => return Ok(Err(too_much_history(*animal))),
                    Some(successor) if successor == root => {
                        family.animals.insert(*animal);
                        // Only ever back: a history that leads on would never end.
                        ahead.extend(Some(*before).filter(|before| *before < sequence));
                    }
                    Some(_) => {}
                }
            }
            family.changes.insert(sequence, change);
        }
        Ok(Ok(family))
    }

    /// The change that touched the animal before this one. For one that is itself again, that is not the event that made
    /// it a part of another, but the last of its own before.
    fn touched_before(
        &self,
        family: &Family,
        before: &AnimalState,
        after: &AnimalState,
    ) -> Result<Sequence, RowsError> {
        let last = last_of(self.rows, before.animal)?;
        let is_itself_again = before.absorbed_by.is_some() && after.absorbed_by.is_none();
        let joined_by = family.changes.get(&last).filter(|change| is_itself_again && event_in(last, change).is_some());
        let own = joined_by.map(Change::previous).unwrap_or_default();
        Ok(own.iter().find(|(animal, _)| *animal == before.animal).map_or(last, |(_, own)| *own))
    }

    /// The batches whose animals are not the same any more. One that had closed with its last animal is open again if
    /// somebody is in it, unless its number means another by now.
    fn batches_after(&self, history: &impl History, moved: &Moved) -> Result<Vec<BatchState>, RowsError> {
        let mut batches = Vec::new();
        for (id, (active, members)) in &moved.0 {
            let Some(before) = batch_state(self.rows, *id)? else { continue };
            let mut batch = before.clone();
            batch.active = batch.active.saturating_add_signed(*active);
            batch.members = batch.members.saturating_add_signed(*members);
            let is_empty = batch.active == 0 && batch.source == SourceType::Hxb || batch.members == 0;
            match batch.closed {
                None if is_empty => batch.closed = Some(self.sequence),
                Some(by) if !is_empty && self.is_latest(&batch)? && !closed_by_hand(history, by)? => {
                    batch.closed = None;
                }
                _ => {}
            }
            if batch != before {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    fn is_latest(&self, batch: &BatchState) -> Result<bool, RowsError> {
        let key = latest_batch_key(batch.source, &batch.number);
        Ok(self.rows.read::<BatchId>(Table::LatestBatches, &key)? == Some(batch.batch))
    }
}

/// The payload whose event the change tells, where it tells one: its own, or an earlier one.
fn event_in(sequence: Sequence, change: &Change) -> Option<Sequence> {
    match change {
        Change::Received(_) => Some(sequence),
        _ => change.late_event().map(|event| event.of),
    }
}

fn too_much_history(animal: AnimalId) -> Refused {
    Refused::TooMuchHistory { animal, limit: MAX_RETOLD_CHANGES }
}

/// Whether the change closed a batch because an operator said so.
fn closed_by_hand(history: &impl History, by: Sequence) -> Result<bool, RowsError> {
    let Some(Change::Corrected(corrected)) = history.change_at(by)? else { return Ok(false) };
    Ok(matches!(corrected.correction, Correction::CloseBatch { .. }))
}

/// An animal of which no event is left.
fn nobody(before: &AnimalState) -> AnimalState {
    AnimalState {
        animal: before.animal,
        status: AnimalStatus::Voided,
        last_at_us: before.last_at_us,
        ..AnimalState::default()
    }
}

/// How many more animals are in a batch now, and how many more ever were.
#[derive(Default)]
struct Moved(BTreeMap<BatchId, (i32, i32)>);

impl Moved {
    fn add(&mut self, before: &AnimalState, after: &AnimalState) {
        for (state, sign) in [(before, -1), (after, 1)] {
            for held in &state.memberships {
                let counts = self.0.entry(held.batch).or_default();
                counts.0 += if held.left.is_none() { sign } else { 0 };
                counts.1 += sign;
            }
        }
    }
}
