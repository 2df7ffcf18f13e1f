//! The effect of an accepted event on its animal.

use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, Origin, PlacedEvent, TagUse};
use crate::payload::{Event, EventKind, SourceType, Tag, Traits, Weight};
use crate::tables::{
    Animal, AnimalStatus, AnimalTag, LidName, MAX_UNCONFIRMED_TAGS, Table, TagKind, TagState, animal_tag_key,
    number_key, reader_key, tag_owner_key,
};

impl<B: Rows> Folding<'_, B> {
    pub(crate) fn accepted(&mut self, origin: &Origin, accepted: &PlacedEvent) -> Result<(), RowsError> {
        let (id, event) = (accepted.animal, &accepted.event);
        let mut animal = self.animal_or_new(id)?;
        let shown = (animal.barn_batch, animal.traits.clone());
        // Before a merge, so that a tag of the other animal can take the place of the one that is taken off.
        self.take_off_old_tags(id, &mut animal, event);
        if let Some(other) = accepted.absorbed {
            self.absorb(id, &mut animal, other)?;
        }
        self.give_lid(id, &mut animal, origin, event);
        self.tags(id, &mut animal, accepted)?;
        overlay(&mut animal.traits, &event.traits);
        match event.kind {
            EventKind::Export => self.export(id, &mut animal, accepted)?,
            _ => self.sighting(id, &mut animal, accepted)?,
        }
        self.close_emptied()?;
        if let Some(batch) = animal.barn_batch
            && (shown.0 != Some(batch) || shown.1 != animal.traits)
        {
            self.show_traits(batch, &animal.traits)?;
        }
        if let Weight::Grams(grams) = event.weight {
            animal.weight_g = Some(grams);
            animal.weighed = self.sequence;
        }
        animal.last = self.sequence;
        let received_at_us = self.clock.received_at_us;
        animal.last_at_us = if self.late { animal.last_at_us.max(received_at_us) } else { received_at_us };
        self.rows.write(Table::Animals, number_key(id.0), &animal);
        Ok(())
    }

    fn animal_or_new(&mut self, id: AnimalId) -> Result<Animal, RowsError> {
        if id.0 == self.sequence.0 {
            self.totals.animals += 1;
            self.totals.active += 1;
            return Ok(Animal::default());
        }
        Ok(self.rows.read(Table::Animals, &number_key(id.0))?.unwrap_or_default())
    }

    fn give_lid(&mut self, id: AnimalId, animal: &mut Animal, origin: &Origin, event: &Event) {
        let Some(lid) = &event.lid else { return };
        let (group, era) = (&origin.reader_group, origin.reader_era);
        let named = LidName { reader_group: group.clone(), reader_era: era, lid: lid.clone() };
        if !animal.lids.contains(&named) {
            animal.lids.push(named);
            self.rows.write(Table::Lids, reader_key(group, era, lid), &id);
        }
    }

    fn take_off_old_tags(&mut self, id: AnimalId, animal: &mut Animal, event: &Event) {
        for (kind, old, new) in [(TagKind::Lf, &event.old_lf, &event.lf), (TagKind::Epc, &event.old_epc, &event.epc)] {
            if let Some(old) = old.as_ref().filter(|old| new.as_ref().is_none_or(|new| new.key() != old.key())) {
                self.retire(id, animal, kind, old);
            }
        }
    }

    fn tags(&mut self, id: AnimalId, animal: &mut Animal, accepted: &PlacedEvent) -> Result<(), RowsError> {
        let event = &accepted.event;
        for (kind, new, tag_use) in [(TagKind::Lf, &event.lf, accepted.lf), (TagKind::Epc, &event.epc, accepted.epc)] {
            match (new, tag_use) {
                (Some(tag), TagUse::Assigned) => self.assign(id, animal, kind, tag),
                (Some(tag), TagUse::Unconfirmed) => self.note_unconfirmed(id, animal, kind, tag)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes `tag` off the animal. The tag still leads to it.
    pub(super) fn retire(&mut self, id: AnimalId, animal: &mut Animal, kind: TagKind, tag: &Tag) {
        let worn = worn(animal, kind);
        worn.take_if(|current| current.key() == tag.key());
        self.write_tag(id, kind, tag, TagState::Past);
        self.rows.write(Table::TagOwners, tag_owner_key(kind, tag.key()), &id);
    }

    /// Puts `tag` on the animal. The tag of that kind that it wore before becomes a past one.
    pub(super) fn assign(&mut self, id: AnimalId, animal: &mut Animal, kind: TagKind, tag: &Tag) {
        if let Some(before) = worn(animal, kind).replace(tag.clone())
            && before.key() != tag.key()
        {
            self.write_tag(id, kind, &before, TagState::Past);
        }
        self.write_tag(id, kind, tag, TagState::Current);
        self.rows.write(Table::TagOwners, tag_owner_key(kind, tag.key()), &id);
    }

    fn note_unconfirmed(
        &mut self,
        id: AnimalId,
        animal: &mut Animal,
        kind: TagKind,
        tag: &Tag,
    ) -> Result<(), RowsError> {
        let known = self.rows.get(Table::AnimalTags, &animal_tag_key(id, kind, tag.key()))?.is_some();
        if !known && animal.unconfirmed < MAX_UNCONFIRMED_TAGS {
            animal.unconfirmed += 1;
            self.write_tag(id, kind, tag, TagState::Unconfirmed);
        }
        Ok(())
    }

    fn write_tag(&mut self, id: AnimalId, kind: TagKind, tag: &Tag, state: TagState) {
        let row = AnimalTag { tag: tag.clone(), state, since: self.sequence };
        self.rows.write(Table::AnimalTags, animal_tag_key(id, kind, tag.key()), &row);
    }

    /// Records that the animal was seen on the yard. Every event except an export shows that.
    fn sighting(&mut self, id: AnimalId, animal: &mut Animal, accepted: &PlacedEvent) -> Result<(), RowsError> {
        if animal.status != AnimalStatus::Active {
            self.count_status(animal.status, AnimalStatus::Active);
            animal.status = AnimalStatus::Active;
            animal.returned = Some(self.sequence);
        }
        if let (Some(named), Some(number)) = (accepted.batch, &accepted.event.batch) {
            self.open_batch(named, SourceType::Hxb, number)?;
            if let Some(left) = animal.barn_batch.filter(|batch| *batch != named.batch) {
                self.leave(left, id)?;
            }
            self.join(named.batch, id)?;
            animal.barn_batch = Some(named.batch);
            animal.barn_named = self.sequence;
        }
        Ok(())
    }

    fn export(&mut self, id: AnimalId, animal: &mut Animal, accepted: &PlacedEvent) -> Result<(), RowsError> {
        if let Some(left) = animal.barn_batch.take() {
            self.leave(left, id)?;
        }
        if let (Some(named), Some(number)) = (accepted.batch, &accepted.event.batch) {
            self.open_batch(named, SourceType::Hxe, number)?;
            self.join(named.batch, id)?;
            self.show_traits(named.batch, &animal.traits)?;
            animal.export_batch = Some(named.batch);
        }
        self.count_status(animal.status, AnimalStatus::Exported);
        animal.status = AnimalStatus::Exported;
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

/// Returns the tag of that kind that the animal wears.
pub(super) fn worn(animal: &mut Animal, kind: TagKind) -> &mut Option<Tag> {
    match kind {
        TagKind::Lf => &mut animal.lf,
        TagKind::Epc => &mut animal.epc,
    }
}

/// Overwrites the traits that `later` has.
pub(super) fn overlay(traits: &mut Traits, later: &Traits) {
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
    for (trait_, later) in pairs {
        if later.is_some() {
            trait_.clone_from(later);
        }
    }
}
