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
mod late_event;
mod staged;
mod states;
mod texts;

pub use staged::{KeyRange, NoRows, Rows, RowsError, StagedRow, StagedRows, decode};
pub(crate) use states::{animal_state, batch_state};
pub(crate) use texts::HOUR_MS;

use crate::change::{BatchId, Change, Outcome, Received, RejectedPayload};
use crate::clock::ClockReading;
use crate::payload::Rejection;
use crate::position::Sequence;
use crate::tables::{Key, Table, Totals, sequence_key};

/// Version of the rules of the fold. Tables of another version are rebuilt, and fold digests are compared only if the
/// versions are equal.
pub const FOLD_VERSION: u32 = 3;

/// Key of the only row of [`Table::Totals`].
pub(crate) const TOTALS_KEY: Key = Key::new();

/// Folds the change `sequence` into the tables and its rows into the fold digest.
pub fn fold<B: Rows>(rows: &mut StagedRows<B>, sequence: Sequence, change: &Change) -> Result<(), RowsError> {
    let clock = change.clock();
    match change {
        Change::Received(received) => folded(rows, sequence, clock, |fold| fold.received(received))?,
        Change::Reprocessed(body) => folded(rows, sequence, clock, |fold| fold.late_event(&body.event))?,
        Change::Corrected(corrected) => folded(rows, sequence, clock, |fold| fold.corrected(corrected))?,
        Change::Suppressed(body) => folded(rows, sequence, clock, |fold| {
            fold.totals.suppressed = fold.totals.suppressed.saturating_add(body.count);
            Ok(())
        })?,
        // The log itself lists the epochs of a history, and can be read before any table exists.
        Change::Epoch(_) => {}
    }
    rows.end_change(sequence)
}

/// A change that is being folded.
pub(crate) struct Folding<'a, B> {
    pub(crate) rows: &'a mut StagedRows<B>,
    pub(crate) sequence: Sequence,
    clock: ClockReading,
    /// True if the event is accepted later than it happened. It must not set times back.
    late: bool,
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
    let totals = rows.read(Table::Totals, &TOTALS_KEY)?.unwrap_or_default();
    let mut folding = Folding { rows, sequence, clock, late: false, totals, left: Vec::new() };
    step(&mut folding)?;
    let totals = folding.totals;
    rows.write(Table::Totals, TOTALS_KEY, &totals);
    Ok(())
}

impl<B: Rows> Folding<'_, B> {
    fn received(&mut self, change: &Received) -> Result<(), RowsError> {
        self.totals.received += 1;
        self.totals.last_received_at_us = change.clock.received_at_us;
        match &change.outcome {
            Outcome::Accepted(accepted) => {
                self.totals.accepted += 1;
                match &accepted.event.id {
                    Some(id) => {
                        self.occupy_event_id(&change.origin, id, self.sequence);
                        self.count_event_id(&change.origin, id)?;
                    }
                    None => self.remember_text(change.text()),
                }
                self.accepted(&change.origin, accepted)?;
            }
            Outcome::Rejected(rejected) => self.rejected(change, rejected)?,
        }
        self.forget_texts(change.forget_through)
    }

    fn rejected(&mut self, change: &Received, rejected: &RejectedPayload) -> Result<(), RowsError> {
        self.totals.rejected += 1;
        self.rows.write(Table::Rejected, sequence_key(self.sequence), &rejected.reason.number());
        if let Some(id) = &rejected.event_id {
            self.count_event_id(&change.origin, id)?;
        }
        if matches!(rejected.reason, Rejection::EventIdReused { .. }) {
            self.count_collision(&change.origin)?;
        }
        self.remember_text(change.text());
        self.count_rejection(&change.origin.channel)
    }
}
