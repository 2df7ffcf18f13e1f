//! View of a correction.

use super::QueryError;
use crate::change::{AnimalId, BatchId, Change, Corrected, CorrectionResult, TagKind};
use crate::correction::CorrectionForm;
use crate::payload::WeightUnit;
use crate::position::Sequence;
use crate::store::Snapshot;
use serde::Serialize;

/// A correction, with its author and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorrectionView {
    /// Time of the correction, ISO 8601 in UTC; `None` if the barn's clock had never been set.
    pub corrected_at: Option<String>,
    /// `true` if the barn's clock followed a time source at that time.
    pub clock_synchronized: bool,
    /// Name of the author, as they wrote it.
    pub author: String,
    /// Reason for the correction.
    pub reason: String,
    /// Key of the request. Another request with the same key makes no second change.
    pub idempotency_key: String,
    /// HTTP key through which the request arrived, or the control socket.
    pub channel: String,
    /// The requested correction.
    pub correction: CorrectionForm,
    /// Animals that it changed.
    pub animals: Vec<AnimalId>,
    /// Batches that it changed.
    pub batches: Vec<BatchId>,
    /// Payload that it accepted as an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Sequence>,
    /// Reader era that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_era: Option<u32>,
}

impl From<&Corrected> for CorrectionView {
    fn from(corrected: &Corrected) -> Self {
        let mut view = Self {
            corrected_at: corrected.clock.wall().iso_utc(),
            clock_synchronized: corrected.clock.synchronized,
            author: corrected.author.clone(),
            reason: corrected.reason.clone(),
            idempotency_key: corrected.idempotency_key.clone(),
            channel: corrected.channel.clone(),
            correction: CorrectionForm::from(&corrected.correction),
            animals: corrected.previous.iter().map(|(animal, _)| *animal).collect(),
            batches: Vec::new(),
            accepted: None,
            reader_era: None,
        };
        match &corrected.result {
            CorrectionResult::States(states) => {
                view.batches = states.batches.iter().map(|state| state.batch).collect();
            }
            CorrectionResult::Accepted(event) => view.accepted = Some(event.of),
            CorrectionResult::ReaderEra { reader_era, .. } => view.reader_era = Some(*reader_era),
        }
        view
    }
}

impl CorrectionView {
    /// Describes the correction as a sentence without a full stop: `animal 2 moved to pen P2`. Weights are in `unit`, and `time`
    /// tells people a time in ISO 8601.
    pub fn summary(&self, unit: WeightUnit, time: &dyn Fn(&str) -> String) -> String {
        self.correction.summary(None, unit, time)
    }

    /// Describes the correction for the page of `animal`, without naming it: `moved to pen P2`.
    pub fn summary_for(&self, animal: AnimalId, unit: WeightUnit, time: &dyn Fn(&str) -> String) -> String {
        self.correction.summary(Some(animal), unit, time)
    }
}

impl CorrectionForm {
    /// Describes the correction. The animal `subject` is not named.
    fn summary(&self, subject: Option<AnimalId>, unit: WeightUnit, time: &dyn Fn(&str) -> String) -> String {
        let is_this = |animal: u64| subject == Some(AnimalId(animal));
        let done_to =
            |animal: u64, done: String| if is_this(animal) { done } else { format!("animal {animal} {done}") };
        let named = |animal: u64| if is_this(animal) { "this animal".to_owned() } else { format!("animal {animal}") };
        match self {
            Self::Void { payload } => format!("event of payload {payload} voided"),
            Self::Merge { animal, absorbed } => format!("animal {absorbed} merged into {}", named(*animal)),
            Self::Retag { animal, tag_kind, tag: Some(tag) } => {
                done_to(*animal, format!("given the {} tag {tag}", label(*tag_kind)))
            }
            Self::Retag { animal, tag_kind, tag: None } => {
                done_to(*animal, format!("left without its {} tag", label(*tag_kind)))
            }
            Self::MovePen { animal, pen } => done_to(*animal, format!("moved to pen {pen}")),
            Self::MoveBatch { animal, batch_number } => done_to(*animal, format!("moved to batch {batch_number}")),
            Self::Weigh { animal, weight_kg, replaces, weighed_at } => {
                let when = match (replaces, weighed_at) {
                    (Some(weighing), _) => format!(" instead of the weight of change {weighing}"),
                    (None, Some(at)) => format!(" at {}", time(at)),
                    (None, None) => String::new(),
                };
                done_to(*animal, format!("weighed {} {}{when}", weight_kg.in_unit(unit), unit.as_str()))
            }
            Self::Died { animal } => done_to(*animal, "died".to_owned()),
            // Everywhere else a batch goes by its number, which may equal the id of another batch.
            Self::CloseBatch { batch } => format!("batch with id {batch} closed"),
            Self::EditBatch { batch, notes: Some(_) } => format!("notes written for the batch with id {batch}"),
            Self::EditBatch { batch, notes: None } => format!("notes removed from the batch with id {batch}"),
            Self::AcceptRejected { payload, animal, batch_number } => {
                let of = animal.map(|animal| format!(" of {}", named(animal))).unwrap_or_default();
                let into = batch_number.as_ref().map(|number| format!(" in batch {number}")).unwrap_or_default();
                format!("payload {payload} accepted as an event{of}{into}")
            }
            Self::NewReaderEra { reader_group, from: None } => format!("new era started for readers {reader_group}"),
            Self::NewReaderEra { reader_group, from: Some(from) } => {
                format!("new era started for readers {reader_group} from payload {from} on")
            }
        }
    }
}

/// Returns the name of a kind on pages.
fn label(kind: TagKind) -> &'static str {
    match kind {
        TagKind::Lf => "LF",
        TagKind::Epc => "UHF",
    }
}

impl Snapshot {
    /// Returns the correction that the change `sequence` made, or the order by which it moved a payload into a reader era.
    /// `None` for a change of another kind.
    pub fn correction(&self, sequence: Sequence) -> Result<Option<CorrectionView>, QueryError> {
        Ok(self.corrected(sequence)?.as_ref().map(CorrectionView::from))
    }

    /// Returns the body of the correction that is behind the change `sequence`.
    pub(super) fn corrected(&self, sequence: Sequence) -> Result<Option<Corrected>, QueryError> {
        let change = match self.change(sequence)? {
            Some(Change::EraMove(step)) => self.change(step.order)?,
            change => change,
        };
        Ok(match change {
            Some(Change::Corrected(corrected)) => Some(*corrected),
            _ => None,
        })
    }
}
