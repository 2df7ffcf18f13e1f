//! Voids an event: replays the history of its animal without it.
//!
//! **A later event assigns a tag, takes one off or merges two animals only if it would do so without the voided event.**
//!
//! So every event from the voided one on is decided again, on the rows that the replay has left so far. A tag that the void
//! gives back may clash with one that a later event brought. A lid or tag that it takes away leads nowhere. Only the animal
//! that an event was placed with stays the same. Changes before the voided event are applied as they were decided, because
//! nothing that they depend on has changed.
//!
//! **What counts is the last decision about an event: if a later void decided it again, the first decision must not return,
//! even if the reason for the new one has left with an animal that was split off.** So the replay decides from an earlier
//! change on if the voided event lies within the range of a later void. [`VoidRanges`] finds these ranges.
//!
//! Undoing only the one event would leave its consequences: which tag was new, which batch was empty. That is why the
//! history is replayed, up to [`MAX_REPLAYED_CHANGES`].
//!
//! A voided event stays in the history, struck out: a person who looks for a read must find it, and see why it does not
//! count. Its event id stays occupied, so a reader that sends it again is answered as a duplicate. The pens, sexes and
//! funders that it brought to its batch are still shown there.

use super::dry_run::last_change;
use super::replay::Replay;
use super::void_ranges::{VoidRanges, event_in, voided_in};
use super::{CorrectionError, DecideError, Outcome};
use crate::change::{
    self, AnimalId, AnimalState, AnimalStatus, BatchId, BatchState, Change, Correction, CorrectionResult, States,
};
use crate::decide::{History, Judge};
use crate::fold::{Rows, RowsError};
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::tables::{Animal, Batch, LatestBatch, MAX_SUCCESSORS, latest_batch_key, number_key};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of changes that a void replays. An animal is seen some hundred times in its life.
const MAX_REPLAYED_CHANGES: usize = 10_000;

/// The event that is to be voided.
struct VoidedEvent {
    /// The change that made it an event: the payload's own, or a later one.
    by: Sequence,
    animal: AnimalId,
}

/// An animal with those merged into it, and all changes that touched them.
struct Family {
    changes: BTreeMap<Sequence, Change>,
    animals: BTreeSet<AnimalId>,
}

impl<R: Rows> Judge<'_, R> {
    /// Voids the event of the payload `of`.
    pub(super) fn void(&self, history: &impl History, of: Sequence) -> Result<Outcome, DecideError> {
        let voided = self.event_of(history, of)?;
        let root = self.successor(voided.animal)?;
        let family = self.family(history, root)?;
        let first_redecided = self.first_redecided(history, &family, root, voided.by)?;
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
        let mut moved = MembershipChanges::default();
        for id in &family.animals {
            let Some(before) = self.rows.shared::<Animal>(&number_key(id.0))? else { continue };
            let before = &before.state;
            let after = replay.animal(*id)?.map_or_else(|| voided_animal(before), |animal| animal.state.clone());
            // The history of the event's animal shows the void even if the event had changed nothing.
            if *before != after || *id == root {
                previous.push((*id, self.previous_change(&family, before, &after)?));
                moved.add(before, &after);
                states.animals.push(after);
            }
        }
        states.batches = self.batches_after(history, &moved)?;
        Ok((CorrectionResult::States(Box::new(states)), previous))
    }

    /// Returns the event that the payload is now.
    fn event_of(&self, history: &impl History, of: Sequence) -> Result<VoidedEvent, DecideError> {
        let received = history.received_at(of)?.ok_or(CorrectionError::UnknownPayload(of))?;
        let amendments = self.amendments(of)?;
        if let Some(by) = amendments.void() {
            return Err(CorrectionError::AlreadyVoided { sequence: of, by }.into());
        }
        let Some(by) = amendments.accepted_by else {
            return match received.outcome {
                change::Outcome::Accepted(accepted) => Ok(VoidedEvent { by: of, animal: accepted.animal }),
                change::Outcome::Rejected(_) => Err(CorrectionError::NotAnEvent(of).into()),
            };
        };
        let change = history.change_at(by)?;
        let event = change.as_ref().and_then(Change::late_event).ok_or(CorrectionError::NotAnEvent(of))?;
        Ok(VoidedEvent { by, animal: event.accepted.animal })
    }

    /// Returns whether the event of this change no longer counts: it was voided, or a later change made it anew.
    fn is_void(&self, sequence: Sequence, change: &Change) -> Result<bool, RowsError> {
        let Some(payload) = event_in(sequence, change) else { return Ok(false) };
        Ok(self.amendments(payload)?.event_change(payload) != Some(sequence))
    }

    /// Returns the first change that has to be decided again if the event of change `voided_by` is void.
    ///
    /// That is `voided_by` itself, or the start of what a later void decided again, if that is earlier.
    fn first_redecided(
        &self,
        history: &impl History,
        family: &Family,
        root: AnimalId,
        voided_by: Sequence,
    ) -> Result<Sequence, DecideError> {
        if !family.changes.range(voided_by..).any(|(_, change)| voided_in(change).is_some()) {
            return Ok(voided_by);
        }
        let changes = self.changes_of(history, root, |_| Ok(true))?;
        Ok(VoidRanges::of(&changes).first_redecided(voided_by, root))
    }

    /// Returns the animal that this one was merged into, or the animal itself.
    pub(super) fn successor(&self, id: AnimalId) -> Result<AnimalId, DecideError> {
        let mut successor = id;
        for _ in 0..MAX_SUCCESSORS {
            match self.animal(successor)?.and_then(|animal| animal.absorbed_by()) {
                Some(by) => successor = by,
                None => return Ok(successor),
            }
        }
        Err(too_much_history(id).into())
    }

    /// Collects the history of an animal and of those merged into it.
    fn family(&self, history: &impl History, root: AnimalId) -> Result<Family, DecideError> {
        let mut animals = BTreeSet::from([root]);
        let changes = self.changes_of(history, root, |animal| {
            let is_own = self.successor(animal)? == root;
            if is_own {
                animals.insert(animal);
            }
            Ok(is_own)
        })?;
        Ok(Family { changes, animals })
    }

    /// Collects the history of `root` and of the other animals in it that `is_followed` chooses, by walking back from the
    /// last change of `root`.
    fn changes_of(
        &self,
        history: &impl History,
        root: AnimalId,
        mut is_followed: impl FnMut(AnimalId) -> Result<bool, DecideError>,
    ) -> Result<BTreeMap<Sequence, Change>, DecideError> {
        let mut changes = BTreeMap::new();
        let mut pending = BTreeSet::from([last_change(self.rows, root)?]);
        while let Some(sequence) = pending.pop_last().filter(|sequence| *sequence > Sequence::ZERO) {
            if changes.len() >= MAX_REPLAYED_CHANGES {
                return Err(too_much_history(root).into());
            }
            let Some(change) = history.change_at(sequence)? else { continue };
            for (animal, before) in change.previous() {
                if is_followed(*animal)? {
                    // Only backwards: a history that led forwards would never end.
                    pending.extend(Some(*before).filter(|before| *before < sequence));
                }
            }
            changes.insert(sequence, change);
        }
        Ok(changes)
    }

    /// Returns the change that touched the animal before this one.
    ///
    /// For an animal that is split off again that is not the event that had merged it, but the change before.
    fn previous_change(
        &self,
        family: &Family,
        before: &AnimalState,
        after: &AnimalState,
    ) -> Result<Sequence, RowsError> {
        let last = last_change(self.rows, before.animal)?;
        let is_split_off = before.absorbed_by.is_some() && after.absorbed_by.is_none();
        let joined_by = family.changes.get(&last).filter(|change| is_split_off && event_in(last, change).is_some());
        let own = joined_by.map(Change::previous).unwrap_or_default();
        Ok(own.iter().find(|(animal, _)| *animal == before.animal).map_or(last, |(_, own)| *own))
    }

    /// Returns the batches whose animals have changed.
    ///
    /// A batch that had closed with its last animal opens again if an animal is back in it, unless its number leads to
    /// another batch by now.
    fn batches_after(&self, history: &impl History, moved: &MembershipChanges) -> Result<Vec<BatchState>, RowsError> {
        let mut batches = Vec::new();
        for (id, (active, members)) in &moved.0 {
            let Some(before) = self.rows.shared::<Batch>(&number_key(id.0))? else { continue };
            let mut batch = before.state.clone();
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
            if batch != before.state {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    fn is_latest(&self, batch: &BatchState) -> Result<bool, RowsError> {
        let key = latest_batch_key(batch.source, &batch.number);
        Ok(self.rows.read(&key)? == Some(LatestBatch(batch.batch)))
    }
}

fn too_much_history(animal: AnimalId) -> CorrectionError {
    CorrectionError::TooMuchHistory { animal, limit: MAX_REPLAYED_CHANGES }
}

/// Returns whether an operator closed the batch by this change.
fn closed_by_hand(history: &impl History, by: Sequence) -> Result<bool, RowsError> {
    let Some(Change::Corrected(corrected)) = history.change_at(by)? else { return Ok(false) };
    Ok(matches!(corrected.correction, Correction::CloseBatch { .. }))
}

/// Returns the state of an animal that has no event left.
fn voided_animal(before: &AnimalState) -> AnimalState {
    AnimalState {
        animal: before.animal,
        status: AnimalStatus::Voided,
        last_seen: before.last_seen,
        ..AnimalState::default()
    }
}

/// By batch, the changes of the number of animals in it, and of all animals that ever were in it.
#[derive(Default)]
struct MembershipChanges(BTreeMap<BatchId, (i32, i32)>);

impl MembershipChanges {
    fn add(&mut self, before: &AnimalState, after: &AnimalState) {
        for (state, sign) in [(before, -1), (after, 1)] {
            for membership in &state.memberships {
                let counts = self.0.entry(membership.batch).or_default();
                counts.0 += if membership.left.is_none() { sign } else { 0 };
                counts.1 += sign;
            }
        }
    }
}
