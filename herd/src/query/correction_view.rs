//! Corrections as they are shown.

use crate::change::{AnimalId, BatchId, Corrected, CorrectionResult};
use crate::clock::iso_utc;
use crate::correction::CorrectionForm;
use crate::position::Sequence;
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
    /// What was done, in words: `move pen`.
    pub fn what(&self) -> String {
        let form = serde_json::to_value(&self.correction).unwrap_or_default();
        let kind = form["kind"].as_str().unwrap_or_default();
        let told: Vec<String> = ["pen", "batch_number", "weight_kg", "tag", "notes", "payload", "absorbed"]
            .into_iter()
            .filter_map(|key| {
                form[key].as_str().map(str::to_owned).or_else(|| form[key].as_u64().map(|n| n.to_string()))
            })
            .collect();
        [&[kind.replace('_', " ")], told.as_slice()].concat().join(" ")
    }
}
