//! Checks on the weighing that a correction replaces, and on the time that it names.

use super::{CorrectionError, DecideError};
use crate::change::{AnimalId, Change, Correction, Outcome, PlacedEvent, WeighingTime};
use crate::clock::EARLIEST_US;
use crate::decide::{History, Judge};
use crate::fold::{Rows, RowsError};
use crate::position::Sequence;

impl<R: Rows> Judge<'_, R> {
    /// Checks that the time has passed, or that it is that of a weighing of the animal which still counts.
    pub(super) fn check_weighing_time(
        &self,
        history: &impl History,
        animal: AnimalId,
        when: WeighingTime,
    ) -> Result<(), DecideError> {
        match when {
            WeighingTime::Now => Ok(()),
            WeighingTime::At(at_us) => {
                let is_future = self.clock.synchronized && at_us > self.clock.received_at_us;
                let is_possible = at_us >= EARLIEST_US && !is_future;
                if is_possible { Ok(()) } else { Err(CorrectionError::WeighingTime { at_us }.into()) }
            }
            WeighingTime::InsteadOf(weighing) => self.check_weighing(history, animal, weighing),
        }
    }

    fn check_weighing(&self, history: &impl History, animal: AnimalId, at: Sequence) -> Result<(), DecideError> {
        let not_weighed = CorrectionError::NoWeighing { sequence: at, animal };
        let Some(change) = history.change_at(at)? else { return Err(not_weighed.into()) };
        let Some((payload, weighed)) = weighing_in(at, &change) else { return Err(not_weighed.into()) };
        if self.successor(weighed)? != animal {
            return Err(not_weighed.into());
        }
        if let Some(payload) = payload
            && self.amendments(payload)?.event_change(payload) != Some(at)
        {
            return Err(not_weighed.into());
        }
        match self.amendments(at)?.reweighed_by {
            Some(by) => Err(CorrectionError::WeighingReplaced { sequence: at, by }.into()),
            None => Ok(()),
        }
    }
}

/// Returns the time with the place of the weighing that it names: that of the payload, if it was moved into a reader era.
pub(super) fn placed_weighing(history: &impl History, when: WeighingTime) -> Result<WeighingTime, RowsError> {
    let WeighingTime::InsteadOf(at) = when else { return Ok(when) };
    let moved = match history.change_at(at)? {
        Some(Change::EraMove(step)) => step.event().map(|event| event.of),
        _ => None,
    };
    Ok(WeighingTime::InsteadOf(moved.unwrap_or(at)))
}

/// Returns the animal that the change weighs, and the payload whose event that is.
fn weighing_in(sequence: Sequence, change: &Change) -> Option<(Option<Sequence>, AnimalId)> {
    let of_event = |payload, placed: &PlacedEvent| placed.event.weight.grams().map(|_| (Some(payload), placed.animal));
    match change {
        Change::Received(received) => match &received.outcome {
            Outcome::Accepted(placed) => of_event(sequence, placed),
            Outcome::Rejected(_) => None,
        },
        Change::Corrected(corrected) if corrected.accepts().is_none() => match corrected.correction {
            Correction::Weigh { animal, .. } => Some((None, animal)),
            _ => None,
        },
        other => other.late_event().and_then(|late| of_event(late.of, &late.accepted)),
    }
}
