//! History of an animal: every change that touched it, latest first.
//!
//! # Decisions
//!
//! - **A history is a walk back through the log.** Each change names, for each animal that it touches, the change that
//!   touched it before. A history table would have to be written with every event; the walk costs only those who look.
//! - **A voided event stays in the history, marked as voided.** Whoever looks for a read must find it, and see why it
//!   does not count. Corrections are entries as well.
//! - **A merged animal has one history.** The walks of both animals run side by side, and their entries are interleaved
//!   by sequence.

use super::animal_view::{BatchName, BatchNames};
use super::event_view::{EventView, tag_use_name};
use super::{CorrectionView, Page, PageLimit, QueryError, readable};
use crate::change::{AnimalId, Change, Corrected, Origin, Outcome, PlacedEvent};
use crate::clock::ClockReading;
use crate::position::Sequence;
use crate::store::{DamagedRow, Snapshot, StoreError};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Maximum number of walks side by side: one for each merged animal whose own history is not finished yet.
const MAX_WALKS: usize = 256;

/// Cursor of a history: the next change of each walk.
///
/// It is written as `118`, or as `118,97` while the histories of an animal and of one merged into it run side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryCursor(BTreeSet<Sequence>);

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequences: Vec<_> = self.0.iter().rev().map(ToString::to_string).collect();
        f.write_str(&sequences.join(","))
    }
}

impl FromStr for HistoryCursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let parts: Vec<_> = text.split(',').take(MAX_WALKS + 1).collect();
        let sequences: BTreeSet<_> = parts.iter().filter_map(|part| part.parse().ok()).map(Sequence).collect();
        // Every part must be a number, no two may be equal, and there may not be too many.
        if sequences.len() < parts.len() || parts.len() > MAX_WALKS {
            return Err(QueryError::invalid_cursor(text));
        }
        Ok(Self(sequences))
    }
}

impl Serialize for HistoryCursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Entry in the history of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HistoryEntry {
    /// An event that a payload reported.
    Event(Box<EventEntry>),
    /// A correction by an operator.
    Correction(Box<CorrectionEntry>),
}

/// Event in the history of its animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventEntry {
    /// Change that made the payload an event.
    pub sequence: Sequence,
    /// Arrival of the payload by the barn's clock, ISO 8601 in UTC; `None` if that clock had never been set.
    pub received_at: Option<String>,
    /// `true` if that clock followed a time source at that time.
    pub clock_synchronized: bool,
    /// Name of the radio, modem or HTTP key.
    pub channel: String,
    /// Signal strength; `None` over HTTP.
    pub rssi_dbm: Option<i16>,
    /// Trimmed text of the payload.
    pub payload: String,
    /// Change that holds the payload, if the later change `sequence` accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Sequence>,
    /// Correction that accepted it, if an operator did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction: Option<CorrectionView>,
    /// Change that voided the event, or moved it to another animal. It is still shown, but no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_by: Option<Sequence>,
    /// Correction whose weight replaces that of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reweighed_by: Option<Sequence>,
    /// The event.
    #[serde(flatten)]
    pub event: EventView,
    /// Use of its LF tag: `assigned`, `sighted`, `unconfirmed` or `past`.
    pub lf_use: Option<&'static str>,
    /// Use of its UHF tag.
    pub epc_use: Option<&'static str>,
    /// Batch that the event names.
    pub batch: Option<BatchName>,
    /// Animal to which the event was assigned at that time.
    pub animal: AnimalId,
    /// Animal that it merged into its own, because it proves both to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<AnimalId>,
}

/// Correction in the history of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorrectionEntry {
    /// Change of the correction.
    pub sequence: Sequence,
    /// Always `corrected`. Events have their own kind in this place.
    pub kind: &'static str,
    /// The correction, with author and reason.
    #[serde(flatten)]
    pub correction: CorrectionView,
}

impl HistoryEntry {
    /// Returns the change of the entry.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Event(entry) => entry.sequence,
            Self::Correction(entry) => entry.sequence,
        }
    }
}

/// Change in a history, as the walk read it.
pub(super) struct Step {
    pub(super) sequence: Sequence,
    pub(super) body: StepBody,
}

/// Contents of a step.
pub(super) enum StepBody {
    Event(Box<EventBody>),
    Correction(Box<Corrected>),
}

/// Event of a payload, accepted on arrival or later.
pub(super) struct EventBody {
    /// Change that holds the payload.
    pub(super) of: Sequence,
    pub(super) received: ClockReading,
    origin: Origin,
    pub(super) accepted: PlacedEvent,
    pub(super) voided_by: Option<Sequence>,
    /// Correction that accepted the payload, if an operator did.
    correction: Option<CorrectionView>,
}

/// Walk back through the history of one animal.
pub(super) struct Walk<'a> {
    snapshot: &'a Snapshot,
    animal: AnimalId,
    /// Animals merged into it that the walk has met so far.
    merged: BTreeSet<AnimalId>,
    /// Next changes to read, one for each animal that is walked.
    ahead: BTreeSet<Sequence>,
}

impl Walk<'_> {
    /// Reads the latest change that is ahead.
    pub(super) fn step(&mut self) -> Result<Option<Step>, QueryError> {
        let Some(sequence) = self.ahead.pop_last() else { return Ok(None) };
        let lost = || StoreError::DamagedLog {
            row: DamagedRow { first: sequence, last: sequence },
            why: "the history of an animal leads to it, but it is not an event",
        };
        let change = self.snapshot.change(sequence)?.ok_or_else(lost)?;
        let mut is_own = false;
        for (animal, before) in change.previous() {
            // An animal that this change merged and a void separated again has its own history.
            if self.includes(*animal)? {
                is_own = true;
                // Only backwards: a damaged history that leads forwards would never end.
                self.ahead.extend(Some(*before).filter(|before| (Sequence(1)..sequence).contains(before)));
            }
        }
        // A made-up cursor must not show the history of another animal.
        if !is_own {
            return Err(QueryError::ForeignCursor { sequence, animal: self.animal });
        }
        Ok(Some(Step { sequence, body: self.body(sequence, change)?.ok_or_else(lost)? }))
    }

    /// Returns `true` for the animal itself and for animals that were merged into it.
    fn includes(&mut self, id: AnimalId) -> Result<bool, QueryError> {
        if id == self.animal || self.merged.contains(&id) {
            return Ok(true);
        }
        let is_merged = self.snapshot.animal_row(id)?.is_some_and(|(successor, _)| successor == self.animal);
        if is_merged {
            self.merged.insert(id);
        }
        Ok(is_merged)
    }

    /// Returns the contents of a change, or `None` if it does not belong into a history.
    fn body(&mut self, sequence: Sequence, change: Change) -> Result<Option<StepBody>, QueryError> {
        // A move takes its event from one animal to another, and is in the history of both.
        let is_event = match &change {
            Change::EraMove(step) => match step.event() {
                Some(event) => self.includes(event.accepted.animal)?,
                None => false,
            },
            Change::Corrected(corrected) => corrected.accepts().is_some(),
            _ => true,
        };
        let correction = match &change {
            Change::Corrected(corrected) => Some((**corrected).clone()),
            // An event is shown without the order that moved it, if that cannot be read.
            Change::EraMove(step) if is_event => readable(self.snapshot.corrected(step.order))?,
            Change::EraMove(step) => self.snapshot.corrected(step.order)?,
            _ => None,
        };
        if !is_event {
            return Ok(correction.map(|corrected| StepBody::Correction(Box::new(corrected))));
        }
        let (of, received, origin, accepted) = match change {
            Change::Received(received) => match received.outcome {
                Outcome::Accepted(accepted) => (sequence, received.clock, received.origin, *accepted),
                Outcome::Rejected(_) => return Ok(None),
            },
            late => match late.late_event().cloned() {
                Some(event) => (event.of, event.received, event.origin, event.accepted),
                None => return Ok(None),
            },
        };
        let voided_by = self.snapshot.amendments(of)?.end_of_event(of, sequence);
        let correction = correction.as_ref().map(CorrectionView::from);
        Ok(Some(StepBody::Event(Box::new(EventBody { of, received, origin, accepted, voided_by, correction }))))
    }

    /// Returns the cursor of the next page, or `None` at the start of the history.
    pub(super) fn cursor(self) -> Option<HistoryCursor> {
        (!self.ahead.is_empty()).then_some(HistoryCursor(self.ahead))
    }
}

impl Snapshot {
    /// Returns the history of an animal, latest first, from its last change or from the cursor of the previous page.
    ///
    /// For an animal that was merged into another, this is the history of that other. Returns `None` if there is no
    /// such animal.
    pub fn history(
        &self,
        animal: AnimalId,
        from: Option<HistoryCursor>,
        limit: PageLimit,
    ) -> Result<Option<Page<HistoryEntry, HistoryCursor>>, QueryError> {
        let Some(mut walk) = self.walk(animal, from)? else { return Ok(None) };
        let mut names = BatchNames::default();
        let mut data = Vec::new();
        while data.len() < limit.entries()
            && let Some(step) = walk.step()?
        {
            data.push(self.entry(step, &mut names)?);
        }
        Ok(Some(Page { data, next: walk.cursor() }))
    }

    /// Starts a walk, or returns `None` if there is no such animal.
    pub(super) fn walk(&self, animal: AnimalId, from: Option<HistoryCursor>) -> Result<Option<Walk<'_>>, QueryError> {
        let Some((id, row)) = self.animal_row(animal)? else { return Ok(None) };
        let ahead = from.map_or_else(|| BTreeSet::from([row.last]), |cursor| cursor.0);
        if let Some(sequence) = ahead.last().filter(|sequence| **sequence > row.last) {
            return Err(QueryError::ForeignCursor { sequence: *sequence, animal: id });
        }
        Ok(Some(Walk { snapshot: self, animal: id, merged: BTreeSet::new(), ahead }))
    }

    /// Makes the entry of a step.
    fn entry(&self, step: Step, names: &mut BatchNames) -> Result<HistoryEntry, QueryError> {
        let sequence = step.sequence;
        let event = match step.body {
            StepBody::Correction(corrected) => {
                let correction = CorrectionView::from(&*corrected);
                return Ok(HistoryEntry::Correction(Box::new(CorrectionEntry {
                    sequence,
                    kind: "corrected",
                    correction,
                })));
            }
            StepBody::Event(event) => event,
        };
        let EventBody { of, received, origin, accepted, voided_by, correction } = *event;
        let batch = accepted.batch.map_or(Ok(None), |named| names.name(self, named.batch))?;
        let text = readable(self.received(of))?.map(|payload| String::from_utf8_lossy(payload.text()).into_owned());
        Ok(HistoryEntry::Event(Box::new(EventEntry {
            sequence,
            received_at: received.wall().iso_utc(),
            clock_synchronized: received.synchronized,
            channel: origin.channel.into(),
            rssi_dbm: origin.rssi_dbm,
            payload: text.unwrap_or_default(),
            accepted: Some(of).filter(|of| *of != sequence),
            correction,
            voided_by,
            reweighed_by: self.amendments(sequence)?.reweighed_by,
            lf_use: tag_use_name(accepted.lf),
            epc_use: tag_use_name(accepted.epc),
            batch,
            animal: accepted.animal,
            absorbed: accepted.absorbed,
            event: EventView::from(accepted.event),
        })))
    }
}
