//! The effect of an accepted event on its animal.
//!
//! # Decisions
//!
//! - **An event that comes back after its animal was seen again leaves status and batch as they are,** and adds only traits
//!   that are missing. The sighting of the third day says nothing about an animal that was exported on the fifth. Without
//!   synchronized clocks nobody knows which came first, and the event counts as any other.

use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, AnimalState, HeldTag, Origin, PlacedEvent, TagUse};
use crate::clock::WallTime;
use crate::payload::{Event, EventKind, SourceType, Tag, Traits, Weight};
use crate::tables::{
    Animal, AnimalStatus, LidName, LidOwner, MAX_UNCONFIRMED_TAGS, TagKind, TagOwner, TagState, number_key, reader_key,
    tag_owner_key,
};
use std::sync::Arc;

impl<B: Rows> Folding<'_, B> {
    pub(crate) fn accepted(&mut self, origin: &Origin, accepted: &PlacedEvent) -> Result<(), RowsError> {
        let (id, event) = (accepted.animal, &accepted.event);
        let mut row = self.animal_or_new(id)?;
        let animal = Arc::make_mut(&mut row);
        let barn_batch = animal.state.barn_batch;
        let seen_later = self.seen_later(&animal.state, accepted)?;
        // Before a merge, so that a tag of the other animal can take the place of the one that is taken off.
        self.take_off_old_tags(id, animal, event)?;
        let mut traits_changed = match accepted.absorbed {
            Some(other) => self.absorb(id, animal, other)?,
            None => false,
        };
        self.give_lid(id, animal, origin, event)?;
        self.tags(id, animal, accepted)?;
        traits_changed |= match seen_later {
            Some(_) => fill(&mut animal.state.traits, &event.traits),
            None => overlay(&mut animal.state.traits, &event.traits),
        };
        match (seen_later, event.kind) {
            (Some(status), _) => self.keep_status(status, animal)?,
            (None, EventKind::Export) => self.export(id, animal, accepted)?,
            (None, _) => self.sighting(id, animal, accepted)?,
        }
        self.close_emptied()?;
        if let Some(batch) = animal.state.barn_batch
            && (barn_batch != Some(batch) || traits_changed)
        {
            self.show_traits(batch, &animal.state.traits)?;
        }
        self.weighing(&mut animal.state, &event.weight);
        animal.last = self.sequence;
        let (received, last_seen) = (self.clock.wall(), &mut animal.state.last_seen);
        *last_seen = if self.late.is_some() { last_seen.later(received) } else { received };
        self.rows.put_back(number_key(id.0), row)
    }

    /// Returns the status in which the animal was seen after an event that comes back; `None` if it was not.
    ///
    /// Times decide only if the clock followed a time source at both.
    fn seen_later(&self, own: &AnimalState, accepted: &PlacedEvent) -> Result<Option<AnimalStatus>, RowsError> {
        if !self.readmitted {
            return Ok(None);
        }
        let gone =
            accepted.absorbed.map(|other| self.rows.shared::<Animal>(&number_key(other.0))).transpose()?.flatten();
        let gone = gone.as_ref().map(|gone| &gone.state).filter(|gone| gone.last_seen.at_us > own.last_seen.at_us);
        let last = gone.unwrap_or(own);
        Ok(is_outdated(self.clock.wall(), last.last_seen).then_some(last.status))
    }

    /// Keeps the status in which an animal was seen last, although a merge may have changed it.
    fn keep_status(&mut self, status: AnimalStatus, animal: &mut Animal) -> Result<(), RowsError> {
        if status == AnimalStatus::Exported
            && let Some(left) = animal.state.barn_batch.take()
        {
            self.leave(left, animal)?;
        }
        self.count_status(animal.state.status, status);
        animal.state.status = status;
        Ok(())
    }

    /// Sets the weight of the animal. One that is accepted late does not replace a later one.
    fn weighing(&self, state: &mut AnimalState, weight: &Weight) {
        let weighed_at = self.clock.wall();
        if let Weight::Grams(weight_g) = weight
            && !self.weighed_later(state, weighed_at)
        {
            (state.weight_g, state.weighed, state.weighed_at) = (Some(*weight_g), self.sequence, weighed_at);
        }
    }

    /// Returns whether the weight of an animal is of a later weighing than an event that is accepted late.
    ///
    /// Times decide if the clock followed a time source at both or at neither. Of one clock before and after it was set,
    /// the order of the log decides.
    fn weighed_later(&self, state: &AnimalState, weighed_at: WallTime) -> bool {
        let Some(payload) = self.late.filter(|_| state.weight_g.is_some()) else { return false };
        if weighed_at.synchronized == state.weighed_at.synchronized {
            weighed_at.at_us < state.weighed_at.at_us
        } else {
            state.weighed > payload
        }
    }

    /// Takes the row of the animal out, or makes a new animal. The caller puts it back.
    fn animal_or_new(&mut self, id: AnimalId) -> Result<Arc<Animal>, RowsError> {
        if id.0 == self.sequence.0 {
            self.totals.animals += 1;
            self.totals.active += 1;
        } else if let Some(row) = self.rows.take(number_key(id.0))? {
            return Ok(row);
        }
        Ok(Arc::new(Animal::new(id)))
    }

    fn give_lid(&mut self, id: AnimalId, animal: &mut Animal, origin: &Origin, event: &Event) -> Result<(), RowsError> {
        let Some(lid) = &event.lid else { return Ok(()) };
        let (group, era) = (&origin.reader_group, origin.reader_era);
        if animal.has_lid(group, era, lid) {
            return Ok(());
        }
        animal.state.lids.push(LidName { reader_group: group.clone(), reader_era: era, lid: lid.clone() });
        self.rows.write(reader_key(group, era, lid), LidOwner(id))
    }

    fn take_off_old_tags(&mut self, id: AnimalId, animal: &mut Animal, event: &Event) -> Result<(), RowsError> {
        for (kind, old, new) in [(TagKind::Lf, &event.old_lf, &event.lf), (TagKind::Epc, &event.old_epc, &event.epc)] {
            if let Some(old) = old.as_ref().filter(|old| new.as_ref().is_none_or(|new| new.key() != old.key())) {
                self.retire(id, animal, kind, old)?;
            }
        }
        Ok(())
    }

    fn tags(&mut self, id: AnimalId, animal: &mut Animal, accepted: &PlacedEvent) -> Result<(), RowsError> {
        let event = &accepted.event;
        for (kind, new, tag_use) in [(TagKind::Lf, &event.lf, accepted.lf), (TagKind::Epc, &event.epc, accepted.epc)] {
            match (new, tag_use) {
                (Some(tag), TagUse::Assigned) => self.assign(id, animal, kind, tag)?,
                (Some(tag), TagUse::Unconfirmed) => self.note_unconfirmed(animal, kind, tag)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes `tag` off the animal. The tag still leads to it.
    pub(super) fn retire(
        &mut self,
        id: AnimalId,
        animal: &mut Animal,
        kind: TagKind,
        tag: &Tag,
    ) -> Result<(), RowsError> {
        self.set_tag(animal, kind, tag, TagState::Past)?;
        self.rows.write(tag_owner_key(kind, tag.key()), TagOwner(id))
    }

    /// Puts `tag` on the animal. The tag of that kind that it wore before becomes a past one.
    pub(super) fn assign(
        &mut self,
        id: AnimalId,
        animal: &mut Animal,
        kind: TagKind,
        tag: &Tag,
    ) -> Result<(), RowsError> {
        if let Some(before) = animal.worn(kind).filter(|before| before.key() != tag.key()).cloned() {
            self.set_tag(animal, kind, &before, TagState::Past)?;
        }
        self.set_tag(animal, kind, tag, TagState::Current)?;
        self.rows.write(tag_owner_key(kind, tag.key()), TagOwner(id))
    }

    fn note_unconfirmed(&mut self, animal: &mut Animal, kind: TagKind, tag: &Tag) -> Result<(), RowsError> {
        if animal.tag(kind, tag.key()).is_some() || animal.unconfirmed >= MAX_UNCONFIRMED_TAGS {
            return Ok(());
        }
        animal.unconfirmed += 1;
        self.set_tag(animal, kind, tag, TagState::Unconfirmed)
    }

    fn set_tag(&mut self, animal: &mut Animal, kind: TagKind, tag: &Tag, state: TagState) -> Result<(), RowsError> {
        self.hold_tag(animal, HeldTag { kind, tag: tag.clone(), state, since: self.sequence })
    }

    /// Sets the state of a tag. If the animal then has too many past tags, the oldest no longer leads to it.
    pub(super) fn hold_tag(&mut self, animal: &mut Animal, held: HeldTag) -> Result<(), RowsError> {
        animal
            .set_tag(held)
            .map_or(Ok(()), |excess| self.rows.remove::<TagOwner>(tag_owner_key(excess.kind, excess.tag.key())))
    }

    /// Records that the animal was seen on the yard. Every event except an export shows that.
    fn sighting(&mut self, id: AnimalId, animal: &mut Animal, accepted: &PlacedEvent) -> Result<(), RowsError> {
        if animal.state.status != AnimalStatus::Active {
            self.count_status(animal.state.status, AnimalStatus::Active);
            animal.state.status = AnimalStatus::Active;
            animal.state.returned = Some(self.sequence);
        }
        if let (Some(named), Some(number)) = (accepted.batch, &accepted.event.batch) {
            self.open_batch(named, SourceType::Hxb, number)?;
            if let Some(left) = animal.state.barn_batch.filter(|batch| *batch != named.batch) {
                self.leave(left, animal)?;
            }
            self.join(named.batch, id, animal)?;
            animal.state.barn_batch = Some(named.batch);
            animal.state.barn_named = self.sequence;
        }
        Ok(())
    }

    fn export(&mut self, id: AnimalId, animal: &mut Animal, accepted: &PlacedEvent) -> Result<(), RowsError> {
        if let Some(left) = animal.state.barn_batch.take() {
            self.leave(left, animal)?;
        }
        if let (Some(named), Some(number)) = (accepted.batch, &accepted.event.batch) {
            self.open_batch(named, SourceType::Hxe, number)?;
            self.join(named.batch, id, animal)?;
            self.show_traits(named.batch, &animal.state.traits)?;
            animal.state.export_batch = Some(named.batch);
        }
        self.count_status(animal.state.status, AnimalStatus::Exported);
        animal.state.status = AnimalStatus::Exported;
        Ok(())
    }

    /// Moves an animal from one status to another in the totals.
    pub(super) fn count_status(&mut self, from: AnimalStatus, to: AnimalStatus) {
        self.uncount_status(from);
        self.count_in(to);
    }

    pub(super) fn count_in(&mut self, status: AnimalStatus) {
        match status {
            AnimalStatus::Active => self.totals.active += 1,
            AnimalStatus::Exported => self.totals.exported += 1,
            AnimalStatus::Dead | AnimalStatus::Voided => {}
        }
    }

    pub(super) fn uncount_status(&mut self, status: AnimalStatus) {
        match status {
            AnimalStatus::Active => self.totals.active = self.totals.active.saturating_sub(1),
            AnimalStatus::Exported => self.totals.exported = self.totals.exported.saturating_sub(1),
            AnimalStatus::Dead | AnimalStatus::Voided => {}
        }
    }
}

/// Returns whether an event was received before its animal was seen last, as far as clocks can tell.
pub(crate) fn is_outdated(received: WallTime, last_seen: WallTime) -> bool {
    received.synchronized && last_seen.synchronized && received.at_us < last_seen.at_us
}

/// Adds the traits of an earlier time that `traits` lacks. Returns whether one has changed.
pub(super) fn fill(traits: &mut Traits, earlier: &Traits) -> bool {
    let mut filled = earlier.clone();
    overlay(&mut filled, traits);
    let changed = filled != *traits;
    *traits = filled;
    changed
}

/// Overwrites the traits that `later` has. Returns whether one has changed.
pub(super) fn overlay(traits: &mut Traits, later: &Traits) -> bool {
    let pairs = [
        (&mut traits.funder, &later.funder),
        (&mut traits.pen, &later.pen),
        (&mut traits.sex, &later.sex),
        (&mut traits.tag_color, &later.tag_color),
        (&mut traits.visual_id, &later.visual_id),
        (&mut traits.lot_group, &later.lot_group),
        (&mut traits.pen_location, &later.pen_location),
        (&mut traits.notes, &later.notes),
        (&mut traits.reason, &later.reason),
    ];
    let mut changed = false;
    for (own, later) in pairs {
        if later.is_some() && own != later {
            own.clone_from(later);
            changed = true;
        }
    }
    changed
}
