//! Merges of two animals that turn out to be one.
//!
//! An event that names an animal by its lid and carries a tag of a tag-only animal shows that both are the same. The
//! tag-only animal is absorbed into the other.

use super::accepted::{overlay, worn};
use super::{Folding, Rows, RowsError, decode};
use crate::change::{AnimalId, BatchId};
use crate::tables::{
    Animal, AnimalStatus, AnimalTag, Key, Membership, Table, TagState, animal_tag_key, number_at_end, number_key,
    pair_key, tag_kind_in, tag_owner_key,
};

impl<B: Rows> Folding<'_, B> {
    /// Moves the tags and memberships of `other` to `animal`, whose id is `id`, and the traits that only `other` has.
    pub(super) fn absorb(&mut self, id: AnimalId, animal: &mut Animal, other: AnimalId) -> Result<(), RowsError> {
        let Some(gone) = self.rows.read::<Animal>(Table::Animals, &number_key(other.0))? else { return Ok(()) };
        self.take_tags(id, animal, other)?;
        self.take_memberships(id, animal, other, &gone)?;
        let mut traits = gone.traits.clone();
        overlay(&mut traits, &animal.traits);
        animal.traits = traits;
        if gone.weighed > animal.weighed {
            (animal.weight_g, animal.weighed) = (gone.weight_g, gone.weighed);
        }
        animal.export_batch = animal.export_batch.or(gone.export_batch);
        animal.returned = animal.returned.or(gone.returned);
        self.totals.animals = self.totals.animals.saturating_sub(1);
        self.uncount_status(gone.status);
        if gone.status == AnimalStatus::Exported && animal.status == AnimalStatus::Active {
            // The event that merges them then shows that the animal is back.
            self.count_status(animal.status, gone.status);
            animal.status = gone.status;
        }
        let marker = Animal {
            last: self.sequence,
            last_at_us: self.clock.received_at_us,
            status: gone.status,
            absorbed_by: Some(id),
            ..Animal::default()
        };
        self.rows.write(Table::Animals, number_key(other.0), &marker);
        Ok(())
    }

    pub(super) fn rows_of(&self, table: Table, animal: AnimalId) -> Result<Vec<(Key, Vec<u8>)>, RowsError> {
        super::states::rows_of(&*self.rows, table, animal)
    }

    fn take_tags(&mut self, id: AnimalId, animal: &mut Animal, other: AnimalId) -> Result<(), RowsError> {
        for (key, value) in self.rows_of(Table::AnimalTags, other)? {
            let tag: AnimalTag = decode(Table::AnimalTags, &key, &value)?;
            let kind = tag_kind_in(&key);
            let own_key = animal_tag_key(id, kind, tag.tag.key());
            if tag.state != TagState::Unconfirmed {
                self.rows.write(Table::TagOwners, tag_owner_key(kind, tag.tag.key()), &id);
            }
            if tag.state == TagState::Current && worn(animal, kind).is_none() {
                *worn(animal, kind) = Some(tag.tag.clone());
            }
            if tag.state != TagState::Unconfirmed || self.rows.get(Table::AnimalTags, &own_key)?.is_none() {
                self.rows.write(Table::AnimalTags, own_key, &tag);
            }
            self.rows.remove(Table::AnimalTags, key);
        }
        Ok(())
    }

    /// Moves the memberships. Of two open ones in barn batches, the one that was named last stays open.
    fn take_memberships(
        &mut self,
        id: AnimalId,
        animal: &mut Animal,
        other: AnimalId,
        gone: &Animal,
    ) -> Result<(), RowsError> {
        let others_stays = gone.barn_batch.is_some() && gone.barn_named > animal.barn_named;
        let left = if others_stays { animal.barn_batch } else { gone.barn_batch };
        let left = left.filter(|_| animal.barn_batch != gone.barn_batch);
        if let Some(batch) = left {
            self.leave(batch, if others_stays { id } else { other })?;
        }
        if others_stays {
            (animal.barn_batch, animal.barn_named) = (gone.barn_batch, gone.barn_named);
        }
        for (key, value) in self.rows_of(Table::Memberships, other)? {
            let membership: Membership = decode(Table::Memberships, &key, &value)?;
            let batch = BatchId(number_at_end(&key).unwrap_or_default());
            self.rows.remove(Table::Memberships, key);
            self.rows.remove(Table::Members, pair_key(batch.0, other.0));
            self.take_membership(id, batch, membership)?;
        }
        Ok(())
    }

    fn take_membership(&mut self, id: AnimalId, batch_id: BatchId, theirs: Membership) -> Result<(), RowsError> {
        let key = pair_key(id.0, batch_id.0);
        let Some(mine) = self.rows.read::<Membership>(Table::Memberships, &key)? else {
            self.rows.write(Table::Memberships, key, &theirs);
            self.rows.write(Table::Members, pair_key(batch_id.0, id.0), &());
            return Ok(());
        };
        // Both were in this batch, so one animal was counted twice.
        if let Some(mut batch) = self.batch(batch_id)? {
            batch.members = batch.members.saturating_sub(1);
            if mine.left.is_none() && theirs.left.is_none() {
                batch.active = batch.active.saturating_sub(1);
            }
            self.rows.write(Table::Batches, number_key(batch_id.0), &batch);
        }
        let left = mine.left.and(theirs.left).map(|_| mine.left.max(theirs.left)).unwrap_or_default();
        let joined = mine.joined.min(theirs.joined);
        self.rows.write(Table::Memberships, key, &Membership { joined, left });
        Ok(())
    }
}
