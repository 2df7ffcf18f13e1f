//! The fold: the effect of a Change on the tables.
//!
//! The fold is total and pure. It does not parse or reject, and it reads no clock, setting or random number, only the
//! tables and the Change. The source decided everything that needed a look-up or a judgment, and wrote it into the
//! Change. So a replica equals its source by construction.
//!
//! A change of this code that writes other rows for an existing log needs a new [`FOLD_VERSION`].

mod absorb;
mod accepted;
mod batches;
mod corrected;
mod counters;
mod edits;
mod era_move;
mod late_event;
mod staged;

pub use crate::tables::FOLD_VERSION;
pub(crate) use accepted::is_outdated;
pub use staged::{Cells, KeyRange, NoRows, Row, RowMaps, Rows, RowsError, SealedRow, StagedRows, decode};
pub(crate) use staged::{LayerValue, merge_range};

use crate::change::{BatchId, Change, Outcome, Received, RejectedPayload};
use crate::clock::ClockReading;
use crate::payload::Rejection;
use crate::position::Sequence;
use crate::tables::{Key, ReadmittedPayload, RejectedRow, RejectionHour, Totals, digest_key, sequence_key};

/// Key of the only row of [`Table::Totals`](crate::tables::Table::Totals).
pub(crate) const TOTALS_KEY: Key = Key::new();

/// One hour of time since boot, milliseconds.
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// Folds the change `sequence` into the tables.
pub fn fold<B: Rows>(rows: &mut StagedRows<B>, sequence: Sequence, change: &Change) -> Result<(), RowsError> {
    let clock = change.clock();
    match change {
        Change::Received(received) => folded(rows, sequence, clock, |fold| fold.received(received))?,
        Change::Reprocessed(body) => folded(rows, sequence, clock, |fold| fold.late_event(&body.event))?,
        Change::Corrected(corrected) => folded(rows, sequence, clock, |fold| fold.corrected(corrected))?,
        Change::EraMove(step) => folded(rows, sequence, clock, |fold| fold.era_move(step))?,
        Change::Suppressed(body) => folded(rows, sequence, clock, |fold| {
            fold.totals.suppressed = fold.totals.suppressed.saturating_add(body.count);
            Ok(())
        })?,
        // The log itself lists the epochs of a history, and can be read before any table exists.
        Change::Epoch(_) => {}
    }
    rows.end_change(sequence);
    Ok(())
}

/// A change that is being folded.
pub(crate) struct Folding<'a, B> {
    pub(crate) rows: &'a mut StagedRows<B>,
    pub(crate) sequence: Sequence,
    clock: ClockReading,
    /// The payload of an event that is accepted later than it happened. It must not set times back.
    late: Option<Sequence>,
    /// True if the payload was lost and comes back: what became of its animal since may be in the tables.
    readmitted: bool,
    totals: Totals,
    /// Batches that animals left in this change.
    left: Vec<BatchId>,
}

/// Applies `step` to the rows and writes the totals. The caller then ends the change.
pub(crate) fn folded<B: Rows>(
    rows: &mut StagedRows<B>,
    sequence: Sequence,
    clock: ClockReading,
    step: impl FnOnce(&mut Folding<'_, B>) -> Result<(), RowsError>,
) -> Result<(), RowsError> {
    let totals = rows.read(&TOTALS_KEY)?.unwrap_or_default();
    let mut folding = Folding { rows, sequence, clock, late: None, readmitted: false, totals, left: Vec::new() };
    step(&mut folding)?;
    let totals = folding.totals;
    rows.write(TOTALS_KEY, totals)
}

impl<B: Rows> Folding<'_, B> {
    fn received(&mut self, change: &Received) -> Result<(), RowsError> {
        self.totals.received += 1;
        match &change.readmission {
            Some(former) => {
                (self.late, self.readmitted, self.clock) = (Some(self.sequence), true, change.arrival());
                self.totals.last_received = self.totals.last_received.later(change.clock.wall());
                self.rows.write(digest_key(&former.digest), ReadmittedPayload(self.sequence))?;
            }
            None => self.totals.last_received = change.clock.wall(),
        }
        match &change.outcome {
            Outcome::Accepted(accepted) => {
                self.totals.accepted += 1;
                if let Some(id) = &accepted.event.id {
                    self.occupy_event_id(&change.origin, id, self.sequence)?;
                    self.count_event_id(&change.origin, id)?;
                }
                self.accepted(&change.origin, accepted)?;
            }
            Outcome::Rejected(rejected) => self.rejected(change, rejected)?,
        }
        self.totals.texts_forgotten = self.totals.texts_forgotten.max(change.forget_through);
        Ok(())
    }

    fn rejected(&mut self, change: &Received, rejected: &RejectedPayload) -> Result<(), RowsError> {
        self.totals.rejected += 1;
        self.rows.write(sequence_key(self.sequence), RejectedRow(rejected.reason.number()))?;
        if let Some(id) = &rejected.event_id {
            self.count_event_id(&change.origin, id)?;
        }
        if matches!(rejected.reason, Rejection::EventIdReused { .. }) {
            self.count_collision(&change.origin)?;
        }
        // One that comes back did not arrive in this hour.
        if self.late.is_some() { Ok(()) } else { self.count_rejection(&change.origin.channel) }
    }

    /// Counts a recorded rejection of `channel` in the current hour since boot.
    fn count_rejection(&mut self, channel: &str) -> Result<(), RowsError> {
        let now = RejectionHour { boot: self.clock.boot, hour: self.clock.since_boot_ms / HOUR_MS, count: 0 };
        self.rows.edit_or_default(channel.into(), |row: &mut RejectionHour| {
            let before = if (row.boot, row.hour) == (now.boot, now.hour) { row.count } else { 0 };
            *row = RejectionHour { count: before.saturating_add(1), ..now };
        })
    }
}
