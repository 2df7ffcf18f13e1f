//! The fold: tables and one Change make the next tables.
//!
//! It is total and pure. It never parses, never rejects, reads no clock, no setting and no random number; it reads
//! only the tables and the Change. What had to be looked up or judged, the source decided and wrote into the Change.
//! That is why a replica equals its source by construction.
//!
//! Beware when altering it: whatever it writes differently for a log that exists needs a new [`FOLD_VERSION`].

mod absorb;
mod accepted;
mod batches;
mod counters;
mod staged;
mod texts;

pub use staged::{KeyRange, NoRows, Rows, RowsError, Staged, StagedRow, decode};
pub(crate) use texts::HOUR_MS;

use crate::change::{BatchId, Change, Outcome, Received, Suppressed};
use crate::clock::ClockReading;
use crate::position::Sequence;
use crate::tables::{Key, Table, Totals, sequence_key};

/// What the fold makes of a log. Tables made by another version are folded again; only under an equal version are
/// fold digests compared.
pub const FOLD_VERSION: u32 = 1;

/// The key of the only row of [`Table::Totals`].
pub(crate) const TOTALS_KEY: Key = Key::new();

/// Folds `change`, which has the number `sequence`, into the tables, and closes it in the fold digest.
pub fn fold<B: Rows>(rows: &mut Staged<B>, sequence: Sequence, change: &Change) -> Result<(), RowsError> {
    match change {
        Change::Received(received) => received_change(rows, sequence, received)?,
        Change::Suppressed(suppressed) => suppressed_change(rows, suppressed)?,
        // The epochs of a history are kept with its log, which can be read before any table exists.
        Change::Epoch(_) => {}
    }
    rows.end_change(sequence);
    Ok(())
}

/// One change while it is folded.
struct Folding<'a, B> {
    rows: &'a mut Staged<B>,
    sequence: Sequence,
    clock: ClockReading,
    totals: Totals,
    /// Batches that an animal left in this change.
    left: Vec<BatchId>,
}

fn received_change<B: Rows>(rows: &mut Staged<B>, sequence: Sequence, change: &Received) -> Result<(), RowsError> {
    let totals = rows.read(Table::Totals, &TOTALS_KEY)?.unwrap_or_default();
    let mut folding = Folding { rows, sequence, clock: change.clock, totals, left: Vec::new() };
    folding.totals.received += 1;
    folding.totals.last_received_at_us = change.clock.received_at_us;
    match &change.outcome {
        Outcome::Accepted(accepted) => {
            folding.totals.accepted += 1;
            match &accepted.event.id {
                Some(id) => folding.event_heard(&change.origin, id, true)?,
                None => folding.remember_text(change.text()),
            }
            folding.accepted(&change.origin, accepted)?;
        }
        Outcome::Rejected(rejected) => {
            folding.totals.rejected += 1;
            folding.rows.write(Table::Rejected, sequence_key(sequence), &rejected.reason.number());
            if let Some(id) = &rejected.event_id {
                folding.event_heard(&change.origin, id, false)?;
            }
            folding.remember_text(change.text());
            folding.count_rejection(&change.origin.channel)?;
        }
    }
    folding.forget_texts(change.forget_through)?;
    let totals = folding.totals;
    rows.write(Table::Totals, TOTALS_KEY, &totals);
    Ok(())
}

fn suppressed_change<B: Rows>(rows: &mut Staged<B>, change: &Suppressed) -> Result<(), RowsError> {
    let mut totals: Totals = rows.read(Table::Totals, &TOTALS_KEY)?.unwrap_or_default();
    totals.suppressed = totals.suppressed.saturating_add(change.count);
    rows.write(Table::Totals, TOTALS_KEY, &totals);
    Ok(())
}
