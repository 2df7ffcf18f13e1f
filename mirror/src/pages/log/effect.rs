//! The effect of a correction: what it changed, from what, to what.
//!
//! A stored correction has the states that it led to, not those before. So the former value is looked for in the history of
//! its animal, from the change before the correction on. It is empty if it is further back than [`MAX_LOOK_BACK`] entries, or
//! if there was none.

use super::super::conventions::Conventions;
use super::super::format;
use herd::change::{AnimalId, TagKind};
use herd::correction::CorrectionForm;
use herd::payload::WeightUnit;
use herd::position::Sequence;
use herd::query::{
    ChangeBody, CorrectionView, EventEntry, HistoryEntry, PageLimit, PayloadView, PreviousChange, QueryError,
};
use herd::store::Snapshot;

/// Maximum number of entries of a history that are read for a former value.
const MAX_LOOK_BACK: u64 = 50;

/// The thing that was corrected, as the list links it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corrected {
    Animal(u64),
    Batch(u64),
    Payload(u64),
    Readers,
}

/// The effect of one correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) of: Corrected,
    /// The property that changed: `pen`.
    pub(super) what: &'static str,
    /// The value before; empty if it is not known, or there was none.
    pub(super) from: String,
    /// The value after.
    pub(super) to: String,
}

/// Reads the effects of corrections.
pub(super) struct Effects<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) conventions: &'a Conventions,
}

impl Effects<'_> {
    /// Returns the effect of the correction that the change `sequence` made.
    pub(super) fn of(&self, sequence: Sequence, correction: &CorrectionView) -> Result<Effect, QueryError> {
        let effect = |of, what, from: String, to: String| Effect { of, what, from, to };
        Ok(match &correction.correction {
            CorrectionForm::Void { payload } => {
                let from = self.event_kind(*payload)?;
                effect(Corrected::Payload(*payload), "event", from, "void".to_owned())
            }
            CorrectionForm::AcceptRejected { payload, .. } => {
                let to = self.event_kind(*payload)?;
                effect(Corrected::Payload(*payload), "read", "rejected".to_owned(), to)
            }
            CorrectionForm::Merge { animal, absorbed } => {
                effect(Corrected::Animal(*animal), "animal", format!("animal {absorbed}"), format!("animal {animal}"))
            }
            CorrectionForm::Retag { animal, tag_kind, tag } => {
                let from = self.former(*animal, sequence, |entry| former_tag(entry, *tag_kind))?;
                let what = if *tag_kind == TagKind::Lf { "LF tag" } else { "UHF tag" };
                effect(Corrected::Animal(*animal), what, from, tag.clone().unwrap_or_else(|| "none".to_owned()))
            }
            CorrectionForm::MovePen { animal, pen } => {
                effect(Corrected::Animal(*animal), "pen", self.former(*animal, sequence, former_pen)?, pen.clone())
            }
            CorrectionForm::MoveBatch { animal, batch_number } => {
                let from = self.former(*animal, sequence, former_batch)?;
                effect(Corrected::Animal(*animal), "batch", from, batch_number.clone())
            }
            CorrectionForm::Weigh { animal, weight_kg, replaces, .. } => {
                let from = replaces.map_or(Ok(None), |of| self.weight_of(Sequence(of)))?.unwrap_or_default();
                effect(Corrected::Animal(*animal), "weight", from, self.weight(&weight_kg.in_unit(self.unit())))
            }
            CorrectionForm::Died { animal } => {
                effect(Corrected::Animal(*animal), "state", "on the yard".to_owned(), "dead".to_owned())
            }
            CorrectionForm::CloseBatch { batch } => {
                effect(Corrected::Batch(*batch), "state", "open".to_owned(), "closed".to_owned())
            }
            CorrectionForm::EditBatch { batch, notes } => {
                effect(Corrected::Batch(*batch), "notes", String::new(), notes.clone().unwrap_or_default())
            }
            CorrectionForm::NewReaderEra { reader_group, .. } => {
                let era = correction.reader_era.unwrap_or_default();
                let from = format!("{reader_group}, era {}", era.saturating_sub(1));
                effect(Corrected::Readers, "readers", from, format!("{reader_group}, era {era}"))
            }
        })
    }

    /// Returns the kind of a payload's event in words.
    fn event_kind(&self, payload: u64) -> Result<String, QueryError> {
        let event = self.snapshot.payload(Sequence(payload))?.and_then(|PayloadView { event, .. }| event);
        Ok(event.map(|event| format::spaced(event.kind)).unwrap_or_default())
    }

    fn unit(&self) -> WeightUnit {
        self.conventions.weight_unit
    }

    fn weight(&self, number: &str) -> String {
        format!("{number} {}", self.unit().as_str())
    }

    /// Returns the weight that a change recorded.
    fn weight_of(&self, change: Sequence) -> Result<Option<String>, QueryError> {
        let body = self.snapshot.change_view(change)?.map(|change| change.body);
        let event = match body {
            Some(ChangeBody::Received { payload, .. }) => payload.event,
            Some(ChangeBody::Corrected { correction, event: None, .. }) => match correction.correction {
                CorrectionForm::Weigh { weight_kg, .. } => {
                    return Ok(Some(self.weight(&weight_kg.in_unit(self.unit()))));
                }
                _ => None,
            },
            Some(ChangeBody::Reprocessed { event, .. } | ChangeBody::Corrected { event: Some(event), .. }) => {
                Some(event.event)
            }
            _ => None,
        };
        let weight = event.and_then(|event| event.weight_kg);
        Ok(weight.map(|weight| self.weight(&weight.in_unit(self.unit()))))
    }

    /// Returns the latest value of an animal before a correction; empty if none is found.
    fn former(
        &self,
        animal: u64,
        correction: Sequence,
        value: impl Fn(&HistoryEntry) -> Option<String>,
    ) -> Result<String, QueryError> {
        let previous = match self.snapshot.change_view(correction)?.map(|change| change.body) {
            Some(ChangeBody::Corrected { previous, .. }) => previous,
            _ => Vec::new(),
        };
        let is_own = |before: &&PreviousChange| before.animal == AnimalId(animal) && before.sequence.0 > 0;
        let Some(before) = previous.iter().find(is_own) else { return Ok(String::new()) };
        let (cursor, limit) = (before.sequence.to_string().parse()?, PageLimit::new(MAX_LOOK_BACK)?);
        match self.snapshot.history(AnimalId(animal), Some(cursor), limit) {
            Ok(history) => Ok(history.and_then(|page| page.data.iter().find_map(value)).unwrap_or_default()),
            // The animal was merged or separated since, so that the change is in the history of another one.
            Err(QueryError::ForeignCursor { .. }) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

/// Returns the event of an entry that still counts.
fn counted(entry: &HistoryEntry) -> Option<&EventEntry> {
    match entry {
        HistoryEntry::Event(entry) if entry.voided_by.is_none() => Some(entry),
        _ => None,
    }
}

fn former_pen(entry: &HistoryEntry) -> Option<String> {
    match entry {
        HistoryEntry::Correction(entry) => match &entry.correction.correction {
            CorrectionForm::MovePen { pen, .. } => Some(pen.clone()),
            _ => None,
        },
        HistoryEntry::Event(_) => counted(entry)?.event.traits.pen.as_ref().map(ToString::to_string),
    }
}

fn former_batch(entry: &HistoryEntry) -> Option<String> {
    match entry {
        HistoryEntry::Correction(entry) => match &entry.correction.correction {
            CorrectionForm::MoveBatch { batch_number, .. } => Some(batch_number.clone()),
            _ => None,
        },
        HistoryEntry::Event(_) => {
            let event = counted(entry).filter(|entry| entry.event.kind != "export")?;
            event.batch.as_ref().map(|batch| batch.batch_number.clone())
        }
    }
}

fn former_tag(entry: &HistoryEntry, kind: TagKind) -> Option<String> {
    match entry {
        HistoryEntry::Correction(entry) => match &entry.correction.correction {
            CorrectionForm::Retag { tag_kind, tag, .. } if *tag_kind == kind => {
                Some(tag.clone().unwrap_or_else(|| "none".to_owned()))
            }
            _ => None,
        },
        HistoryEntry::Event(_) => {
            let entry = counted(entry)?;
            let (tag, tag_use) = match kind {
                TagKind::Lf => (&entry.event.lf, entry.lf_use),
                TagKind::Epc => (&entry.event.epc, entry.epc_use),
            };
            tag.as_ref().filter(|_| tag_use == Some("assigned")).map(|tag| tag.text.clone())
        }
    }
}
