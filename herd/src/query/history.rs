//! The history of an animal: every change that touched it, the latest first.
//!
//! Each change says for each animal that it touches which change touched it before, so a history is a walk back
//! through the log. Corrections are in it, and so is what they voided. Where one animal turned out to be another, two
//! walks run side by side and are told as one.

use super::animal_view::{BatchName, BatchNames};
use super::event_view::{EventView, tag_use_name};
use super::{CorrectionView, Page, PageLimit, QueryError};
use crate::change::{Accepted, AnimalId, Change, Corrected, Correction, Origin, Outcome};
use crate::clock::{ClockReading, iso_utc};
use crate::payload::kilograms;
use crate::position::Sequence;
use crate::store::{Snapshot, StoreError};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The most walks that run side by side: one for each animal that went up in this one and is not told to its end.
const MAX_WALKS: usize = 256;

/// Where a history goes on: the changes to tell next, the latest of each walk. Reads as `118`, or as `118,97` while an
/// animal and one that went up in it are told side by side.
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
        // Each part is a number of its own, and there are not too many.
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

/// One thing that happened to an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HistoryEntry {
    /// A payload told it.
    Event(Box<EventEntry>),
    /// A person corrected it.
    Correction(Box<CorrectionEntry>),
}

/// A payload's event in the history of its animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventEntry {
    /// The change.
    pub sequence: Sequence,
    /// When its payload came by the barn's clock, ISO 8601 in UTC.
    pub received_at: String,
    /// Whether that clock followed a time source then.
    pub clock_synchronized: bool,
    /// The named radio, modem or HTTP key.
    pub channel: String,
    /// Signal strength; none over HTTP.
    pub rssi_dbm: Option<i16>,
    /// The payload's trimmed text.
    pub payload: String,
    /// The payload, where it had been rejected and the change `sequence` accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Sequence>,
    /// Who accepted it, where a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction: Option<CorrectionView>,
    /// The change that voided it: it is shown, and counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_by: Option<Sequence>,
    /// What it says.
    #[serde(flatten)]
    pub event: EventView,
    /// What its LF tag was to the animal: `assigned`, `sighted`, `unconfirmed` or `past`.
    pub lf_use: Option<&'static str>,
    /// The same of its UHF tag.
    pub epc_use: Option<&'static str>,
    /// The batch that it names.
    pub batch: Option<BatchName>,
    /// The animal that it was told of then.
    pub animal: AnimalId,
    /// The animal that it showed to be the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<AnimalId>,
}

/// A correction in the history of its animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorrectionEntry {
    /// The change.
    pub sequence: Sequence,
    /// `corrected`, where an event tells what it is.
    pub kind: &'static str,
    /// Who, what and why.
    #[serde(flatten)]
    pub correction: CorrectionView,
}

impl HistoryEntry {
    /// The change.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Event(entry) => entry.sequence,
            Self::Correction(entry) => entry.sequence,
        }
    }
}

/// One weight of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightView {
    /// The change that brought it.
    pub sequence: Sequence,
    /// When, ISO 8601 in UTC.
    pub received_at: String,
    /// Decimal kilograms.
    pub weight_kg: String,
    /// Grams.
    pub weight_g: u32,
}

/// A change of an animal's history as it was read.
struct Step {
    sequence: Sequence,
    told: Told,
}

/// What a change of a history tells.
enum Told {
    Event(Box<EventTold>),
    Corrected(Box<Corrected>),
}

/// A payload's event, whenever it was accepted.
struct EventTold {
    of: Sequence,
    received: ClockReading,
    origin: Origin,
    accepted: Accepted,
    voided_by: Option<Sequence>,
    /// Of who accepted it, where a person did.
    correction: Option<CorrectionView>,
}

/// A walk back through the history of one animal.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    animal: AnimalId,
    /// Animals that went up in it, as far as the walk has met them.
    parts: BTreeSet<AnimalId>,
    ahead: BTreeSet<Sequence>,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<Option<Step>, QueryError> {
        let Some(sequence) = self.ahead.pop_last() else { return Ok(None) };
        let lost =
            || StoreError::DamagedLog { at: sequence, why: "an animal's history leads to it, and it is no event" };
        let change = self.snapshot.change(sequence)?.ok_or_else(lost)?;
        let mut is_own = false;
        for (animal, before) in change.previous() {
            // An animal that a void made itself again is not walked, though this change once made it a part.
            if self.is_part(*animal)? {
                is_own = true;
                // Only ever back: a history that leads on would never end.
                self.ahead.extend(Some(*before).filter(|before| (Sequence(1)..sequence).contains(before)));
            }
        }
        // A place that somebody made up must not tell the history of another animal.
        if !is_own {
            return Err(QueryError::ForeignCursor { sequence, animal: self.animal });
        }
        Ok(Some(Step { sequence, told: self.told(sequence, change)?.ok_or_else(lost)? }))
    }

    fn is_part(&mut self, id: AnimalId) -> Result<bool, QueryError> {
        if id == self.animal || self.parts.contains(&id) {
            return Ok(true);
        }
        let is_part = self.snapshot.animal_row(id)?.is_some_and(|(successor, _)| successor == self.animal);
        if is_part {
            self.parts.insert(id);
        }
        Ok(is_part)
    }

    fn told(&self, sequence: Sequence, change: Change) -> Result<Option<Told>, QueryError> {
        let correction = match &change {
            Change::Corrected(corrected) => Some(CorrectionView::from(&**corrected)),
            _ => None,
        };
        let (of, received, origin, accepted) = match change {
            Change::Received(received) => match received.outcome {
                Outcome::Accepted(accepted) => (sequence, received.clock, received.origin, *accepted),
                Outcome::Rejected(_) => return Ok(None),
            },
            Change::Corrected(corrected) if corrected.accepts().is_none() => {
                return Ok(Some(Told::Corrected(corrected)));
            }
            late => match late.late_event().cloned() {
                Some(event) => (event.of, event.received, event.origin, event.accepted),
                None => return Ok(None),
            },
        };
        let afterwards = self.snapshot.afterwards(of)?;
        let voided_by = afterwards.voided_by.filter(|_| afterwards.told_by(of) != Some(sequence));
        Ok(Some(Told::Event(Box::new(EventTold { of, received, origin, accepted, voided_by, correction }))))
    }

    fn place(self) -> Option<HistoryCursor> {
        (!self.ahead.is_empty()).then_some(HistoryCursor(self.ahead))
    }
}

impl Step {
    /// The weight that counts, and when it was taken.
    fn weight(&self) -> Option<(u32, ClockReading)> {
        match &self.told {
            Told::Event(event) if event.voided_by.is_some() => None,
            Told::Event(event) => event.accepted.event.weight.grams().map(|weight_g| (weight_g, event.received)),
            Told::Corrected(corrected) => match corrected.correction {
                Correction::Weigh { weight_g, .. } => Some((weight_g, corrected.clock)),
                _ => None,
            },
        }
    }
}

impl Snapshot {
    /// What happened to an animal, the latest first, from its last change or from the `next` of the page before. None
    /// where there is no such animal; for one that turned out to be another, the history of that one.
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
        Ok(Some(Page { data, next: walk.place() }))
    }

    /// The weights of an animal, the latest first; as [`Snapshot::history`].
    pub fn weights(
        &self,
        animal: AnimalId,
        from: Option<HistoryCursor>,
        limit: PageLimit,
    ) -> Result<Option<Page<WeightView, HistoryCursor>>, QueryError> {
        let Some(mut walk) = self.walk(animal, from)? else { return Ok(None) };
        let mut data = Vec::new();
        let mut steps = 0;
        while data.len() < limit.entries()
            && steps < limit.rows()
            && let Some(step) = walk.step()?
        {
            steps += 1;
            data.extend(step.weight().map(|(weight_g, at)| WeightView {
                sequence: step.sequence,
                received_at: iso_utc(at.received_at_us),
                weight_kg: kilograms(weight_g),
                weight_g,
            }));
        }
        Ok(Some(Page { data, next: walk.place() }))
    }

    fn walk(&self, animal: AnimalId, from: Option<HistoryCursor>) -> Result<Option<Walk<'_>>, QueryError> {
        let Some((id, row)) = self.animal_row(animal)? else { return Ok(None) };
        let ahead = from.map_or_else(|| BTreeSet::from([row.last]), |place| place.0);
        if let Some(beyond) = ahead.last().filter(|sequence| **sequence > row.last) {
            return Err(QueryError::ForeignCursor { sequence: *beyond, animal: id });
        }
        Ok(Some(Walk { snapshot: self, animal: id, parts: BTreeSet::new(), ahead }))
    }

    fn entry(&self, step: Step, names: &mut BatchNames) -> Result<HistoryEntry, QueryError> {
        let sequence = step.sequence;
        let event = match step.told {
            Told::Corrected(corrected) => {
                let correction = CorrectionView::from(&*corrected);
                return Ok(HistoryEntry::Correction(Box::new(CorrectionEntry {
                    sequence,
                    kind: "corrected",
                    correction,
                })));
            }
            Told::Event(event) => event,
        };
        let EventTold { of, received, origin, accepted, voided_by, correction } = *event;
        let batch = accepted.batch.map_or(Ok(None), |named| names.name(self, named.batch))?;
        let text = self.received(of)?.map(|payload| String::from_utf8_lossy(payload.text()).into_owned());
        Ok(HistoryEntry::Event(Box::new(EventEntry {
            sequence,
            received_at: iso_utc(received.received_at_us),
            clock_synchronized: received.synchronized,
            channel: origin.channel,
            rssi_dbm: origin.rssi_dbm,
            payload: text.unwrap_or_default(),
            accepted: Some(of).filter(|of| *of != sequence),
            correction,
            voided_by,
            lf_use: tag_use_name(accepted.lf),
            epc_use: tag_use_name(accepted.epc),
            batch,
            animal: accepted.animal,
            absorbed: accepted.absorbed,
            event: EventView::from(accepted.event),
        })))
    }
}
