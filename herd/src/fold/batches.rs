//! Animals come into batches and leave them; batches open and close.

use super::{Folding, Rows, RowsError};
use crate::change::{AnimalId, BatchId, BatchUse};
use crate::payload::{SourceType, Traits};
use crate::tables::{
    Batch, BatchTrait, Membership, Table, batch_number_key, batch_trait_key, latest_batch_key, number_key, pair_key,
};

impl<B: Rows> Folding<'_, B> {
    /// Opens the batch that this change names, if it is new, and closes the one that the change closes.
    pub(super) fn open_batch(&mut self, named: BatchUse, source: SourceType, number: &str) -> Result<(), RowsError> {
        if let Some(rested) = named.closes
            && let Some(mut batch) = self.batch(rested)?
        {
            self.close(&mut batch);
            self.rows.write(Table::Batches, number_key(rested.0), &batch);
        }
        if named.batch.0 == self.sequence.0 {
            self.totals.batches += 1;
            self.totals.open_batches += 1;
            self.rows.write(Table::LatestBatches, latest_batch_key(source, number), &named.batch);
            self.rows.write(Table::BatchNumbers, batch_number_key(number, named.batch), &source);
        }
        let before = self.batch(named.batch)?;
        let goes_back = self.late && before.is_some();
        let mut batch = before.unwrap_or_else(|| Batch {
            source,
            number: number.to_owned(),
            opened_at_us: self.clock.received_at_us,
            closed: None,
            notes: None,
            active: 0,
            members: 0,
            last: self.sequence,
            last_clock: self.clock,
        });
        batch.last = self.sequence;
        if !goes_back {
            batch.last_clock = self.clock;
        }
        self.rows.write(Table::Batches, number_key(named.batch.0), &batch);
        Ok(())
    }

    /// Adds `animal` to the batch `id`.
    pub(super) fn join(&mut self, id: BatchId, animal: AnimalId) -> Result<(), RowsError> {
        let Some(mut batch) = self.batch(id)? else { return Ok(()) };
        let before: Option<Membership> = self.rows.read(Table::Memberships, &pair_key(animal.0, id.0))?;
        if before.is_some_and(|membership| membership.left.is_none()) {
            return Ok(());
        }
        if before.is_none() {
            batch.members = batch.members.saturating_add(1);
            self.rows.write(Table::Members, pair_key(id.0, animal.0), &());
        }
        batch.active = batch.active.saturating_add(1);
        let joined = before.map_or(self.sequence, |membership| membership.joined);
        self.rows.write(Table::Memberships, pair_key(animal.0, id.0), &Membership { joined, left: None });
        self.rows.write(Table::Batches, number_key(id.0), &batch);
        Ok(())
    }

    /// Removes `animal` from the batch `id`.
    ///
    /// A barn batch that becomes empty is closed by [`close_emptied`](Self::close_emptied), at the end of the change: the
    /// same event may bring the animal back into it.
    pub(super) fn leave(&mut self, id: BatchId, animal: AnimalId) -> Result<(), RowsError> {
        let key = pair_key(animal.0, id.0);
        let open = self.rows.read::<Membership>(Table::Memberships, &key)?.filter(|row| row.left.is_none());
        let (Some(mut membership), Some(mut batch)) = (open, self.batch(id)?) else { return Ok(()) };
        membership.left = Some(self.sequence);
        batch.active = batch.active.saturating_sub(1);
        self.rows.write(Table::Memberships, key, &membership);
        self.rows.write(Table::Batches, number_key(id.0), &batch);
        self.left.push(id);
        Ok(())
    }

    /// Closes the barn batches that an animal left in this change and that are empty at its end.
    pub(super) fn close_emptied(&mut self) -> Result<(), RowsError> {
        for id in std::mem::take(&mut self.left) {
            let emptied = self.batch(id)?.filter(|batch| batch.source == SourceType::Hxb && batch.active == 0);
            if let Some(mut batch) = emptied {
                self.close(&mut batch);
                self.rows.write(Table::Batches, number_key(id.0), &batch);
            }
        }
        Ok(())
    }

    /// Adds the pen, sex and funder of an animal to those that its batch shows.
    pub(super) fn show_traits(&mut self, id: BatchId, traits: &Traits) -> Result<(), RowsError> {
        let shown =
            [(BatchTrait::Pen, &traits.pen), (BatchTrait::Sex, &traits.sex), (BatchTrait::Funder, &traits.funder)];
        for (which, value) in shown {
            let Some(value) = value else { continue };
            let key = batch_trait_key(id, which, value);
            if self.rows.get(Table::BatchTraits, &key)?.is_none() {
                self.rows.write(Table::BatchTraits, key, &self.sequence);
            }
        }
        Ok(())
    }

    pub(super) fn batch(&self, id: BatchId) -> Result<Option<Batch>, RowsError> {
        self.rows.read(Table::Batches, &number_key(id.0))
    }

    pub(super) fn close(&mut self, batch: &mut Batch) {
        if batch.closed.is_none() {
            batch.closed = Some(self.sequence);
            self.totals.open_batches = self.totals.open_batches.saturating_sub(1);
        }
    }
}
