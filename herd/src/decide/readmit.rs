//! Payloads that were lost and come back: from behind a gap of the log, or from an office.
//!
//! # Decisions
//!
//! - **A payload is known by its former place, or by its event id and text.** The repeat window compares times since boot,
//!   and those of a lost history say nothing about this one: a payload of the lost boot 7 would pass for a repetition of one
//!   of another boot 7, and be gone.
//! - **Its time since boot is compared with no other.** Two machines count their boots each for themselves, so whether a batch
//!   has rested is known from synchronized clocks only.
//! - **None is suppressed.** It was answered as stored once, and counts for no hour of this boot.
//! - **An event names no batch if its animal was seen after it.** It would open one that its animal is not in, or close one
//!   that has rested since.
//! - **Its readers keep their era, unless the log has not come to that one yet.** An era that began in the lost part never
//!   began here.

use super::{Decision, History, Judge, Rules, Verdict, received};
use crate::change::{Change, Origin, Outcome, PlacedEvent, Readmission, RejectedPayload};
use crate::clock::ClockReading;
use crate::fold::{Rows, RowsError, is_outdated};
use crate::payload::{self, ParsedPayload, Supplement};
use crate::position::Sequence;
use crate::tables::{Animal, ReaderEra, ReadmittedPayload, digest_key, number_key};

/// A payload that was answered as stored, and is not in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPayload {
    /// The bytes as received.
    pub raw: Vec<u8>,
    /// Its origin, with the reader era of that time.
    pub origin: Origin,
    /// When it arrived.
    pub clock: ClockReading,
    /// Its former place, and who brings it back.
    pub readmission: Readmission,
}

/// Decides about a payload that comes back, which becomes the change `sequence` unless the log holds it.
pub fn decide_readmission<R: Rows>(
    rows: &R,
    history: &impl History,
    rules: &Rules,
    sequence: Sequence,
    lost: &LostPayload,
) -> Result<Decision, RowsError> {
    let LostPayload { raw, origin, clock, readmission } = lost;
    if let Some(ReadmittedPayload(of)) = rows.read(&digest_key(&readmission.digest))? {
        return Ok(Decision::Duplicate { of });
    }
    let known = Supplement { weight_unit: rules.weight_unit(&origin.reader_group), ..Supplement::default() };
    let ParsedPayload { text: range, outcome } = payload::parse_with(raw, &known);
    let mut origin = origin.clone();
    let era = rows.read::<ReaderEra>(&origin.reader_group.as_str().into())?.map_or(1, |era| era.0);
    origin.reader_era = origin.reader_era.clamp(1, era);
    let judge = Judge::new(rows, rules, sequence, &origin, clock.of_no_boot());
    let repeated = match &outcome {
        Ok(event) if event.id.is_some() => judge.repeated_event(history, event, &raw[range.clone()])?,
        _ => None,
    };
    let verdict = match (repeated, outcome) {
        (Some(repeat), _) => repeat,
        (None, Ok(event)) => judge.place(event)?,
        (None, Err(reason)) => Verdict::Rejected(RejectedPayload { reason, event_id: None }),
    };
    let (outcome, previous) = match verdict {
        Verdict::Duplicate { of } => return Ok(Decision::Duplicate { of }),
        Verdict::Accepted { mut accepted, previous } => {
            if is_seen_later(rows, &accepted, clock)? {
                accepted.batch = None;
            }
            (Outcome::Accepted(accepted), previous)
        }
        Verdict::Rejected(rejected) => (Outcome::Rejected(rejected), Vec::new()),
    };
    let mut change = received(raw, range, origin, *clock, outcome, previous);
    change.readmission = Some(Box::new(readmission.clone()));
    Ok(Decision::Keep(Change::Received(change)))
}

/// Returns whether an animal of the event was seen after it.
pub(super) fn is_seen_later<R: Rows>(
    rows: &R,
    accepted: &PlacedEvent,
    clock: &ClockReading,
) -> Result<bool, RowsError> {
    for id in [Some(accepted.animal), accepted.absorbed].into_iter().flatten() {
        let animal = rows.shared::<Animal>(&number_key(id.0))?;
        if animal.is_some_and(|animal| is_outdated(clock.wall(), animal.state.last_seen)) {
            return Ok(true);
        }
    }
    Ok(false)
}
