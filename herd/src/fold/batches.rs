//! Animals come into batches and leave them; batches open and close.

use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, BatchId, BatchState, BatchUse, HeldMembership};
use crate::payload::{SourceType, Traits};
use crate::position::Sequence;
use crate::tables::{Animal, Batch, LatestBatch, Member, Totals, add_trait, latest_batch_key, number_key, pair_key};

impl<B: Rows> Folding<'_, B> {
    /// Opens the batch that this change names, if it is new, and closes the one that the change closes.
    pub(super) fn open_batch(&mut self, named: BatchUse, source: SourceType, number: &str) -> Result<(), RowsError> {
        let (sequence, clock, late) = (self.sequence, self.clock, self.late.is_some());
        if let Some(rested) = named.closes {
            self.close(rested)?;
        }
        let key = number_key(named.batch.0);
        let known = self.rows.edit(key, |Batch { state, .. }| {
            state.last = sequence;
            if !late {
                state.last_clock = clock;
            }
        })?;
        if named.batch.0 == sequence.0 {
            self.totals.batches += 1;
            self.totals.open_batches += 1;
        }
        if known.is_some() {
            return Ok(());
        }
        let state = BatchState {
            batch: named.batch,
            source,
            number: number.into(),
            opened: clock.wall(),
            closed: None,
            notes: None,
            active: 0,
            members: 0,
            last: sequence,
            last_clock: clock,
        };
        self.add_batch(state)
    }

    /// Adds the row of a new batch, which is then the latest of its number.
    pub(super) fn add_batch(&mut self, state: BatchState) -> Result<(), RowsError> {
        let latest_key = latest_batch_key(state.source, &state.number);
        let before = self.rows.read::<LatestBatch>(&latest_key)?.map(|before| before.0);
        self.rows.write(latest_key, LatestBatch(state.batch))?;
        // Only earlier ones: a list that led forwards would never end.
        let before = before.filter(|before| *before < state.batch);
        self.rows.write(number_key(state.batch.0), Batch::of_state(state, before))
    }

    /// Adds `animal`, whose id is `id`, to a batch.
    pub(super) fn join(&mut self, batch: BatchId, id: AnimalId, animal: &mut Animal) -> Result<(), RowsError> {
        let before = animal.membership_mut(batch).copied();
        if before.is_some_and(|held| held.left.is_none()) {
            return Ok(());
        }
        let found = self.rows.edit(number_key(batch.0), |Batch { state, .. }| {
            state.members = state.members.saturating_add(u32::from(before.is_none()));
            state.active = state.active.saturating_add(1);
        })?;
        if found.is_none() {
            return Ok(());
        }
        if before.is_none() {
            self.rows.write(pair_key(batch.0, id.0), Member)?;
        }
        let joined = before.map_or(self.sequence, |held| held.joined);
        animal.set_membership(HeldMembership { batch, joined, left: None });
        Ok(())
    }

    /// Removes `animal` from a batch.
    ///
    /// A barn batch that becomes empty is closed by [`close_emptied`](Self::close_emptied), at the end of the change: the
    /// same event may bring the animal back into it.
    pub(super) fn leave(&mut self, id: BatchId, animal: &mut Animal) -> Result<(), RowsError> {
        let Some(held) = animal.membership_mut(id).filter(|held| held.left.is_none()) else { return Ok(()) };
        let found = self.rows.edit(number_key(id.0), |Batch { state, .. }| {
            state.active = state.active.saturating_sub(1);
        })?;
        if found.is_some() {
            held.left = Some(self.sequence);
            self.left.push(id);
        }
        Ok(())
    }

    /// Closes the barn batches that an animal left in this change and that are empty at its end.
    pub(super) fn close_emptied(&mut self) -> Result<(), RowsError> {
        let (sequence, totals) = (self.sequence, &mut self.totals);
        for id in self.left.drain(..) {
            self.rows.edit(number_key(id.0), |Batch { state, .. }| {
                if state.source == SourceType::Hxb && state.active == 0 {
                    close(state, sequence, totals);
                }
            })?;
        }
        Ok(())
    }

    /// Adds the pen, sex and funder of an animal to those that its batch shows.
    pub(super) fn show_traits(&mut self, id: BatchId, traits: &Traits) -> Result<(), RowsError> {
        self.rows.edit(number_key(id.0), |batch: &mut Batch| {
            let shown =
                [(&mut batch.pens, &traits.pen), (&mut batch.sexes, &traits.sex), (&mut batch.funders, &traits.funder)];
            for (values, value) in shown {
                if let Some(value) = value {
                    add_trait(values, value);
                }
            }
        })?;
        Ok(())
    }

    /// Closes a batch, if it is open.
    pub(super) fn close(&mut self, id: BatchId) -> Result<(), RowsError> {
        let (sequence, totals) = (self.sequence, &mut self.totals);
        self.rows.edit(number_key(id.0), |Batch { state, .. }| close(state, sequence, totals))?;
        Ok(())
    }
}

fn close(batch: &mut BatchState, sequence: Sequence, totals: &mut Totals) {
    if batch.closed.is_none() {
        batch.closed = Some(sequence);
        totals.open_batches = totals.open_batches.saturating_sub(1);
    }
}
