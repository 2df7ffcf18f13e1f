//! View of a change of the log, as far as this program knows its kind.

use super::event_view::{EventView, tag_use_name};
use super::payload_view::base64;
use super::{CorrectionView, PayloadView, QueryError};
use crate::change::{
    Acceptance, AnimalId, BatchId, Change, ChangeKind, Corrected, EraMove, LateEvent, MoveResult, Outcome, PlacedEvent,
    Readmission, Received, Reprocessed,
};
use crate::position::{Epoch, Sequence, StoreId};
use crate::store::Snapshot;
use serde::Serialize;

/// A change of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeView {
    /// Number of the change.
    pub sequence: Sequence,
    /// Kind of the change.
    pub kind: KindName,
    /// Version of its body.
    pub version: u8,
    /// Contents of the change.
    #[serde(flatten)]
    pub body: ChangeBody,
}

/// Kind of a change: a name, or a number if this program does not know the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum KindName {
    /// Name of a known kind.
    Known(&'static str),
    /// Number of an unknown kind.
    Number(u8),
}

/// Contents of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ChangeBody {
    /// A payload arrived and was accepted or rejected.
    Received {
        /// The payload, with its event or rejection.
        #[serde(flatten)]
        payload: Box<PayloadView>,
        /// Placement of its event.
        #[serde(flatten)]
        placement: Placement,
        /// Reason of its first rejection as a sentence, if a later change accepted it.
        #[serde(skip_serializing_if = "Option::is_none")]
        rejected_at_first: Option<String>,
        /// Former place of the payload, if it was lost and came back, and who brought it back.
        #[serde(skip_serializing_if = "Option::is_none")]
        readmission: Option<Box<Readmission>>,
        /// Previous change of each animal that it touches.
        previous: Vec<PreviousChange>,
    },
    /// A rejected payload was reprocessed and accepted.
    Reprocessed {
        /// Time of the decision, ISO 8601 in UTC.
        reprocessed_at: Option<String>,
        /// `true` if the barn's clock followed a time source at that time.
        clock_synchronized: bool,
        /// The accepted event.
        #[serde(flatten)]
        event: Box<LateEventView>,
        /// Previous change of each animal that it touches.
        previous: Vec<PreviousChange>,
    },
    /// A person corrected something.
    Corrected {
        /// The correction, with author and reason.
        #[serde(flatten)]
        correction: Box<CorrectionView>,
        /// Event that it accepts, if any.
        event: Option<Box<LateEventView>>,
        /// Previous change of each animal that it touches.
        previous: Vec<PreviousChange>,
    },
    /// A payload was moved into the reader era that a correction began.
    EraMove {
        /// Time of the step, ISO 8601 in UTC; `None` if the clock had no time yet.
        moved_at: Option<String>,
        /// `true` if the barn's clock followed a time source at that time.
        clock_synchronized: bool,
        /// Readers of the payload.
        reader_group: String,
        /// Era into which their payloads are moved.
        reader_era: u32,
        /// Correction that began the era.
        order: Sequence,
        /// Last payload that is done.
        through: Sequence,
        /// Change that holds the payload; `None` if the step is the last one.
        payload: Option<Sequence>,
        /// Name of the reason why the payload could not be moved.
        left: Option<&'static str>,
        /// Reason as a sentence why it is no event of the era, so that its event is void.
        void_reason: Option<String>,
        /// Event of the era.
        event: Option<Box<LateEventView>>,
        /// Previous change of each animal that it touches.
        previous: Vec<PreviousChange>,
    },
    /// A new writer took over the history.
    Epoch {
        /// Number of the epoch.
        epoch: Epoch,
        /// Identity of the history.
        store: StoreId,
        /// Identity of the writer. Two machines that restore the same backup get different ones.
        writer: StoreId,
        /// Start of the epoch, ISO 8601 in UTC.
        began_at: Option<String>,
        /// `true` if the barn's clock followed a time source at that time.
        clock_synchronized: bool,
        /// Decision of a person to go on with a log that lacks changes, if that began the epoch.
        #[serde(skip_serializing_if = "Option::is_none")]
        acceptance: Option<Acceptance>,
    },
    /// Rejections were counted instead of recorded.
    Suppressed {
        /// Radio, modem or key through which they arrived.
        channel: String,
        /// Number of rejections.
        count: u64,
        /// Arrival of the first, ISO 8601 in UTC.
        first_at: Option<String>,
        /// Arrival of the last, ISO 8601 in UTC.
        last_at: Option<String>,
        /// `true` if the barn's clock followed a time source at both times.
        clock_synchronized: bool,
    },
    /// The kind or version of the change is unknown. A newer program can decode it.
    Unknown {
        /// Its stored bytes in base64.
        bytes: String,
    },
}

/// Effect of an event on tags, animals and batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// Use of its LF tag: `assigned`, `sighted`, `unconfirmed` or `past`.
    pub lf_use: Option<&'static str>,
    /// Use of its UHF tag.
    pub epc_use: Option<&'static str>,
    /// Animal that it merged into its own, because it proves both to be one.
    pub absorbed: Option<AnimalId>,
    /// Export batch that it closed, because the batch had rested long enough.
    pub closes: Option<BatchId>,
}

impl From<&PlacedEvent> for Placement {
    fn from(accepted: &PlacedEvent) -> Self {
        Self {
            lf_use: tag_use_name(accepted.lf),
            epc_use: tag_use_name(accepted.epc),
            absorbed: accepted.absorbed,
            closes: accepted.batch.and_then(|named| named.closes),
        }
    }
}

/// Event that a later change made of a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LateEventView {
    /// Change that holds the payload.
    pub of: Sequence,
    /// Arrival of the payload, ISO 8601 in UTC; `None` if the barn's clock had never been set.
    pub received_at: Option<String>,
    /// `true` if the barn's clock followed a time source at that time.
    pub clock_synchronized: bool,
    /// Animal of the event.
    pub animal: AnimalId,
    /// Batch that the event names.
    pub batch: Option<BatchId>,
    /// The event.
    pub event: EventView,
    /// Placement of the event.
    #[serde(flatten)]
    pub placement: Placement,
}

impl From<&LateEvent> for LateEventView {
    fn from(late: &LateEvent) -> Self {
        Self {
            of: late.of,
            received_at: late.received.wall().iso_utc(),
            clock_synchronized: late.received.synchronized,
            animal: late.accepted.animal,
            batch: late.accepted.batch.map(|named| named.batch),
            placement: Placement::from(&late.accepted),
            event: EventView::from(late.accepted.event.clone()),
        }
    }
}

/// Previous change of an animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PreviousChange {
    /// Id of the animal.
    pub animal: AnimalId,
    /// Change that touched it last; 0 if the animal is new.
    pub sequence: Sequence,
}

impl Snapshot {
    /// Returns the change with this number, or `None` if it is past the head.
    ///
    /// A payload is shown as later changes left it. A change of an unknown kind or version is shown as bytes.
    pub fn change_view(&self, sequence: Sequence) -> Result<Option<ChangeView>, QueryError> {
        let Some(bytes) = self.change_bytes(sequence)? else { return Ok(None) };
        let mut view = ChangeView::new(sequence, &bytes);
        if let ChangeBody::Received { payload, placement, rejected_at_first, .. } = &mut view.body {
            let reason = payload.reason_text.clone();
            if let Some(late) = self.apply_later_changes(payload)? {
                // A payload that was accepted at once, voided and accepted again has no such reason.
                (*placement, *rejected_at_first) = (Placement::from(&late.accepted), reason);
            }
        }
        Ok(Some(view))
    }
}

impl ChangeView {
    /// Decodes the stored bytes of a change, without the effect of later changes.
    pub fn new(sequence: Sequence, bytes: &[u8]) -> Self {
        let number = bytes.first().copied().unwrap_or(0);
        let kind =
            ChangeKind::from_number(number).map_or(KindName::Number(number), |kind| KindName::Known(kind.name()));
        let version = bytes.get(1).copied().unwrap_or(0);
        let body = match Change::from_bytes(bytes) {
            Ok(Change::Received(received)) => ChangeBody::received(sequence, *received),
            Ok(Change::Reprocessed(reprocessed)) => ChangeBody::reprocessed(&reprocessed),
            Ok(Change::Corrected(corrected)) => ChangeBody::corrected(&corrected),
            Ok(Change::EraMove(step)) => ChangeBody::era_move(&step),
            Ok(Change::Epoch(epoch)) => ChangeBody::Epoch {
                epoch: epoch.epoch,
                store: epoch.store,
                writer: epoch.writer,
                began_at: epoch.clock.wall().iso_utc(),
                clock_synchronized: epoch.clock.synchronized,
                acceptance: epoch.acceptance,
            },
            Ok(Change::Suppressed(suppressed)) => ChangeBody::Suppressed {
                channel: suppressed.channel,
                count: suppressed.count,
                first_at: suppressed.first.wall().iso_utc(),
                last_at: suppressed.last.wall().iso_utc(),
                clock_synchronized: suppressed.first.synchronized && suppressed.last.synchronized,
            },
            Err(_) => ChangeBody::Unknown { bytes: base64(bytes) },
        };
        Self { sequence, kind, version, body }
    }
}

impl ChangeBody {
    fn received(sequence: Sequence, mut received: Received) -> Self {
        let readmission = received.readmission.take();
        let previous = previous_changes(&received.previous);
        let placement = match &received.outcome {
            Outcome::Accepted(accepted) => Placement::from(&**accepted),
            Outcome::Rejected(_) => Placement::default(),
        };
        let payload = Box::new(PayloadView::new(sequence, received));
        Self::Received { payload, placement, rejected_at_first: None, readmission, previous }
    }

    fn reprocessed(reprocessed: &Reprocessed) -> Self {
        Self::Reprocessed {
            reprocessed_at: reprocessed.clock.wall().iso_utc(),
            clock_synchronized: reprocessed.clock.synchronized,
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

    fn era_move(step: &EraMove) -> Self {
        let result = step.payload.as_ref().map(|payload| &payload.result);
        Self::EraMove {
            moved_at: step.clock.wall().iso_utc(),
            clock_synchronized: step.clock.synchronized,
            reader_group: step.reader_group.to_string(),
            reader_era: step.reader_era,
            order: step.order,
            through: step.through,
            payload: step.payload.as_ref().map(|payload| payload.of),
            left: match result {
                Some(MoveResult::Left(obstacle)) => Some(obstacle.as_str()),
                _ => None,
            },
            void_reason: match result {
                Some(MoveResult::Voided(reason)) => Some(reason.to_string()),
                _ => None,
            },
            event: step.event().map(|event| Box::new(LateEventView::from(event))),
            previous: previous_changes(&step.previous),
        }
    }
}

fn previous_changes(previous: &[(AnimalId, Sequence)]) -> Vec<PreviousChange> {
    previous.iter().map(|(animal, before)| PreviousChange { animal: *animal, sequence: *before }).collect()
}
