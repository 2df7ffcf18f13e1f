//! One change of the log, as this binary understands it.

use super::event_view::{EventView, tag_use_name};
use super::payload_view::base64;
use super::{CorrectionView, PayloadView, QueryError};
use crate::change::{
    Accepted, AnimalId, BatchId, Change, ChangeKind, Corrected, LateEvent, Outcome, Received, Reprocessed,
};
use crate::clock::iso_utc;
use crate::position::{Epoch, Sequence, StoreId};
use crate::store::Snapshot;
use serde::Serialize;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeView {
    /// Its number.
    pub sequence: Sequence,
    /// What it is.
    pub kind: KindName,
    /// The version of its body.
    pub version: u8,
    /// What it says.
    #[serde(flatten)]
    pub body: ChangeBody,
}

/// A kind by its name; by its number, where this binary has no name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum KindName {
    /// The name.
    Known(&'static str),
    /// The number.
    Number(u8),
}

/// What a change says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ChangeBody {
    /// A payload came and was judged.
    Received {
        /// The payload, and what it says.
        #[serde(flatten)]
        payload: Box<PayloadView>,
        /// How its event was placed.
        #[serde(flatten)]
        placed: Placement,
        /// Why it was rejected when it came, as a sentence, where a later change accepted it.
        #[serde(skip_serializing_if = "Option::is_none")]
        rejected_at_first: Option<String>,
        /// For each animal that it touches, the change that touched it before; 0 for a new one.
        previous: Vec<PreviousChange>,
    },
    /// A rejected payload was judged anew, and is an event.
    Reprocessed {
        /// When, ISO 8601 in UTC.
        reprocessed_at: String,
        /// The event.
        #[serde(flatten)]
        event: Box<LateEventView>,
        /// For each animal that it touches, the change that touched it before; 0 for a new one.
        previous: Vec<PreviousChange>,
    },
    /// A person corrected something.
    Corrected {
        /// Who, what and why.
        #[serde(flatten)]
        correction: Box<CorrectionView>,
        /// The event that it accepts.
        event: Option<Box<LateEventView>>,
        /// For each animal that it touches, the change that touched it before; 0 for a new one.
        previous: Vec<PreviousChange>,
    },
    /// A writer began.
    Epoch {
        /// Its number.
        epoch: Epoch,
        /// The history that it writes.
        store: StoreId,
        /// What tells it from one that restored the same backup elsewhere.
        writer: StoreId,
        /// When, ISO 8601 in UTC.
        began_at: String,
    },
    /// Rejections were counted instead of kept.
    Suppressed {
        /// The radio, modem or key that they came through.
        channel: String,
        /// How many.
        count: u64,
        /// When the first came, ISO 8601 in UTC.
        first_at: String,
        /// When the last came.
        last_at: String,
    },
    /// Not known here: upgrade this program.
    Unknown {
        /// All of its stored bytes, in base64.
        bytes: String,
    },
}

/// How an event was placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// What its LF tag was to the animal.
    pub lf_use: Option<&'static str>,
    /// What its UHF tag was to the animal.
    pub epc_use: Option<&'static str>,
    /// The animal that it showed to be the same one.
    pub absorbed: Option<AnimalId>,
    /// The rested export batch that it closed.
    pub closes: Option<BatchId>,
}

impl From<&Accepted> for Placement {
    fn from(accepted: &Accepted) -> Self {
        Self {
            lf_use: tag_use_name(accepted.lf),
            epc_use: tag_use_name(accepted.epc),
            absorbed: accepted.absorbed,
            closes: accepted.batch.and_then(|named| named.closes),
        }
    }
}

/// The event of a payload that had been rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LateEventView {
    /// The payload.
    pub of: Sequence,
    /// When it had come, ISO 8601 in UTC.
    pub received_at: String,
    /// The animal that it is about.
    pub animal: AnimalId,
    /// The batch that it names.
    pub batch: Option<BatchId>,
    /// What it says.
    pub event: EventView,
    /// How it was placed.
    #[serde(flatten)]
    pub placed: Placement,
}

impl From<&LateEvent> for LateEventView {
    fn from(late: &LateEvent) -> Self {
        Self {
            of: late.of,
            received_at: iso_utc(late.received.received_at_us),
            animal: late.accepted.animal,
            batch: late.accepted.batch.map(|named| named.batch),
            placed: Placement::from(&late.accepted),
            event: EventView::from(late.accepted.event.clone()),
        }
    }
}

/// The change that touched an animal before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PreviousChange {
    /// The animal.
    pub animal: AnimalId,
    /// The change; 0 for none.
    pub sequence: Sequence,
}

impl Snapshot {
    /// The change with this number; none beyond the head. A payload is told as later changes left it. A change of a kind
    /// or version that is not known here is told as its bytes.
    pub fn change_view(&self, sequence: Sequence) -> Result<Option<ChangeView>, QueryError> {
        let Some(bytes) = self.change_bytes(sequence)? else { return Ok(None) };
        let mut view = ChangeView::new(sequence, &bytes);
        if let ChangeBody::Received { payload, placed, rejected_at_first, .. } = &mut view.body {
            let reason = payload.reason_text.clone();
            if let Some(late) = self.tell_afterwards(payload)? {
                // Of one that was accepted at once, voided and accepted again there is no such reason.
                (*placed, *rejected_at_first) = (Placement::from(&late.accepted), reason);
            }
        }
        Ok(Some(view))
    }
}

impl ChangeView {
    /// What these stored bytes say by themselves.
    pub fn new(sequence: Sequence, bytes: &[u8]) -> Self {
        let number = bytes.first().copied().unwrap_or(0);
        let kind =
            ChangeKind::from_number(number).map_or(KindName::Number(number), |kind| KindName::Known(kind.name()));
        let version = bytes.get(1).copied().unwrap_or(0);
        let body = match Change::from_bytes(bytes) {
            Ok(Change::Received(received)) => ChangeBody::received(sequence, *received),
            Ok(Change::Reprocessed(reprocessed)) => ChangeBody::reprocessed(&reprocessed),
            Ok(Change::Corrected(corrected)) => ChangeBody::corrected(&corrected),
            Ok(Change::Epoch(began)) => ChangeBody::Epoch {
                epoch: began.epoch,
                store: began.store,
                writer: began.writer,
                began_at: iso_utc(began.clock.received_at_us),
            },
            Ok(Change::Suppressed(suppressed)) => ChangeBody::Suppressed {
                channel: suppressed.channel,
                count: suppressed.count,
                first_at: iso_utc(suppressed.first.received_at_us),
                last_at: iso_utc(suppressed.last.received_at_us),
            },
            Err(_) => ChangeBody::Unknown { bytes: base64(bytes) },
        };
        Self { sequence, kind, version, body }
    }
}

impl ChangeBody {
    fn received(sequence: Sequence, received: Received) -> Self {
        let previous = previous_changes(&received.previous);
        let placed = match &received.outcome {
            Outcome::Accepted(accepted) => Placement::from(&**accepted),
            Outcome::Rejected(_) => Placement::default(),
        };
        let payload = Box::new(PayloadView::new(sequence, received));
        Self::Received { payload, placed, rejected_at_first: None, previous }
    }

    fn reprocessed(reprocessed: &Reprocessed) -> Self {
        Self::Reprocessed {
            reprocessed_at: iso_utc(reprocessed.clock.received_at_us),
            event: Box::new(LateEventView::from(&reprocessed.event)),
            previous: previous_changes(&reprocessed.previous),
        }
    }

    fn corrected(corrected: &Corrected) -> Self {
        Self::Corrected {
            correction: Box::new(CorrectionView::from(corrected)),
            event: corrected.accepts().map(|event| Box::new(LateEventView::from(event))),
            previous: previous_changes(&corrected.previous),
        }
    }
}

fn previous_changes(previous: &[(AnimalId, Sequence)]) -> Vec<PreviousChange> {
    previous.iter().map(|(animal, before)| PreviousChange { animal: *animal, sequence: *before }).collect()
}
