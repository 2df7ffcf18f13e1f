//! Merges of two animals that turn out to be one.
//!
//! An event that names an animal by its lid and carries a tag of a tag-only animal shows that both are the same. The
//! tag-only animal is absorbed into the other.

use super::accepted::fill;
use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, AnimalState, HeldMembership, HeldTag};
use crate::tables::{Animal, AnimalStatus, Batch, Member, TagOwner, TagState, number_key, pair_key, tag_owner_key};
use std::sync::Arc;

impl<B: Rows> Folding<'_, B> {
    /// Moves the tags and memberships of `other` to `animal`, whose id is `id`, and the traits that only `other` has.
    ///
    /// Returns whether a trait of `animal` has changed.
    pub(super) fn absorb(&mut self, id: AnimalId, animal: &mut Animal, other: AnimalId) -> Result<bool, RowsError> {
        let Some(gone) = self.rows.take::<Animal>(number_key(other.0))? else { return Ok(false) };
        let mut gone = Arc::unwrap_or_clone(gone);
        let state = AnimalState {
            animal: other,
            status: gone.state.status,
            last_seen: self.clock.wall(),
            absorbed_by: Some(id),
            ..AnimalState::default()
        };
        self.rows.write(number_key(other.0), Animal { last: self.sequence, unconfirmed: 0, state })?;
        self.take_tags(id, animal, std::mem::take(&mut gone.state.tags))?;
        self.take_memberships(id, animal, other, &mut gone)?;
        let (gone, own) = (gone.state, &mut animal.state);
        let traits_changed = fill(&mut own.traits, &gone.traits);
        if gone.weighed > own.weighed {
            (own.weight_g, own.weighed, own.weighed_at) = (gone.weight_g, gone.weighed, gone.weighed_at);
        }
        own.export_batch = own.export_batch.or(gone.export_batch);
        own.returned = own.returned.or(gone.returned);
        self.totals.animals = self.totals.animals.saturating_sub(1);
        self.uncount_status(gone.status);
        if gone.status == AnimalStatus::Exported && own.status == AnimalStatus::Active {
            // The event that merges them then shows that the animal is back.
            self.count_status(own.status, gone.status);
            own.status = gone.status;
        }
        Ok(traits_changed)
    }

    fn take_tags(&mut self, id: AnimalId, animal: &mut Animal, tags: Vec<HeldTag>) -> Result<(), RowsError> {
        for held in tags {
            if held.state != TagState::Unconfirmed {
                self.rows.write(tag_owner_key(held.kind, held.tag.key()), TagOwner(id))?;
            }
            if held.state != TagState::Unconfirmed || animal.tag(held.kind, held.tag.key()).is_none() {
                self.hold_tag(animal, held)?;
            }
        }
        Ok(())
    }

    /// Moves the memberships. Of two open ones in barn batches, the one that was named last stays open.
    fn take_memberships(
        &mut self,
        id: AnimalId,
        animal: &mut Animal,
        other: AnimalId,
        gone: &mut Animal,
    ) -> Result<(), RowsError> {
        let others_stays = gone.state.barn_batch.is_some() && gone.state.barn_named > animal.state.barn_named;
        let left = if others_stays { animal.state.barn_batch } else { gone.state.barn_batch };
        if let Some(batch) = left.filter(|_| animal.state.barn_batch != gone.state.barn_batch) {
            self.leave(batch, if others_stays { animal } else { gone })?;
        }
        if others_stays {
            let (own, theirs) = (&mut animal.state, &gone.state);
            (own.barn_batch, own.barn_named) = (theirs.barn_batch, theirs.barn_named);
        }
        for theirs in std::mem::take(&mut gone.state.memberships) {
            self.rows.remove::<Member>(pair_key(theirs.batch.0, other.0))?;
            self.take_membership(id, animal, theirs)?;
        }
        Ok(())
    }

    fn take_membership(&mut self, id: AnimalId, animal: &mut Animal, theirs: HeldMembership) -> Result<(), RowsError> {
        let Some(mine) = animal.membership_mut(theirs.batch) else {
            animal.set_membership(theirs);
            return self.rows.write(pair_key(theirs.batch.0, id.0), Member);
        };
        // Both were in this batch, so one animal was counted twice.
        let both_in = mine.left.is_none() && theirs.left.is_none();
        mine.left = mine.left.and(theirs.left).map(|_| mine.left.max(theirs.left)).unwrap_or_default();
        mine.joined = mine.joined.min(theirs.joined);
        self.rows.edit(number_key(theirs.batch.0), |batch: &mut Batch| {
            batch.state.members = batch.state.members.saturating_sub(1);
            if both_in {
                batch.state.active = batch.state.active.saturating_sub(1);
            }
        })?;
        Ok(())
    }
}
