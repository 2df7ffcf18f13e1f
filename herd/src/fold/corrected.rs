//! The effect of a correction: its states of animals and batches replace the rows.

use super::{Folding, Rows, RowsError};
use crate::change::{
    AnimalId, AnimalState, AnimalStatus, BatchState, Corrected, Correction, CorrectionResult, States, TagState,
    WeighingTime,
};
use crate::position::Sequence;
use crate::tables::{
    Amendments, Animal, Batch, CorrectionKey, EraStart, LidOwner, Member, ReaderEra, TagOwner, number_key, pair_key,
    reader_key, sequence_key, tag_owner_key,
};

impl<B: Rows> Folding<'_, B> {
    pub(super) fn corrected(&mut self, corrected: &Corrected) -> Result<(), RowsError> {
        self.totals.corrected += 1;
        self.rows.write(corrected.idempotency_key.as_str().into(), CorrectionKey(self.sequence))?;
        if let Correction::Void { sequence } = corrected.correction {
            let voided_by = Some(self.sequence);
            self.rows.edit_or_default(sequence_key(sequence), |row| *row = Amendments { voided_by, ..*row })?;
        }
        if let Correction::Weigh { animal, when: WeighingTime::InsteadOf(weighing), .. } = corrected.correction {
            let (reweighed_by, reweighed_animal) = (Some(self.sequence), Some(animal));
            self.rows.edit_or_default(sequence_key(weighing), |row| {
                *row = Amendments { reweighed_by, reweighed_animal, ..*row };
            })?;
        }
        match &corrected.result {
            CorrectionResult::States(states) => self.set_states(states),
            CorrectionResult::Accepted(event) => self.late_event(event),
            CorrectionResult::ReaderEra { reader_group, reader_era } => {
                self.rows.write(reader_group.as_str().into(), ReaderEra(*reader_era))?;
                match corrected.correction {
                    Correction::NewReaderEra { from: Some(from), .. } => {
                        self.begin_era_at(reader_group, *reader_era, from)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Records that the era begins at the payload `from`. Later changes move the payloads since then.
    fn begin_era_at(&mut self, reader_group: &str, reader_era: u32, from: Sequence) -> Result<(), RowsError> {
        let start = EraStart {
            reader_group: reader_group.into(),
            reader_era,
            order: self.sequence,
            from,
            through: Sequence(from.0.saturating_sub(1)),
            moved: 0,
            left: 0,
        };
        self.rows.write(reader_key(reader_group, reader_era, ""), start)
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
        let replace = |batch: &mut Batch| std::mem::replace(&mut batch.state, state.clone()).closed.is_none();
        let was_open = self.rows.edit(number_key(state.batch.0), replace)?;
        if was_open.is_none() {
            self.totals.batches += 1;
            self.add_batch(state.clone())?;
        }
        match (was_open.unwrap_or(false), state.closed.is_none()) {
            (false, true) => self.totals.open_batches += 1,
            (true, false) => self.totals.open_batches = self.totals.open_batches.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn take_off_the_tables(&mut self, id: AnimalId) -> Result<(), RowsError> {
        let Some(row) = self.rows.take::<Animal>(number_key(id.0))? else { return Ok(()) };
        let state = &row.state;
        if state.absorbed_by.is_none() && state.status != AnimalStatus::Voided {
            self.totals.animals = self.totals.animals.saturating_sub(1);
            self.uncount_status(state.status);
        }
        for held in &state.tags {
            let key = tag_owner_key(held.kind, held.tag.key());
            if self.rows.read(&key)? == Some(TagOwner(id)) {
                self.rows.remove::<TagOwner>(key)?;
            }
        }
        for lid in &state.lids {
            let key = reader_key(&lid.reader_group, lid.reader_era, &lid.lid);
            if self.rows.read(&key)? == Some(LidOwner(id)) {
                self.rows.remove::<LidOwner>(key)?;
            }
        }
        for held in &state.memberships {
            self.rows.remove::<Member>(pair_key(held.batch.0, id.0))?;
        }
        Ok(())
    }

    fn put_on_the_tables(&mut self, state: &AnimalState) -> Result<(), RowsError> {
        let id = state.animal;
        if state.absorbed_by.is_none() && state.status != AnimalStatus::Voided {
            self.totals.animals += 1;
            self.count_in(state.status);
        }
        for held in state.tags.iter().filter(|held| held.state != TagState::Unconfirmed) {
            self.rows.write(tag_owner_key(held.kind, held.tag.key()), TagOwner(id))?;
        }
        for lid in &state.lids {
            self.rows.write(reader_key(&lid.reader_group, lid.reader_era, &lid.lid), LidOwner(id))?;
        }
        for held in &state.memberships {
            self.rows.write(pair_key(held.batch.0, id.0), Member)?;
        }
        if let Some(batch) = state.barn_batch {
            self.show_traits(batch, &state.traits)?;
        }
        self.rows.write(number_key(id.0), Animal::of_state(state, self.sequence))
    }
}
