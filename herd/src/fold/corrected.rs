//! The effect of a correction: its states of animals and batches replace the rows.

use super::{Folding, Rows, RowsError};
use crate::change::{
    AnimalId, AnimalState, AnimalStatus, BatchState, Corrected, Correction, CorrectionResult, States, TagKind, TagState,
};
use crate::payload::Tag;
use crate::tables::{
    Animal, AnimalTag, Batch, Membership, Table, animal_tag_key, batch_number_key, latest_batch_key, number_at_end,
    number_key, pair_key, reader_key, sequence_key, tag_kind_in, tag_owner_key,
};

impl<B: Rows> Folding<'_, B> {
    pub(super) fn corrected(&mut self, corrected: &Corrected) -> Result<(), RowsError> {
        self.totals.corrected += 1;
        let key = corrected.idempotency_key.as_bytes().to_vec();
        self.rows.write(Table::CorrectionKeys, key, &self.sequence);
        if let Correction::Void { sequence } = corrected.correction {
            let mut amendments = self.amendments(sequence)?;
            amendments.voided_by = Some(self.sequence);
            self.rows.write(Table::Amendments, sequence_key(sequence), &amendments);
        }
        match &corrected.result {
            CorrectionResult::States(states) => self.set_states(states),
            CorrectionResult::Accepted(event) => self.late_event(event),
            CorrectionResult::ReaderEra { reader_group, reader_era } => {
                self.rows.write(Table::ReaderEras, reader_group.as_bytes().to_vec(), reader_era);
                Ok(())
            }
        }
    }

    /// Replaces the rows of the animals and batches by their states.
    pub(crate) fn set_states(&mut self, states: &States) -> Result<(), RowsError> {
        for batch in &states.batches {
            self.set_batch(batch)?;
        }
        // All animals are removed before any is written, because a tag or a lid may move from one to another.
        for state in &states.animals {
            self.take_off_the_tables(state.animal)?;
        }
        for state in &states.animals {
            self.put_on_the_tables(state)?;
        }
        Ok(())
    }

    fn set_batch(&mut self, state: &BatchState) -> Result<(), RowsError> {
        let before = self.batch(state.batch)?;
        if before.is_none() {
            self.totals.batches += 1;
            self.rows.write(Table::LatestBatches, latest_batch_key(state.source, &state.number), &state.batch);
            self.rows.write(Table::BatchNumbers, batch_number_key(&state.number, state.batch), &state.source);
        }
        let was_open = before.is_some_and(|batch| batch.closed.is_none());
        match (was_open, state.closed.is_none()) {
            (false, true) => self.totals.open_batches += 1,
            (true, false) => self.totals.open_batches = self.totals.open_batches.saturating_sub(1),
            _ => {}
        }
        self.rows.write(Table::Batches, number_key(state.batch.0), &Batch::from(state));
        Ok(())
    }

    fn take_off_the_tables(&mut self, id: AnimalId) -> Result<(), RowsError> {
        let Some(animal) = self.rows.read::<Animal>(Table::Animals, &number_key(id.0))? else { return Ok(()) };
        if animal.absorbed_by.is_none() && animal.status != AnimalStatus::Voided {
            self.totals.animals = self.totals.animals.saturating_sub(1);
            self.uncount_status(animal.status);
        }
        for (key, value) in self.rows_of(Table::AnimalTags, id)? {
            let row: AnimalTag = super::decode(Table::AnimalTags, &key, &value)?;
            self.disown(id, tag_kind_in(&key), &row.tag)?;
            self.rows.remove(Table::AnimalTags, key);
        }
        for lid in &animal.lids {
            let key = reader_key(&lid.reader_group, lid.reader_era, &lid.lid);
            if self.rows.read::<AnimalId>(Table::Lids, &key)? == Some(id) {
                self.rows.remove(Table::Lids, key);
            }
        }
        for (key, _) in self.rows_of(Table::Memberships, id)? {
            let batch = number_at_end(&key).unwrap_or_default();
            self.rows.remove(Table::Memberships, key);
            self.rows.remove(Table::Members, pair_key(batch, id.0));
        }
        Ok(())
    }

    /// Removes the row by which the tag leads to this animal, if there is one.
    fn disown(&mut self, id: AnimalId, kind: TagKind, tag: &Tag) -> Result<(), RowsError> {
        let key = tag_owner_key(kind, tag.key());
        if self.rows.read::<AnimalId>(Table::TagOwners, &key)? == Some(id) {
            self.rows.remove(Table::TagOwners, key);
        }
        Ok(())
    }

    fn put_on_the_tables(&mut self, state: &AnimalState) -> Result<(), RowsError> {
        let id = state.animal;
        if state.absorbed_by.is_none() && state.status != AnimalStatus::Voided {
            self.totals.animals += 1;
            self.count_in(state.status);
        }
        for tag in &state.tags {
            let row = AnimalTag { tag: tag.tag.clone(), state: tag.state, since: tag.since };
            self.rows.write(Table::AnimalTags, animal_tag_key(id, tag.kind, tag.tag.key()), &row);
            if tag.state != TagState::Unconfirmed {
                self.rows.write(Table::TagOwners, tag_owner_key(tag.kind, tag.tag.key()), &id);
            }
        }
        for lid in &state.lids {
            self.rows.write(Table::Lids, reader_key(&lid.reader_group, lid.reader_era, &lid.lid), &id);
        }
        for membership in &state.memberships {
            let row = Membership { joined: membership.joined, left: membership.left };
            self.rows.write(Table::Memberships, pair_key(id.0, membership.batch.0), &row);
            self.rows.write(Table::Members, pair_key(membership.batch.0, id.0), &());
        }
        if let Some(batch) = state.barn_batch {
            self.show_traits(batch, &state.traits)?;
        }
        let animal = Animal { last: self.sequence, ..Animal::from(state) };
        self.rows.write(Table::Animals, number_key(id.0), &animal);
        Ok(())
    }
}
