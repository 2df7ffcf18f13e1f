//! Corrections applied to rows.
//!
//! Only the source uses these, on rows that are thrown away, to find the states that a correction results in. The fold
//! writes the stored states instead.

use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, AnimalStatus, BatchId, BatchUse, TagKind, WeighingTime};
use crate::clock::WallTime;
use crate::payload::{SourceType, Tag};
use crate::position::Sequence;
use crate::tables::{Animal, Batch, LidOwner, number_key, reader_key};
use std::sync::Arc;

impl<B: Rows> Folding<'_, B> {
    /// Merges `other` into `id`. Of two tags of one kind, the merged animal wears that of `id`. It has the lids of both,
    /// and the status of the one that was touched last.
    pub(crate) fn merge(&mut self, id: AnimalId, other: AnimalId) -> Result<(), RowsError> {
        let mut animal = self.take_animal(id)?;
        let mut gone = self.take_animal(other)?;
        for kind in [TagKind::Lf, TagKind::Epc] {
            if animal.worn(kind).is_some()
                && let Some(tag) = gone.worn(kind).cloned()
            {
                self.retire(other, &mut gone, kind, &tag)?;
            }
        }
        let status = if gone.last > animal.last { gone.state.status } else { animal.state.status };
        let last_seen = animal.state.last_seen.later(gone.state.last_seen);
        let lids = gone.state.lids.clone();
        self.rows.write(number_key(other.0), gone)?;
        self.absorb(id, &mut animal, other)?;
        for lid in lids {
            self.rows.write(reader_key(&lid.reader_group, lid.reader_era, &lid.lid), LidOwner(id))?;
            if !animal.state.lids.contains(&lid) {
                animal.state.lids.push(lid);
            }
        }
        animal.state.last_seen = last_seen;
        self.set_status(&mut animal, status);
        self.leave_if_gone(&mut animal)?;
        self.keep(id, animal)?;
        self.close_emptied()
    }

    /// Replaces the tag of that kind that the animal wears by `tag`, or takes it off.
    pub(crate) fn retag(&mut self, id: AnimalId, kind: TagKind, tag: Option<&Tag>) -> Result<(), RowsError> {
        let mut animal = self.take_animal(id)?;
        match (tag, animal.worn(kind).cloned()) {
            (Some(tag), _) => self.assign(id, &mut animal, kind, tag)?,
            (None, Some(worn)) => self.retire(id, &mut animal, kind, &worn)?,
            (None, None) => {}
        }
        self.keep(id, animal)
    }

    /// Sets the pen of the animal.
    pub(crate) fn move_pen(&mut self, id: AnimalId, pen: &str) -> Result<(), RowsError> {
        let mut animal = self.take_animal(id)?;
        animal.state.traits.pen = Some(pen.into());
        self.keep(id, animal)
    }

    /// Moves the animal from its barn batch to this one.
    pub(crate) fn move_batch(&mut self, id: AnimalId, to: BatchUse, number: &str) -> Result<(), RowsError> {
        let mut animal = self.take_animal(id)?;
        self.open_batch(to, SourceType::Hxb, number)?;
        if let Some(left) = animal.state.barn_batch.filter(|batch| *batch != to.batch) {
            self.leave(left, &mut animal)?;
        }
        self.join(to.batch, id, &mut animal)?;
        (animal.state.barn_batch, animal.state.barn_named) = (Some(to.batch), self.sequence);
        self.keep(id, animal)?;
        self.close_emptied()
    }

    /// Records a weight of the animal, which is its current one unless it was weighed later.
    pub(crate) fn weigh(&mut self, id: AnimalId, weight_g: u32, when: WeighingTime) -> Result<(), RowsError> {
        let mut animal = self.take_animal(id)?;
        let state = &mut animal.state;
        let weighed_at = match when {
            WeighingTime::Now => Some(self.clock.wall()),
            WeighingTime::At(at_us) => {
                let is_latest = state.weight_g.is_none() || at_us >= state.weighed_at.at_us;
                is_latest.then_some(WallTime { at_us, synchronized: true })
            }
            WeighingTime::InsteadOf(weighing) => (weighing == state.weighed).then_some(state.weighed_at),
        };
        if let Some(weighed_at) = weighed_at {
            (state.weight_g, state.weighed, state.weighed_at) = (Some(weight_g), self.sequence, weighed_at);
        }
        self.keep(id, animal)
    }

    /// Records that the animal died, and takes it out of its barn batch.
    pub(crate) fn died(&mut self, id: AnimalId) -> Result<(), RowsError> {
        let mut animal = self.take_animal(id)?;
        self.set_status(&mut animal, AnimalStatus::Dead);
        self.leave_if_gone(&mut animal)?;
        self.keep(id, animal)?;
        self.close_emptied()
    }

    /// Records this change as the last one that touched these animals. Ignores animals that do not exist.
    pub(crate) fn touch(&mut self, animals: &[(AnimalId, Sequence)]) -> Result<(), RowsError> {
        let sequence = self.sequence;
        for (id, _) in animals {
            self.rows.edit(number_key(id.0), |animal: &mut Animal| animal.last = sequence)?;
        }
        Ok(())
    }

    /// Closes the batch, so that its number no longer means it.
    pub(crate) fn close_batch(&mut self, id: BatchId) -> Result<(), RowsError> {
        self.close(id)
    }

    /// Replaces or removes the notes of the batch.
    pub(crate) fn note_batch(&mut self, id: BatchId, notes: Option<&str>) -> Result<(), RowsError> {
        self.rows.edit(number_key(id.0), |batch: &mut Batch| batch.state.notes = notes.map(Into::into))?;
        Ok(())
    }

    fn take_animal(&mut self, id: AnimalId) -> Result<Animal, RowsError> {
        Ok(self.rows.take(number_key(id.0))?.map_or_else(|| Animal::new(id), Arc::unwrap_or_clone))
    }

    fn keep(&mut self, id: AnimalId, mut animal: Animal) -> Result<(), RowsError> {
        animal.last = self.sequence;
        self.rows.write(number_key(id.0), animal)
    }

    fn set_status(&mut self, animal: &mut Animal, status: AnimalStatus) {
        self.count_status(animal.state.status, status);
        animal.state.status = status;
    }

    /// Takes an animal that is not on the yard out of its barn batch.
    fn leave_if_gone(&mut self, animal: &mut Animal) -> Result<(), RowsError> {
        match animal.state.barn_batch.take_if(|_| animal.state.status != AnimalStatus::Active) {
            Some(left) => self.leave(left, animal),
            None => Ok(()),
        }
    }
}
