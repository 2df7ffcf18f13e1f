//! Batches whose animals a rewritten history has changed.

use super::insertion::Insertion;
use crate::change::{AnimalState, BatchId, BatchState, Change, Correction, PlacedEvent};
use crate::decide::{History, Judge};
use crate::fold::{Rows, RowsError};
use crate::payload::SourceType;
use crate::position::Sequence;
use crate::tables::{Batch, LatestBatch, latest_batch_key, number_key};
use std::collections::BTreeMap;

/// By batch, the changes of the number of animals in it, and of all animals that ever were in it.
#[derive(Default)]
pub(super) struct MembershipChanges(BTreeMap<BatchId, (i32, i32)>);

impl MembershipChanges {
    pub(super) fn add(&mut self, before: &AnimalState, after: &AnimalState) {
        for (state, sign) in [(before, -1), (after, 1)] {
            for membership in &state.memberships {
                let counts = self.0.entry(membership.batch).or_default();
                counts.0 += if membership.left.is_none() { sign } else { 0 };
                counts.1 += sign;
            }
        }
    }
}

impl<R: Rows> Judge<'_, R> {
    /// Returns the batches whose animals have changed, and those that an inserted event opens or closes.
    ///
    /// A batch that had closed with its last animal opens again if an animal is back in it, unless its number leads to
    /// another batch by now.
    pub(super) fn batches_after(
        &self,
        history: &impl History,
        moved: &MembershipChanges,
        inserted: Option<(&Insertion<'_>, &PlacedEvent)>,
    ) -> Result<Vec<BatchState>, RowsError> {
        let named = inserted.and_then(|(_, placed)| placed.batch);
        let mut batches = Vec::new();
        for (id, (active, members)) in &moved.0 {
            let before = self.rows.shared::<Batch>(&number_key(id.0))?.map(|batch| batch.state.clone());
            let opened = inserted.filter(|_| named.is_some_and(|named| named.batch == *id));
            let opened = opened.and_then(|(event, placed)| self.opened_batch(*id, event, placed));
            let Some(mut batch) = before.clone().or(opened) else { continue };
            batch.active = batch.active.saturating_add_signed(*active);
            batch.members = batch.members.saturating_add_signed(*members);
            let is_empty = batch.active == 0 && batch.source == SourceType::Hxb || batch.members == 0;
            match batch.closed {
                None if is_empty => batch.closed = Some(self.sequence),
                Some(by) if !is_empty && self.is_latest(&batch)? && !closed_by_hand(history, by)? => {
                    batch.closed = None;
                }
                _ => {}
            }
            batches.extend(Some(batch).filter(|batch| before.as_ref() != Some(batch)));
        }
        if let Some(rested) = named.and_then(|named| named.closes) {
            self.close_rested(&mut batches, rested)?;
        }
        Ok(batches)
    }

    /// Returns the batch that an inserted event opens, without animals.
    fn opened_batch(&self, batch: BatchId, event: &Insertion<'_>, placed: &PlacedEvent) -> Option<BatchState> {
        Some(BatchState {
            batch,
            source: placed.event.kind.batch_source(),
            number: placed.event.batch.clone()?,
            opened: event.received.wall(),
            closed: None,
            notes: None,
            active: 0,
            members: 0,
            last: self.sequence,
            last_clock: event.received,
        })
    }

    fn close_rested(&self, batches: &mut Vec<BatchState>, rested: BatchId) -> Result<(), RowsError> {
        if !batches.iter().any(|batch| batch.batch == rested) {
            batches.extend(self.rows.shared::<Batch>(&number_key(rested.0))?.map(|batch| batch.state.clone()));
        }
        for batch in batches.iter_mut().filter(|batch| batch.batch == rested) {
            batch.closed.get_or_insert(self.sequence);
        }
        Ok(())
    }

    fn is_latest(&self, batch: &BatchState) -> Result<bool, RowsError> {
        let key = latest_batch_key(batch.source, &batch.number);
        Ok(self.rows.read(&key)? == Some(LatestBatch(batch.batch)))
    }
}

/// Returns whether an operator closed the batch by this change.
fn closed_by_hand(history: &impl History, by: Sequence) -> Result<bool, RowsError> {
    let Some(Change::Corrected(corrected)) = history.change_at(by)? else { return Ok(false) };
    Ok(matches!(corrected.correction, Correction::CloseBatch { .. }))
}
