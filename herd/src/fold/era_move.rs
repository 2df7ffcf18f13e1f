//! Payloads that are moved into another reader era.
//!
//! The event is not applied here. The step holds the states that it leaves, because it took effect at an earlier place.

use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, EraMove, LateEvent, MoveResult, MovedPayload, Origin};
use crate::tables::{Amendments, Animal, EraStart, last_successor, number_key, reader_key, sequence_key};

impl<B: Rows> Folding<'_, B> {
    pub(super) fn era_move(&mut self, step: &EraMove) -> Result<(), RowsError> {
        let left = step.payload.as_ref().is_some_and(|payload| matches!(payload.result, MoveResult::Left(_)));
        let moved = step.moved_payload();
        self.rows.edit(reader_key(&step.reader_group, step.reader_era, ""), |start: &mut EraStart| {
            start.through = start.through.max(step.through);
            start.moved = start.moved.saturating_add(u64::from(moved.is_some()));
            start.left = start.left.saturating_add(u64::from(left));
        })?;
        match moved {
            Some(payload) => self.moved_payload(step, payload),
            None => Ok(()),
        }
    }

    fn moved_payload(&mut self, step: &EraMove, payload: &MovedPayload) -> Result<(), RowsError> {
        self.set_states(&payload.states)?;
        match &payload.result {
            MoveResult::Event(event) => {
                self.take_corrected_weight_along(event)?;
                self.mark_accepted(payload.of)?;
            }
            MoveResult::Voided(_) | MoveResult::Left(_) => {
                let voided_by = Some(self.sequence);
                self.rows.edit_or_default(sequence_key(payload.of), |row| *row = Amendments { voided_by, ..*row })?;
            }
        }
        let Some(id) = &payload.event_id else { return Ok(()) };
        let in_era = |reader_era| Origin { reader_group: step.reader_group.clone(), reader_era, ..Origin::default() };
        self.take_back_event_id(&in_era(payload.former_era), id, payload.of)?;
        let origin = in_era(step.reader_era);
        if matches!(payload.result, MoveResult::Event(_)) {
            self.occupy_free_event_id(&origin, id, payload.of)?;
        }
        self.count_event_id(&origin, id)
    }

    /// Lets the correction of the weight of the former event be one of the moved event, if both name the same animal.
    fn take_corrected_weight_along(&mut self, event: &LateEvent) -> Result<(), RowsError> {
        let amendments = |of| self.rows.read::<Amendments>(&sequence_key(of));
        let Some(former) = amendments(event.of)?.unwrap_or_default().event_change(event.of) else { return Ok(()) };
        let Amendments { reweighed_by, reweighed_animal, .. } = amendments(former)?.unwrap_or_default();
        let Some(animal) = reweighed_animal else { return Ok(()) };
        if self.successor(animal)? == self.successor(event.accepted.animal)? {
            self.rows.edit_or_default(sequence_key(self.sequence), |row| {
                *row = Amendments { reweighed_by, reweighed_animal, ..*row };
            })?;
        }
        Ok(())
    }

    /// Returns the animal that this one was merged into, or the animal itself.
    fn successor(&self, id: AnimalId) -> Result<AnimalId, RowsError> {
        let absorbed_by = |id: AnimalId| -> Result<_, RowsError> {
            Ok(self.rows.shared::<Animal>(&number_key(id.0))?.and_then(|animal| animal.absorbed_by()))
        };
        Ok(last_successor(id, absorbed_by)?.unwrap_or(id))
    }
}
