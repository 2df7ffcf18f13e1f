//! Moves payloads into the reader era that an operator began at an earlier payload.
//!
//! Readers that were replaced or reset count from 1 again. If nobody said so in time, some of their payloads were rejected
//! because their event ids were taken, and others became events of animals that had the same lids before. An order
//! (`new_reader_era` with `from`) begins the era for what comes from then on, and a step for each earlier payload follows:
//!
//! - A rejected payload becomes an event of the new era, if it can be one.
//! - An event with an id is taken out of the history of its animal, as by a void, and put in where its lid of the new era
//!   and its tags lead. It counts from the place at which it was received.
//! - An event without an id has no lid and does not depend on the era. It stays as it is, unless its tags lead to another
//!   animal by now, because that animal got them in the era. A voided event stays void.
//!
//! # Decisions
//!
//! - **Each payload is a Change of its own, with the states that it leaves.** One Change for all would exceed its bound,
//!   and a kill would begin again. The tables hold how far an order is ([`EraStart`]). So a start, or the same order again,
//!   goes on where it was; and a payload whose event is of the era by now is never moved again.
//! - **A moved event takes effect at its place in the history, not at its move.** A late read of an animal that has left
//!   since would bring it back to the yard, and an earlier weight would hide the last one. To void and accept each payload,
//!   as an operator could, was rejected for that reason. A payload that was lost and came back takes effect as it did then: its
//!   place is where it came back, and its time may be an earlier one.
//! - **The animal that a payload founds has the number of the payload**, not that of the move. So an animal that was
//!   founded in the wrong era keeps its number, and the corrections that were made of it.
//! - **An event that contradicts the new era is voided, with the reason.** If it stayed, an old animal would keep a lot or a
//!   weight of another one. An operator can accept it for an animal.
//! - **A payload whose animals have too long a history stays as it was**, and the order goes on. The status counts these.

use super::insertion::Insertion;
use super::rewrite::{EventPlace, HistoryEdit, Rewrite};
use super::void::event_place;
use super::{CorrectionError, DecideError};
use crate::change::{
    self, Change, EraMove, LateEvent, MoveObstacle, MoveResult, MovedPayload, Origin, Received, States,
};
use crate::clock::ClockReading;
use crate::decide::{History, Judge, Previous, Rules};
use crate::fold::{KeyRange, Rows, RowsError, decode};
use crate::payload::{self, Event, Rejection, Supplement};
use crate::position::Sequence;
use crate::tables::{Amendments, EraStart, Table, TagKind, after_prefix, reader_group_prefix, sequence_key};

/// Maximum number of eras of a reader group that are read, from the latest down. A yard has a handful.
const MAX_ERAS_READ: usize = 64;

/// A payload to be moved.
struct Candidate {
    received: Received,
    event: Event,
    /// The event that it is now; `None` if it is rejected.
    former: Option<EventPlace>,
}

/// The result of a move, the states that it leaves and the animals that it touches.
type MoveOutcome = (MoveResult, Rewrite);

/// Decides how the payload `of` is moved into the era that `start` is about, as the change `sequence`.
///
/// Returns `None` if there is nothing to move: another change than a payload of these readers, one that cannot be an event
/// of the era, or one that is an event of it already.
pub fn decide_era_move<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    start: &EraStart,
    of: Sequence,
    clock: ClockReading,
) -> Result<Option<EraMove>, RowsError> {
    let Some(candidate) = candidate(rows, history, rules, start, of)? else { return Ok(None) };
    let Candidate { received, event, former } = candidate;
    let former_era = former.as_ref().map_or(received.origin.reader_era, |event| event.era);
    let arrival = received.arrival();
    let origin = Origin { reader_era: start.reader_era, ..received.origin };
    // The clock of its arrival: an export belongs to the batch of that time, however long that has rested since.
    let judge = Judge::new(rows, rules, sequence, &origin, arrival);
    let event_id = event.id.clone();
    let outcome = match judge.move_payload(history, of, &event, former.as_ref()) {
        Err(DecideError::Rows(error)) => return Err(error),
        Err(DecideError::Refused(_)) => Some((MoveResult::Left(MoveObstacle::TooMuchHistory), Rewrite::default())),
        Ok(outcome) => outcome,
    };
    Ok(outcome.map(|(result, Rewrite { states, previous, joined, .. })| {
        let payload = MovedPayload { of, former_era, event_id, result, joined, states };
        step(start, clock, of, Some(payload), previous)
    }))
}

/// Returns the step that leaves the payload `of` as it is.
pub fn leave_payload(start: &EraStart, of: Sequence, obstacle: MoveObstacle, clock: ClockReading) -> EraMove {
    let result = MoveResult::Left(obstacle);
    let (joined, states) = (Vec::new(), States::default());
    let payload = MovedPayload { of, former_era: 0, event_id: None, result, joined, states };
    step(start, clock, of, Some(payload), Vec::new())
}

/// Returns the step that ends an order.
pub fn end_of_era_moves(start: &EraStart, clock: ClockReading) -> EraMove {
    let last = Sequence(start.order.0.saturating_sub(1));
    step(start, clock, last, None, Vec::new())
}

fn step(
    start: &EraStart,
    clock: ClockReading,
    through: Sequence,
    payload: Option<MovedPayload>,
    previous: Vec<Previous>,
) -> EraMove {
    let EraStart { reader_group, reader_era, order, .. } = start.clone();
    EraMove { clock, reader_group, reader_era, order, through, payload, previous }
}

/// Returns the payload `of`, if it belongs to the era and is not in it yet.
fn candidate(
    rows: &impl Rows,
    history: &impl History,
    rules: &Rules,
    start: &EraStart,
    of: Sequence,
) -> Result<Option<Candidate>, RowsError> {
    if !start.covers(of) {
        return Ok(None);
    }
    let Some(received) = history.received_at(of)? else { return Ok(None) };
    if received.origin.reader_group != start.reader_group || received.origin.reader_era >= start.reader_era {
        return Ok(None);
    }
    let amendments = rows.read::<Amendments>(&sequence_key(of))?.unwrap_or_default();
    let former = event_place(history, of, &received, amendments)?;
    if amendments.void().is_some() || former.as_ref().is_some_and(|event| event.era >= start.reader_era) {
        return Ok(None);
    }
    let event = match (&former, event_of(history, &received, amendments.accepted_by)?) {
        (Some(_), Some(event)) => event,
        (Some(_), None) => return Ok(None),
        (None, _) => {
            let unit = rules.weight_unit(&received.origin.reader_group);
            let known = Supplement { weight_unit: unit, ..Supplement::default() };
            let Ok(event) = payload::parse_with(&received.raw, &known).outcome else { return Ok(None) };
            event
        }
    };
    Ok(Some(Candidate { received: *received, event, former }))
}

/// Returns the event as it was read when the payload became one.
fn event_of(
    history: &impl History,
    received: &Received,
    accepted_by: Option<Sequence>,
) -> Result<Option<Event>, RowsError> {
    let Some(by) = accepted_by else {
        return Ok(match &received.outcome {
            change::Outcome::Accepted(accepted) => Some(accepted.event.clone()),
            change::Outcome::Rejected(_) => None,
        });
    };
    let change = history.change_at(by)?;
    Ok(change.as_ref().and_then(Change::late_event).map(|late| late.accepted.event.clone()))
}

/// Returns the era of the payload `of`: that of its reception, or a later one that an operator began at it or before it.
pub(in crate::decide) fn era_of(rows: &impl Rows, of: Sequence, origin: &Origin) -> Result<u32, RowsError> {
    let from = reader_group_prefix(&origin.reader_group);
    let to = after_prefix(&from);
    let latest_first = KeyRange { from: &from, to: to.as_deref(), backwards: true, limit: MAX_ERAS_READ };
    for (key, value) in rows.range(Table::EraStarts, latest_first)? {
        let start: EraStart = decode(&key, &value)?;
        if start.covers(of) {
            return Ok(start.reader_era.max(origin.reader_era));
        }
    }
    Ok(origin.reader_era)
}

impl<R: Rows> Judge<'_, R> {
    /// Moves a payload into the era of the judge's origin. Returns `None` if it is rejected there too.
    fn move_payload(
        &self,
        history: &impl History,
        of: Sequence,
        event: &Event,
        former: Option<&EventPlace>,
    ) -> Result<Option<MoveOutcome>, DecideError> {
        if let Some(former) = former.filter(|_| event.id.is_none())
            && !self.leads_elsewhere(event, former)?
        {
            return Ok(None);
        }
        if let Some(other) = self.payload_with_event_id(event)?.filter(|other| *other != of) {
            return self.void_contradicted(history, Rejection::EventIdReused { of: other.0 }, former);
        }
        let batch = former.and_then(|event| event.batch);
        let insertion = Insertion { of, origin: self.origin, received: self.clock, event, batch };
        match self.rewrite(history, HistoryEdit { dropped: former, inserted: Some(&insertion) }) {
            Ok(Rewrite { placed: Some(accepted), states, previous, joined }) => {
                let late = LateEvent { of, origin: self.origin.clone(), received: self.clock, accepted };
                let rewrite = Rewrite { placed: None, states, previous, joined };
                Ok(Some((MoveResult::Event(Box::new(late)), rewrite)))
            }
            Ok(_) => Ok(None),
            Err(DecideError::Refused(CorrectionError::StillRejected { reason, .. })) => {
                self.void_contradicted(history, reason, former)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether a tag of the event leads to another animal than the event's own.
    fn leads_elsewhere(&self, event: &Event, former: &EventPlace) -> Result<bool, DecideError> {
        let own = self.successor(former.animal)?;
        for (kind, tag) in [(TagKind::Lf, &event.lf), (TagKind::Epc, &event.epc)] {
            if let Some(owner) = self.tag_owner(kind, tag.as_ref())?
                && self.successor(owner)? != own
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn payload_with_event_id(&self, event: &Event) -> Result<Option<Sequence>, RowsError> {
        let Some(id) = &event.id else { return Ok(None) };
        self.payload_with_id(&self.origin.reader_group, self.origin.reader_era, id)
    }

    /// Voids an event that contradicts the era. A payload that is no event stays rejected.
    fn void_contradicted(
        &self,
        history: &impl History,
        reason: Rejection,
        former: Option<&EventPlace>,
    ) -> Result<Option<MoveOutcome>, DecideError> {
        if former.is_none() {
            return Ok(None);
        }
        let rewrite = self.rewrite(history, HistoryEdit { dropped: former, inserted: None })?;
        Ok(Some((MoveResult::Voided(reason), rewrite)))
    }
}
