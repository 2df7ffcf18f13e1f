//! Payloads that were rejected, judged anew by the grammar and the tables of today.

use super::{History, Judge, Rules, Verdict};
use crate::change::{LateEvent, Received, Reprocessed};
use crate::clock::ClockReading;
use crate::fold::{Rows, RowsError};
use crate::payload::{self, EventId};
use crate::position::Sequence;
use crate::tables::{Table, reader_key, sequence_key};

/// Judges the rejected payload `of` anew, for the change `sequence`. None where it is no event still, or is none of
/// the rejections any more.
///
/// Its own repeat window does not count: it is the payload that repeats were held against. An event id that another
/// payload has by now is taken still, whichever came first: to accept both is for a person to decide.
pub fn decide_again<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    of: Sequence,
    clock: ClockReading,
) -> Result<Option<Reprocessed>, RowsError> {
    if rows.get(Table::Rejected, &sequence_key(of))?.is_none() {
        return Ok(None);
    }
    let Some(received) = history.received_at(of)? else { return Ok(None) };
    let Received { raw, origin, clock: received, .. } = *received;
    let Ok(event) = payload::parse(&raw) else { return Ok(None) };
    // By the clock of when it came: an export of then is of the batch of then, however long that has rested since.
    let judge = Judge::new(rows, rules, sequence, &origin, received);
    if let Some(id) = &event.id
        && judge.is_occupied(id)?
    {
        return Ok(None);
    }
    let Verdict::Accepted { accepted, previous } = judge.place(event)? else { return Ok(None) };
    let event = LateEvent { of, received, accepted: *accepted, origin: origin.clone() };
    Ok(Some(Reprocessed { clock, event, previous }))
}

impl<R: Rows> Judge<'_, R> {
    fn is_occupied(&self, id: &EventId) -> Result<bool, RowsError> {
        let key = reader_key(&self.origin.reader_group, self.origin.reader_era, &id.text);
        Ok(self.rows.get(Table::EventIds, &key)?.is_some())
    }
}
