//! Histories of animals, rewritten without an event, or with an event at its place.
//!
//! **A later event assigns a tag, takes one off or merges two animals only if it would do so in the rewritten history.**
//!
//! So every event from the first difference on is decided again, on the rows that the replay has left so far. A tag that is
//! given back may clash with one that a later event brought. A lid or tag that is taken away leads nowhere. Only the animal
//! that an event was placed with stays the same. Changes before the first difference are applied as they were decided,
//! because nothing that they depend on has changed.
//!
//! **What counts is the last decision about an event: if a later rewrite decided it again, the first decision must not
//! return, even if the reason for the new one has left with an animal that was split off.** So the replay decides from an
//! earlier change on if the first difference lies within the range of a later rewrite. [`RewriteRanges`] finds these ranges.
//!
//! Undoing only the one event would leave its consequences: which tag was new, which batch was empty. That is why the
//! history is replayed, up to [`MAX_REPLAYED_CHANGES`].

use super::batch_states::MembershipChanges;
use super::dry_run::last_change;
use super::insertion::{Insertion, InsertionLeads};
use super::replay::{Replay, ReplayStep, replay_steps};
use super::rewrite_ranges::{RewriteRanges, is_rewrite, placed_event};
use super::{CorrectionError, DecideError};
use crate::change::{AnimalId, AnimalState, AnimalStatus, BatchId, Change, EraMove, PlacedEvent, States};
use crate::decide::{History, Judge, Previous};
use crate::fold::{Rows, RowsError};
use crate::position::Sequence;
use crate::tables::{Animal, last_successor, number_key};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of changes that are replayed. An animal is seen some hundred times in its life.
const MAX_REPLAYED_CHANGES: usize = 10_000;

/// Place of no event.
const NO_PLACE: Sequence = Sequence(u64::MAX);

/// An event, and its place in the history of its animal.
pub(super) struct EventPlace {
    /// The change that made it an event: the payload's own, or a later one.
    pub(super) by: Sequence,
    /// Its place. For a payload that was moved into an era, that of its reception; else that of the change `by`.
    pub(super) at: Sequence,
    pub(super) animal: AnimalId,
    /// Its batch.
    pub(super) batch: Option<BatchId>,
    /// Its reader era.
    pub(super) era: u32,
}

/// The difference of a rewritten history.
#[derive(Clone, Copy)]
pub(super) struct HistoryEdit<'a> {
    /// The event that is taken out.
    pub(super) dropped: Option<&'a EventPlace>,
    /// The event that is put in.
    pub(super) inserted: Option<&'a Insertion<'a>>,
}

/// The result of a rewritten history.
#[derive(Default)]
pub(super) struct Rewrite {
    pub(super) states: States,
    pub(super) previous: Vec<Previous>,
    /// The event that was put in.
    pub(super) placed: Option<PlacedEvent>,
    /// The animals that later events had founded, and that the event shows to be its own.
    pub(super) joined: Vec<AnimalId>,
}

/// Some animals with those merged into them, and all changes that touched them.
pub(super) struct Family {
    pub(super) changes: BTreeMap<Sequence, Change>,
    pub(super) animals: BTreeSet<AnimalId>,
}

impl HistoryEdit<'_> {
    /// Returns the place of the first difference.
    fn first(&self) -> Sequence {
        let (dropped, inserted) = (self.dropped.map(|event| event.at), self.inserted.map(|event| event.of));
        dropped.into_iter().chain(inserted).min().unwrap_or_default()
    }

    fn drops(&self, step: &ReplayStep<'_>) -> bool {
        self.dropped.is_some_and(|event| (event.at, event.by) == (step.at, step.sequence))
    }
}

impl<R: Rows> Judge<'_, R> {
    /// Replays the history of the animals that the edit is about.
    pub(super) fn rewrite(&self, history: &impl History, edit: HistoryEdit<'_>) -> Result<Rewrite, DecideError> {
        let leads = edit.inserted.map_or_else(|| Ok(InsertionLeads::default()), |event| self.leads_of(event))?;
        let mut roots = leads.roots.clone();
        if let Some(event) = edit.dropped {
            roots.insert(self.successor(event.animal)?);
        }
        let mut family = self.family(history, &roots)?;
        let first = self.first_redecided(history, &family, &roots, edit.first())?;
        family.animals.extend(edit.inserted.map(|event| AnimalId::from(event.of)));
        let mut replay = Replay::new(self.rows, self.rules, &family.animals, weighing_places(&family.changes, edit));
        let (mut pending, mut inserted) = (edit.inserted, None);
        for step in replay_steps(&family.changes, first) {
            if let Some(event) = pending.take_if(|event| step.at >= event.of) {
                inserted = Some(self.insert(&mut replay, event, &leads)?);
            }
            if step.at < first {
                replay.apply(&step)?;
            } else if !edit.drops(&step) && !self.is_void(&step)? {
                replay.redecide_step(&step)?;
            }
        }
        if let Some(event) = pending {
            inserted = Some(self.insert(&mut replay, event, &leads)?);
        }
        let (placed, joined) = inserted.unzip();
        // The history of the event's animal shows the rewrite even if the event had changed nothing.
        let named = placed.as_ref().map(|event| event.animal);
        let shown = roots.iter().copied().chain(named).collect();
        let (mut states, previous, moved) = self.differences(&family, &shown, &replay)?;
        states.batches = self.batches_after(history, &moved, edit.inserted.zip(placed.as_ref()))?;
        Ok(Rewrite { states, previous, placed, joined: joined.unwrap_or_default() })
    }

    /// Returns the animals that the replay leaves different, and those of `shown`.
    fn differences(
        &self,
        family: &Family,
        shown: &BTreeSet<AnimalId>,
        replay: &Replay<'_, R>,
    ) -> Result<(States, Vec<Previous>, MembershipChanges), DecideError> {
        let (mut states, mut previous, mut moved) = (States::default(), Vec::new(), MembershipChanges::default());
        for id in &family.animals {
            let before = self.rows.shared::<Animal>(&number_key(id.0))?;
            let after = replay.animal(*id)?.map(|animal| animal.state.clone());
            let Some(before) = before else {
                let Some(after) = after else { continue };
                previous.push((*id, Sequence::ZERO));
                moved.add(&AnimalState::default(), &after);
                states.animals.push(after);
                continue;
            };
            let before = &before.state;
            let after = after.unwrap_or_else(|| voided_animal(before));
            if *before != after || shown.contains(id) {
                previous.push((*id, self.previous_change(family, before, &after)?));
                moved.add(before, &after);
                states.animals.push(after);
            }
        }
        Ok((states, previous, moved))
    }

    /// Returns whether the event of this step no longer counts: it was voided, or a later change made it anew.
    fn is_void(&self, step: &ReplayStep<'_>) -> Result<bool, RowsError> {
        let Some(payload) = step.change.payload_of_event(step.sequence) else { return Ok(false) };
        Ok(self.amendments(payload)?.event_change(payload) != Some(step.sequence))
    }

    /// Returns the first place from which on events have to be decided again if the history differs from `base` on.
    ///
    /// That is `base` itself, or the start of what a later rewrite decided again, if that is earlier.
    fn first_redecided(
        &self,
        history: &impl History,
        family: &Family,
        roots: &BTreeSet<AnimalId>,
        base: Sequence,
    ) -> Result<Sequence, DecideError> {
        if !family.changes.range(base..).any(|(_, change)| is_rewrite(change)) {
            return Ok(base);
        }
        let changes = self.changes_of(history, roots, |_| Ok(true))?;
        let roots: Vec<AnimalId> = roots.iter().copied().collect();
        Ok(RewriteRanges::of(&changes).first_redecided(base, &roots))
    }

    /// Returns the animal that this one was merged into, or the animal itself.
    pub(super) fn successor(&self, id: AnimalId) -> Result<AnimalId, DecideError> {
        let absorbed_by = |id: AnimalId| -> Result<_, RowsError> {
            Ok(self.rows.shared::<Animal>(&number_key(id.0))?.and_then(|animal| animal.absorbed_by()))
        };
        last_successor(id, absorbed_by)?.ok_or_else(|| too_much_history(id).into())
    }

    /// Collects the histories of some animals and of those merged into them.
    fn family(&self, history: &impl History, roots: &BTreeSet<AnimalId>) -> Result<Family, DecideError> {
        let mut animals = roots.clone();
        let changes = self.changes_of(history, roots, |animal| {
            let is_own = roots.contains(&self.successor(animal)?);
            if is_own {
                animals.insert(animal);
            }
            Ok(is_own)
        })?;
        Ok(Family { changes, animals })
    }

    /// Collects the histories of `roots` and of the other animals in them that `is_followed` chooses, by walking back from
    /// the last change of each root.
    fn changes_of(
        &self,
        history: &impl History,
        roots: &BTreeSet<AnimalId>,
        mut is_followed: impl FnMut(AnimalId) -> Result<bool, DecideError>,
    ) -> Result<BTreeMap<Sequence, Change>, DecideError> {
        let mut changes = BTreeMap::new();
        let mut pending = BTreeSet::new();
        for root in roots {
            pending.insert(last_change(self.rows, *root)?);
        }
        while let Some(sequence) = pending.pop_last().filter(|sequence| *sequence > Sequence::ZERO) {
            if changes.len() >= MAX_REPLAYED_CHANGES {
                return Err(too_much_history(roots.first().copied().unwrap_or_default()).into());
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
        let joined_by = family.changes.get(&last).filter(|change| is_split_off && absorbs(change, before.animal));
        let own = joined_by.map(Change::previous).unwrap_or_default();
        Ok(own.iter().find(|(animal, _)| *animal == before.animal).map_or(last, |(_, own)| *own))
    }
}

/// Returns the places of weighings whose events were made more than once, by the changes that made them.
///
/// All moves of an event, and what it was before them, have its place: a correction of its weight names one of them. What it was
/// before a void has [`NO_PLACE`], because an event that a person accepted anew counts as it was read.
fn weighing_places(changes: &BTreeMap<Sequence, Change>, edit: HistoryEdit<'_>) -> BTreeMap<Sequence, Sequence> {
    let (mut made_by, mut places) = (BTreeMap::<Sequence, Vec<Sequence>>::new(), BTreeMap::new());
    for (sequence, change) in changes {
        let Some(payload) = change.payload_of_event(*sequence) else { continue };
        let made_by = made_by.entry(payload).or_default();
        let place = if matches!(change, Change::EraMove(_)) { payload } else { NO_PLACE };
        places.extend(made_by.iter().map(|by| (*by, place)));
        if place == payload {
            places.insert(*sequence, place);
        } else {
            made_by.clear();
        }
        made_by.push(*sequence);
    }
    if let Some((dropped, inserted)) = edit.dropped.zip(edit.inserted) {
        let made_by = made_by.remove(&inserted.of).unwrap_or_default();
        places.extend(made_by.into_iter().chain([dropped.by]).map(|by| (by, inserted.of)));
    }
    places
}

/// Returns whether the event of a change merges the animal into another one.
fn absorbs(change: &Change, animal: AnimalId) -> bool {
    let joins = |step: &EraMove| step.payload.as_ref().is_some_and(|payload| payload.joined.contains(&animal));
    placed_event(change).is_some_and(|event| event.absorbed == Some(animal))
        || matches!(change, Change::EraMove(step) if joins(step))
}

fn too_much_history(animal: AnimalId) -> CorrectionError {
    CorrectionError::TooMuchHistory { animal, limit: MAX_REPLAYED_CHANGES }
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
