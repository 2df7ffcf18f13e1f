//! Voids an event: rewrites the history of its animal without it.
//!
//! A voided event stays in the history, struck out: a person who looks for a read must find it, and see why it does not
//! count. Its event id stays occupied, so a reader that sends it again is answered as a duplicate. The pens, sexes and
//! funders that it brought to its batch are still shown there.

use super::rewrite::{EventPlace, HistoryEdit};
use super::{CorrectionEffect, CorrectionError, DecideError};
use crate::change::{self, Change, CorrectionResult, PlacedEvent, Received};
use crate::decide::{History, Judge};
use crate::fold::{Rows, RowsError};
use crate::position::Sequence;
use crate::tables::Amendments;

impl<R: Rows> Judge<'_, R> {
    /// Voids the event of the payload `of`.
    pub(super) fn void(&self, history: &impl History, of: Sequence) -> Result<CorrectionEffect, DecideError> {
        let received = history.received_at(of)?.ok_or(CorrectionError::UnknownPayload(of))?;
        let amendments = self.amendments(of)?;
        if let Some(by) = amendments.void() {
            return Err(CorrectionError::AlreadyVoided { sequence: of, by }.into());
        }
        let voided = event_place(history, of, &received, amendments)?.ok_or(CorrectionError::NotAnEvent(of))?;
        let rewrite = self.rewrite(history, HistoryEdit { dropped: Some(&voided), inserted: None })?;
        Ok((CorrectionResult::States(Box::new(rewrite.states)), rewrite.previous))
    }
}

/// Returns the event that the payload is now, or `None` if it is rejected.
pub(super) fn event_place(
    history: &impl History,
    of: Sequence,
    received: &Received,
    amendments: Amendments,
) -> Result<Option<EventPlace>, RowsError> {
    let place = |by, at, accepted: &PlacedEvent, era| {
        let batch = accepted.batch.map(|named| named.batch);
        EventPlace { by, at, animal: accepted.animal, batch, era }
    };
    let Some(by) = amendments.accepted_by else {
        return Ok(match &received.outcome {
            change::Outcome::Accepted(accepted) => Some(place(of, of, accepted, received.origin.reader_era)),
            change::Outcome::Rejected(_) => None,
        });
    };
    let change = history.change_at(by)?;
    let at = if matches!(change, Some(Change::EraMove(_))) { of } else { by };
    let event = change.as_ref().and_then(Change::late_event);
    Ok(event.map(|event| place(by, at, &event.accepted, event.origin.reader_era)))
}
