//! The batch that an event names.
//!
//! A (source, number) leads to the latest batch of that number. A closed batch is not reopened by its number: the number
//! opens a new one. An export batch that has rested for [`Rules::export_rest_ms`](super::Rules::export_rest_ms) is closed
//! when it is named again.

use super::Judge;
use crate::change::{BatchId, BatchUse};
use crate::fold::{Rows, RowsError};
use crate::payload::{Event, SourceType};
use crate::tables::{Batch, LatestBatch, latest_batch_key, number_key};

impl<R: Rows> Judge<'_, R> {
    /// Returns the batch that the event names, if it names one.
    pub(super) fn batch_named(&self, event: &Event) -> Result<Option<BatchUse>, RowsError> {
        let Some(number) = &event.batch else { return Ok(None) };
        let source = event.kind.batch_source();
        self.batch_of(source, number).map(Some)
    }

    /// Returns the open batch of this number, or a new one.
    pub(super) fn batch_of(&self, source: SourceType, number: &str) -> Result<BatchUse, RowsError> {
        let new = BatchUse { batch: BatchId::from(self.sequence), closes: None };
        let latest = self.rows.read::<LatestBatch>(&latest_batch_key(source, number))?;
        let Some(LatestBatch(latest)) = latest else { return Ok(new) };
        let row = self.rows.shared::<Batch>(&number_key(latest.0))?;
        Ok(match row.filter(|batch| batch.state.closed.is_none()) {
            None => new,
            Some(batch) if source == SourceType::Hxe && self.has_rested(&batch) => {
                BatchUse { closes: Some(latest), ..new }
            }
            Some(_) => BatchUse { batch: latest, closes: None },
        })
    }

    fn has_rested(&self, batch: &Batch) -> bool {
        self.clock.ms_since(&batch.state.last_clock).is_some_and(|ms| ms >= self.rules.export_rest_ms)
    }
}
