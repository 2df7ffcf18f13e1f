//! Corrections applied to rows, and the history of some animals replayed.

use crate::change::{
    AnimalId, AnimalState, BatchUse, Change, Corrected, Correction, CorrectionResult, LateEvent, Origin, Outcome,
    PlacedEvent, Received, States, WeighingTime,
};
use crate::clock::ClockReading;
use crate::decide::identity::PlaceError;
use crate::decide::{Judge, Rules};
use crate::digest::RowSum;
use crate::fold::{Folding, NoRows, Rows, RowsError, StagedRows, folded};
use crate::payload::{Event, Tag};
use crate::position::Sequence;
use crate::tables::{Animal, Batch, TagKind, TagOwner, last_successor, number_key, tag_owner_key};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Applies a correction to rows. `to` is the batch that it moves its animal to.
pub(super) fn edit<B: Rows>(
    fold: &mut Folding<'_, B>,
    correction: &Correction,
    to: Option<BatchUse>,
) -> Result<(), RowsError> {
    match correction {
        Correction::Merge { animal, absorbed } => fold.merge(*animal, *absorbed),
        Correction::Retag { animal, kind, tag } => fold.retag(*animal, *kind, tag.as_ref()),
        Correction::MovePen { animal, pen } => fold.move_pen(*animal, pen),
        Correction::MoveBatch { animal, batch_number } => {
            to.map_or(Ok(()), |to| fold.move_batch(*animal, to, batch_number))
        }
        Correction::Weigh { animal, weight_g, when } => fold.weigh(*animal, *weight_g, *when),
        Correction::Died { animal } => fold.died(*animal),
        Correction::CloseBatch { batch } => fold.close_batch(*batch),
        Correction::EditBatch { batch, notes } => fold.note_batch(*batch, notes.as_deref()),
        Correction::Void { .. } | Correction::AcceptRejected { .. } | Correction::NewReaderEra { .. } => Ok(()),
    }
}

/// The history of some animals, replayed on rows that hold nothing else.
pub(super) struct Replay<'a, R> {
    pub(super) rows: StagedRows<NoRows>,
    /// The tables as they are, to look up tags of animals outside the family.
    tables: &'a R,
    rules: &'a Rules,
    /// The animals whose history is replayed.
    pub(super) family: &'a BTreeSet<AnimalId>,
    /// Places of weighings, by changes that made their events.
    places: BTreeMap<Sequence, Sequence>,
}

impl<'a, R: Rows> Replay<'a, R> {
    pub(super) fn new(
        tables: &'a R,
        rules: &'a Rules,
        family: &'a BTreeSet<AnimalId>,
        places: BTreeMap<Sequence, Sequence>,
    ) -> Self {
        let rows = StagedRows::new(NoRows, Sequence::ZERO, RowSum::default());
        Self { rows, tables, rules, family, places }
    }

    /// Applies a step as it was decided.
    pub(super) fn apply(&mut self, step: &ReplayStep<'_>) -> Result<(), RowsError> {
        if let Some(states) = step.change.states() {
            let animals = states.animals.iter().filter(|state| self.family.contains(&state.animal)).cloned().collect();
            let states = States { animals, batches: states.batches.clone() };
            self.copy_batches(&states)?;
            folded(&mut self.rows, step.sequence, step.change.clock(), |fold| fold.set_states(&states))?;
        } else if let Some(event) = self.event_of_family(step.change) {
            self.fold_event(step.at, &event, event.accepted)?;
        }
        Ok(())
    }

    /// Decides a step again on the rows as they are now, and applies it.
    pub(super) fn redecide_step(&mut self, step: &ReplayStep<'_>) -> Result<(), RowsError> {
        let ReplayStep { at, sequence, change } = *step;
        match change {
            // The replay itself makes the states that a move left. A merge depends on which animal was touched last.
            Change::EraMove(moved) if at == sequence => {
                return folded(&mut self.rows, sequence, moved.clock, |fold| fold.touch(&moved.previous));
            }
            Change::Corrected(corrected) => {
                if let CorrectionResult::States(states) = &corrected.result {
                    return self.redo_correction(sequence, corrected, states);
                }
            }
            _ => {}
        }
        let Some(event) = self.event_of_family(change) else { return Ok(()) };
        let accepted = self.redecide_event(&event, self.founds_anew(step, &event)?)?;
        self.fold_event(at, &event, &accepted)?;
        match change {
            Change::EraMove(moved) => {
                let joined = moved.payload.as_ref().map_or(&[][..], |payload| payload.joined.as_slice());
                self.join(sequence, accepted.animal, joined)
            }
            _ => Ok(()),
        }
    }

    /// Puts in an event that the history did not have at this place.
    pub(super) fn insert(
        &mut self,
        at: Sequence,
        origin: &Origin,
        received: ClockReading,
        accepted: &PlacedEvent,
    ) -> Result<(), RowsError> {
        let arrival = Arrival::at_place(received);
        self.fold_event(at, &ReplayedEvent { origin, decided: received, arrival, accepted }, accepted)
    }

    /// Lets the events that founded the animals `joined` later be events of `animal`, as the change `by` says.
    pub(super) fn join(&mut self, by: Sequence, animal: AnimalId, joined: &[AnimalId]) -> Result<(), RowsError> {
        for id in joined.iter().filter(|id| **id != animal && self.family.contains(id)) {
            if self.animal(*id)?.is_none() {
                let state = AnimalState { animal: *id, absorbed_by: Some(animal), ..AnimalState::default() };
                self.rows.write(number_key(id.0), Animal::of_state(&state, by))?;
            }
        }
        Ok(())
    }

    /// Returns whether a moved event founds its animal although that had joined another one: the later move counts.
    fn founds_anew(&self, step: &ReplayStep<'_>, event: &ReplayedEvent<'_>) -> Result<bool, RowsError> {
        let is_founding = matches!(step.change, Change::EraMove(_)) && event.accepted.animal.0 == step.at.0;
        Ok(is_founding && self.animal(event.accepted.animal)?.is_some_and(|row| row.last < step.sequence))
    }

    /// Returns the event of a change, if it is of an animal of the family.
    ///
    /// The history also holds events of other animals: one that had merged an animal of the family into another, from which
    /// a void has split it again.
    fn event_of_family<'c>(&self, change: &'c Change) -> Option<ReplayedEvent<'c>> {
        let event = match change {
            Change::Received(received) => match &received.outcome {
                Outcome::Accepted(accepted) => {
                    let Received { origin, readmission, .. } = &**received;
                    let arrival = if readmission.is_some() { Arrival::Readmitted } else { Arrival::InTime };
                    ReplayedEvent { origin, decided: received.arrival(), arrival, accepted }
                }
                Outcome::Rejected(_) => return None,
            },
            Change::EraMove(step) => {
                let LateEvent { origin, received, accepted, .. } = step.event()?;
                ReplayedEvent { origin, decided: *received, arrival: Arrival::at_place(*received), accepted }
            }
            other => {
                let LateEvent { of, origin, received, accepted } = other.late_event()?;
                let arrival = Arrival::AcceptedLater { of: *of, received };
                ReplayedEvent { origin, decided: other.clock(), arrival, accepted }
            }
        };
        self.family.contains(&event.accepted.animal).then_some(event)
    }

    fn fold_event(
        &mut self,
        sequence: Sequence,
        event: &ReplayedEvent<'_>,
        accepted: &PlacedEvent,
    ) -> Result<(), RowsError> {
        folded(&mut self.rows, sequence, event.decided, |fold| match event.arrival {
            Arrival::InTime => fold.accepted(event.origin, accepted),
            Arrival::Readmitted => fold.apply_readmitted(event.origin, accepted),
            Arrival::AcceptedLater { of, received } => fold.apply_late(of, received, event.origin, accepted),
        })
    }

    /// Copies the batches that the states' memberships need and the replay lacks: leaving a batch needs its row.
    fn copy_batches(&mut self, states: &States) -> Result<(), RowsError> {
        for membership in states.animals.iter().flat_map(|state| &state.memberships) {
            let key = number_key(membership.batch.0);
            if self.rows.shared::<Batch>(&key)?.is_none()
                && let Some(batch) = self.tables.read::<Batch>(&key)?
            {
                self.rows.write(key, batch)?;
            }
        }
        Ok(())
    }

    fn redo_correction(&mut self, sequence: Sequence, corrected: &Corrected, states: &States) -> Result<(), RowsError> {
        let mut correction = corrected.correction.clone();
        for id in animals_in(&mut correction) {
            *id = self.successor(*id)?;
        }
        if let Correction::Weigh { when: WeighingTime::InsteadOf(weighing), .. } = &mut correction {
            *weighing = self.places.get(weighing).copied().unwrap_or(*weighing);
        }
        if matches!(correction, Correction::Void { .. }) {
            // The replay itself makes the states that a void left. A merge depends on which animal was touched last.
            return folded(&mut self.rows, sequence, corrected.clock, |fold| fold.touch(&corrected.previous));
        }
        if self.still_applies(&correction)? {
            let to = batch_moved_to(corrected, states);
            folded(&mut self.rows, sequence, corrected.clock, |fold| edit(fold, &correction, to))?;
        }
        Ok(())
    }

    /// Decides again about an event: the relation of its tags to its animal, which old tags it takes off, and whether it
    /// merges another animal into it.
    fn redecide_event(&self, decided: &ReplayedEvent<'_>, founds_anew: bool) -> Result<PlacedEvent, RowsError> {
        // No animal has the number 0, so that the row of a founded animal counts too.
        let judge = Judge::new(&self.rows, self.rules, Sequence::ZERO, decided.origin, decided.decided);
        let own = decided.accepted.animal;
        let animal = if founds_anew { own } else { self.successor(own)? };
        let mut event = decided.accepted.event.clone();
        let owners = (self.owner(TagKind::Lf, event.lf.as_ref())?, self.owner(TagKind::Epc, event.epc.as_ref())?);
        let led_to = |other: &AnimalId| *other != animal && [owners.0, owners.1].contains(&Some(*other));
        let absorbed = decided.accepted.absorbed.filter(led_to);
        self.drop_foreign_old_tags(&mut event, animal, absorbed)?;
        let absorbed = match absorbed {
            Some(other) if judge.still_absorbs(&event, animal, other)? => Some(other),
            _ => None,
        };
        // Again, because an old tag may be that of the animal which is not absorbed.
        self.drop_foreign_old_tags(&mut event, animal, absorbed)?;
        let (lf, epc) = judge.tag_uses(&event, owners, animal, absorbed)?;
        Ok(PlacedEvent { event, animal, absorbed, lf, epc, ..decided.accepted.clone() })
    }

    /// Removes old tags of other animals from the event: it must not take them off.
    fn drop_foreign_old_tags(
        &self,
        event: &mut Event,
        animal: AnimalId,
        absorbed: Option<AnimalId>,
    ) -> Result<(), RowsError> {
        for (kind, old) in [(TagKind::Lf, &mut event.old_lf), (TagKind::Epc, &mut event.old_epc)] {
            let owner = self.owner(kind, old.as_ref())?;
            old.take_if(|_| owner.is_some_and(|owner| owner != animal && Some(owner) != absorbed));
        }
        Ok(())
    }

    /// Returns the animal that this one was merged into by the replay so far, or the animal itself.
    fn successor(&self, id: AnimalId) -> Result<AnimalId, RowsError> {
        let absorbed_by = |id| Ok(self.animal(id)?.and_then(|animal| animal.absorbed_by()));
        Ok(last_successor(id, absorbed_by)?.unwrap_or(id))
    }

    /// Returns the animal that the tag leads to, in the replay so far or outside the family.
    fn owner(&self, kind: TagKind, tag: Option<&Tag>) -> Result<Option<AnimalId>, RowsError> {
        let Some(tag) = tag else { return Ok(None) };
        let key = tag_owner_key(kind, tag.key());
        if let Some(TagOwner(owner)) = self.rows.read(&key)? {
            return Ok(Some(owner));
        }
        let outside = self.tables.read::<TagOwner>(&key)?.map(|owner| owner.0);
        Ok(outside.filter(|owner| !self.family.contains(owner)))
    }

    /// Returns whether the correction still applies: its animal exists, and its tag is not another animal's.
    fn still_applies(&self, correction: &Correction) -> Result<bool, RowsError> {
        let exists = |animal: &AnimalId| Ok(self.animal(*animal)?.is_some());
        match correction {
            Correction::Merge { animal, absorbed } => Ok(animal != absorbed && (exists(animal)? || exists(absorbed)?)),
            Correction::Retag { animal, kind, tag } => {
                let owner = self.owner(*kind, tag.as_ref())?;
                Ok(exists(animal)? && owner.is_none_or(|owner| owner == *animal))
            }
            Correction::MovePen { animal, .. }
            | Correction::MoveBatch { animal, .. }
            | Correction::Weigh { animal, .. }
            | Correction::Died { animal } => exists(animal),
            Correction::Void { .. }
            | Correction::CloseBatch { .. }
            | Correction::EditBatch { .. }
            | Correction::AcceptRejected { .. }
            | Correction::NewReaderEra { .. } => Ok(false),
        }
    }

    /// Returns an animal as the replay has left it so far.
    pub(super) fn animal(&self, id: AnimalId) -> Result<Option<Arc<Animal>>, RowsError> {
        self.rows.shared(&number_key(id.0))
    }
}

/// A step of a replay.
#[derive(Clone, Copy)]
pub(super) struct ReplayStep<'a> {
    /// Its place in the history.
    pub(super) at: Sequence,
    /// Its change.
    pub(super) sequence: Sequence,
    pub(super) change: &'a Change,
}

/// Returns the steps of a history in the order of their places. Those from `first` on are decided again.
///
/// The event of a payload that was moved into an era has the place at which the payload was received. Before `first`, the
/// states that the move left are applied instead.
pub(super) fn replay_steps(changes: &BTreeMap<Sequence, Change>, first: Sequence) -> Vec<ReplayStep<'_>> {
    let mut steps = Vec::with_capacity(changes.len());
    for (sequence, change) in changes {
        let sequence = *sequence;
        steps.push(ReplayStep { at: sequence, sequence, change });
        if let Change::EraMove(step) = change
            && let Some(event) = step.event()
            && sequence >= first
        {
            steps.push(ReplayStep { at: event.of, sequence, change });
        }
    }
    steps.sort_by_key(|step| (step.at, step.sequence));
    steps
}

/// An event of the history.
struct ReplayedEvent<'a> {
    origin: &'a Origin,
    /// When the change was made.
    decided: ClockReading,
    arrival: Arrival<'a>,
    accepted: &'a PlacedEvent,
}

/// The way in which an event came into the history.
enum Arrival<'a> {
    /// When its payload arrived.
    InTime,
    /// With a payload that was lost and came back.
    Readmitted,
    /// By a later change. The payload `of` arrived at this time.
    AcceptedLater { of: Sequence, received: &'a ClockReading },
}

impl Arrival<'_> {
    /// Returns the arrival of an event that an era puts in at the place of its payload. A payload that came back has no boot.
    fn at_place(received: ClockReading) -> Self {
        if received.is_of_no_boot() { Self::Readmitted } else { Self::InTime }
    }
}

impl<R: Rows> Judge<'_, R> {
    /// Returns whether the event still shows that `other`, which a tag of it leads to, is the same animal.
    fn still_absorbs(&self, event: &Event, animal: AnimalId, other: AnimalId) -> Result<bool, RowsError> {
        if self.animal(other)?.is_none() {
            return Ok(false);
        }
        match self.check_may_absorb(event, self.lid_owner(event)?, animal, other) {
            Ok(()) => Ok(true),
            Err(PlaceError::Rejected(_)) => Ok(false),
            Err(PlaceError::Rows(error)) => Err(error),
        }
    }
}

/// Returns the animals that a correction names.
fn animals_in(correction: &mut Correction) -> Vec<&mut AnimalId> {
    match correction {
        Correction::Merge { animal, absorbed } => vec![animal, absorbed],
        Correction::Retag { animal, .. }
        | Correction::MovePen { animal, .. }
        | Correction::MoveBatch { animal, .. }
        | Correction::Weigh { animal, .. }
        | Correction::Died { animal } => vec![animal],
        Correction::Void { .. }
        | Correction::CloseBatch { .. }
        | Correction::EditBatch { .. }
        | Correction::AcceptRejected { .. }
        | Correction::NewReaderEra { .. } => vec![],
    }
}

/// Returns the batch that a correction moved its animal to.
fn batch_moved_to(corrected: &Corrected, states: &States) -> Option<BatchUse> {
    let Correction::MoveBatch { animal, .. } = &corrected.correction else { return None };
    let state = states.animals.iter().find(|state| state.animal == *animal)?;
    state.barn_batch.map(|batch| BatchUse { batch, closes: None })
}
