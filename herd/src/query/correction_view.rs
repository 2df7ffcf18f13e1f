//! Corrections as they are shown.

use super::QueryError;
use crate::change::{AnimalId, BatchId, Change, Corrected, CorrectionResult, TagKind};
use crate::clock::iso_utc;
use crate::correction::CorrectionForm;
use crate::position::Sequence;
use crate::store::Snapshot;
use serde::Serialize;

/// Who corrected what, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorrectionView {
    /// When, ISO 8601 in UTC.
    pub corrected_at: String,
    /// Whether the barn's clock followed a time source then.
    pub clock_synchronized: bool,
    /// Who, as they call themselves.
    pub author: String,
    /// Why.
    pub reason: String,
    /// The same one again makes no second change.
    pub idempotency_key: String,
    /// The HTTP key that it came through, or the control socket.
    pub channel: String,
    /// What was asked for.
    pub correction: CorrectionForm,
    /// The animals that are not as they were.
    pub animals: Vec<AnimalId>,
    /// The batches that are not as they were.
    pub batches: Vec<BatchId>,
    /// The rejected payload that is an event now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Sequence>,
    /// The reader era that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_era: Option<u32>,
}

impl From<&Corrected> for CorrectionView {
    fn from(corrected: &Corrected) -> Self {
        let mut view = Self {
            corrected_at: iso_utc(corrected.clock.received_at_us),
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
    /// What was done, as a sentence without its full stop: `animal 2 moved to pen P2`.
    pub fn summary(&self) -> String {
        self.correction.summary(None)
    }

    /// The same where `animal` is spoken of anyway: `moved to pen P2`.
    pub fn summary_for(&self, animal: AnimalId) -> String {
        self.correction.summary(Some(animal))
    }
}

impl CorrectionForm {
    fn summary(&self, spoken_of: Option<AnimalId>) -> String {
        let is_this = |animal: u64| spoken_of == Some(AnimalId(animal));
        let done_to =
            |animal: u64, done: String| if is_this(animal) { done } else { format!("animal {animal} {done}") };
        let named = |animal: u64| if is_this(animal) { "this one".to_owned() } else { format!("animal {animal}") };
        match self {
            Self::Void { payload } => format!("event of payload {payload} voided"),
            Self::Merge { animal, absorbed } => format!("animal {absorbed} merged into {}", named(*animal)),
            Self::Retag { animal, tag_kind, tag: Some(tag) } => {
                done_to(*animal, format!("given the {} tag {tag}", spelled(*tag_kind)))
            }
            Self::Retag { animal, tag_kind, tag: None } => {
                done_to(*animal, format!("left without its {} tag", spelled(*tag_kind)))
            }
            Self::MovePen { animal, pen } => done_to(*animal, format!("moved to pen {pen}")),
            Self::MoveBatch { animal, batch_number } => done_to(*animal, format!("moved to batch {batch_number}")),
            Self::Weigh { animal, weight_kg } => done_to(*animal, format!("weighed {} kg", weight_kg.0)),
            Self::Died { animal } => done_to(*animal, "died".to_owned()),
            // Elsewhere a batch is called by its number, which may look like the id of another.
            Self::CloseBatch { batch } => format!("batch with the id {batch} closed"),
            Self::EditBatch { batch, notes: Some(_) } => format!("notes of the batch with the id {batch} written"),
            Self::EditBatch { batch, notes: None } => format!("notes of the batch with the id {batch} taken away"),
            Self::AcceptRejected { payload, animal: None } => format!("payload {payload} accepted as an event"),
            Self::AcceptRejected { payload, animal: Some(animal) } => {
                format!("payload {payload} accepted as an event of {}", named(*animal))
            }
            Self::NewReaderEra { reader_group } => format!("a new era of the readers {reader_group} begun"),
        }
    }
}

/// As people write it.
fn spelled(kind: TagKind) -> &'static str {
    match kind {
        TagKind::Lf => "LF",
        TagKind::Epc => "UHF",
    }
}

impl Snapshot {
    /// The correction that the change `sequence` is; none for any other change.
    pub fn correction(&self, sequence: Sequence) -> Result<Option<CorrectionView>, QueryError> {
        Ok(match self.change(sequence)? {
            Some(Change::Corrected(corrected)) => Some(CorrectionView::from(&*corrected)),
            _ => None,
        })
    }
}
