//! Corrections applied to rows.
//!
//! Only the source uses these, on rows that are thrown away, to find the states that a correction results in. The fold
//! writes the stored states instead.

use super::accepted::worn;
use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, AnimalStatus, BatchId, BatchUse, TagKind};
use crate::payload::{SourceType, Tag};
use crate::position::Sequence;
use crate::tables::{Animal, Batch, Table, number_key, reader_key};

impl<B: Rows> Folding<'_, B> {
    /// Merges `other` into `id`. Of two tags of one kind, the merged animal wears that of `id`. It has the lids of both,
    /// and the status of the one that was touched last.
    pub(crate) fn merge(&mut self, id: AnimalId, other: AnimalId) -> Result<(), RowsError> {
        let mut animal = self.animal(id)?;
        let mut gone = self.animal(other)?;
        for kind in [TagKind::Lf, TagKind::Epc] {
            if worn(&mut animal, kind).is_some()
                && let Some(tag) = worn(&mut gone, kind).clone()
            {
                self.retire(other, &mut gone, kind, &tag);
            }
        }
        self.rows.write(Table::Animals, number_key(other.0), &gone);
        let status = if gone.last > animal.last { gone.status } else { animal.status };
        let last_at_us = animal.last_at_us.max(gone.last_at_us);
        self.absorb(id, &mut animal, other)?;
        for lid in gone.lids {
            self.rows.write(Table::Lids, reader_key(&lid.reader_group, lid.reader_era, &lid.lid), &id);
            if !animal.lids.contains(&lid) {
                animal.lids.push(lid);
            }
        }
        animal.last_at_us = last_at_us;
        self.set_status(&mut animal, status);
        self.leave_if_gone(id, &mut animal)?;
        self.keep(id, animal);
        self.close_emptied()
    }

    /// Replaces the tag of that kind that the animal wears by `tag`, or takes it off.
    pub(crate) fn retag(&mut self, id: AnimalId, kind: TagKind, tag: Option<&Tag>) -> Result<(), RowsError> {
        let mut animal = self.animal(id)?;
        match (tag, worn(&mut animal, kind).clone()) {
            (Some(tag), _) => self.assign(id, &mut animal, kind, tag),
            (None, Some(worn)) => self.retire(id, &mut animal, kind, &worn),
            (None, None) => {}
        }
        self.keep(id, animal);
        Ok(())
    }

    /// Sets the pen of the animal.
    pub(crate) fn move_pen(&mut self, id: AnimalId, pen: &str) -> Result<(), RowsError> {
        let mut animal = self.animal(id)?;
        animal.traits.pen = Some(pen.to_owned());
        self.keep(id, animal);
        Ok(())
    }

    /// Moves the animal from its barn batch to this one.
    pub(crate) fn move_batch(&mut self, id: AnimalId, to: BatchUse, number: &str) -> Result<(), RowsError> {
        let mut animal = self.animal(id)?;
        self.open_batch(to, SourceType::Hxb, number)?;
        if let Some(left) = animal.barn_batch.filter(|batch| *batch != to.batch) {
            self.leave(left, id)?;
        }
        self.join(to.batch, id)?;
        (animal.barn_batch, animal.barn_named) = (Some(to.batch), self.sequence);
        self.keep(id, animal);
        self.close_emptied()
    }

    /// Sets the weight of the animal.
    pub(crate) fn weigh(&mut self, id: AnimalId, weight_g: u32) -> Result<(), RowsError> {
        let mut animal = self.animal(id)?;
        (animal.weight_g, animal.weighed) = (Some(weight_g), self.sequence);
        self.keep(id, animal);
        Ok(())
    }

    /// Records that the animal died, and takes it out of its barn batch.
    pub(crate) fn died(&mut self, id: AnimalId) -> Result<(), RowsError> {
        let mut animal = self.animal(id)?;
        self.set_status(&mut animal, AnimalStatus::Dead);
        self.leave_if_gone(id, &mut animal)?;
        self.keep(id, animal);
        self.close_emptied()
    }

    /// Records this change as the last one that touched these animals. Ignores animals that do not exist.
    pub(crate) fn touch(&mut self, animals: &[(AnimalId, Sequence)]) -> Result<(), RowsError> {
        for (id, _) in animals {
            if let Some(animal) = self.rows.read(Table::Animals, &number_key(id.0))? {
                self.keep(*id, animal);
            }
        }
        Ok(())
    }

    /// Closes the batch, so that its number no longer means it.
    pub(crate) fn close_batch(&mut self, id: BatchId) -> Result<(), RowsError> {
        self.edit_batch(id, Self::close)
    }

    /// Replaces or removes the notes of the batch.
    pub(crate) fn note_batch(&mut self, id: BatchId, notes: Option<&str>) -> Result<(), RowsError> {
        self.edit_batch(id, |_, batch| batch.notes = notes.map(str::to_owned))
    }

    fn edit_batch(&mut self, id: BatchId, edit: impl FnOnce(&mut Self, &mut Batch)) -> Result<(), RowsError> {
        if let Some(mut batch) = self.batch(id)? {
            edit(self, &mut batch);
            self.rows.write(Table::Batches, number_key(id.0), &batch);
        }
        Ok(())
    }

    fn animal(&self, id: AnimalId) -> Result<Animal, RowsError> {
        Ok(self.rows.read(Table::Animals, &number_key(id.0))?.unwrap_or_default())
    }

    fn keep(&mut self, id: AnimalId, mut animal: Animal) {
        animal.last = self.sequence;
        self.rows.write(Table::Animals, number_key(id.0), &animal);
    }

    fn set_status(&mut self, animal: &mut Animal, status: AnimalStatus) {
        self.count_status(animal.status, status);
        animal.status = status;
    }

    /// Takes an animal that is not on the yard out of its barn batch.
    fn leave_if_gone(&mut self, id: AnimalId, animal: &mut Animal) -> Result<(), RowsError> {
        match animal.barn_batch.take_if(|_| animal.status != AnimalStatus::Active) {
            Some(left) => self.leave(left, id),
            None => Ok(()),
        }
    }
}
