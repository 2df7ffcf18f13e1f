//! Reprocessing: rejected payloads judged again by the current grammar and tables.
//!
//! **A payload is accepted if it is an event today,** after a merge or by a better grammar. An event id that another
//! payload has taken meanwhile stays with that payload. To accept both is for a person to decide, by a correction.

use super::correct::era_of;
use super::{History, Judge, Rules, Verdict};
use crate::change::{LateEvent, Received, Reprocessed};
use crate::clock::ClockReading;
use crate::fold::{Rows, RowsError};
use crate::payload::{self, Supplement};
use crate::position::Sequence;
use crate::tables::{RejectedRow, sequence_key};

/// Judges the rejected payload `of` again, for the change `sequence`.
///
/// Returns `None` if the payload is still not an event, or is no longer rejected. The repeat window is not checked: this
/// is the payload that repeats are compared with.
pub fn decide_reprocess<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    of: Sequence,
    clock: ClockReading,
) -> Result<Option<Reprocessed>, RowsError> {
    if rows.read::<RejectedRow>(&sequence_key(of))?.is_none() {
        return Ok(None);
    }
    let Some(received) = history.received_at(of)? else { return Ok(None) };
    let arrival = received.arrival();
    let Received { raw, mut origin, .. } = *received;
    origin.reader_era = era_of(rows, of, &origin)?;
    let known = Supplement { weight_unit: rules.weight_unit(&origin.reader_group), ..Supplement::default() };
    let Ok(event) = payload::parse_with(&raw, &known).outcome else { return Ok(None) };
    // The clock of its arrival: an export belongs to the batch of that time, however long that has rested since.
    let judge = Judge::new(rows, rules, sequence, &origin, arrival);
    if let Some(id) = &event.id
        && judge.payload_with_id(&origin.reader_group, origin.reader_era, id)?.is_some()
    {
        return Ok(None);
    }
    let Verdict::Accepted { accepted, previous } = judge.place(event)? else { return Ok(None) };
    let event = LateEvent { of, received: arrival, accepted: *accepted, origin: origin.clone() };
    Ok(Some(Reprocessed { clock, event, previous }))
}
