//! The messages, and which of them a change makes.

use herd::change::{BatchId, Change, CorrectionResult, LateEvent, Outcome, PlacedEvent, Received};
use herd::clock::{ClockReading, iso_utc};
use herd::position::{Epoch, Position, Sequence, StoreId};
use herd::query::PayloadView;
use serde::Serialize;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its name.
    pub event: &'static str,
    /// The change that it is about; of a greeting and a heartbeat, the last one before what follows.
    pub sequence: Sequence,
    /// What it says.
    pub data: NoticeData,
}

/// What a message says. The keys up to `timestamp` are those of the original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NoticeData {
    /// Which history is told, and how far it is.
    Hello {
        /// The history. Sequences of another one mean nothing here.
        store: StoreId,
        /// Its writer.
        epoch: Epoch,
        /// The last change held.
        head: Sequence,
    },
    /// How far the log is.
    Heartbeat {
        /// The last change held.
        head: Sequence,
    },
    /// A payload was kept.
    Received {
        /// The sequence of its change.
        payload_id: Sequence,
        /// As it came.
        raw_payload: String,
        /// When it came by the barn's clock, ISO 8601 in UTC.
        timestamp: String,
        /// All else that is shown of it.
        #[serde(flatten)]
        payload: Box<PayloadView>,
    },
    /// A payload was judged.
    Processed {
        /// The sequence of its change.
        payload_id: Sequence,
        /// The batch that it names; none where it names none, or is no event.
        batch_id: Option<BatchId>,
        /// What the readers call that batch.
        batch_number: Option<String>,
        /// When it came by the barn's clock, ISO 8601 in UTC.
        timestamp: String,
        /// All else that is shown of it.
        #[serde(flatten)]
        payload: Box<PayloadView>,
    },
    /// A batch was opened.
    BatchCreated {
        /// The sequence of the change that opened it.
        batch_id: BatchId,
        /// What the readers call it.
        batch_number: String,
        /// `hxb` or `hxe`.
        source_type: &'static str,
        /// When it was opened by the barn's clock, ISO 8601 in UTC.
        timestamp: String,
    },
}

impl Notice {
    /// The greeting of somebody who is told what comes after `from`.
    pub(super) fn hello(from: &Position, head: &Position) -> Self {
        let Position { store, epoch, sequence: head, .. } = *head;
        Self { event: "hello", sequence: from.sequence, data: NoticeData::Hello { store, epoch, head } }
    }

    /// A sign of life for somebody who was told all up to `told`.
    pub(super) fn heartbeat(told: Sequence, head: Sequence) -> Self {
        Self { event: "heartbeat", sequence: told, data: NoticeData::Heartbeat { head } }
    }
}

/// The messages that one change makes, in the order in which they are told. A change that speaks of an earlier payload
/// needs that one's bytes: `earlier` reads them.
pub fn notices_of<E>(
    sequence: Sequence,
    bytes: &[u8],
    earlier: impl FnOnce(Sequence) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<Notice>, E> {
    // What this program does not know it cannot tell; that it does not is said where its tables stop.
    let Ok(change) = Change::from_bytes(bytes) else { return Ok(Vec::new()) };
    let opened = opened_batch(sequence, &change);
    let mut notices = Vec::new();
    if let Some(late) = change.late_event() {
        let payload = earlier(late.of)?.and_then(|bytes| received_in(&bytes));
        notices.extend(payload.map(|received| judged(sequence, late_payload(sequence, late, received))));
    } else if let Change::Received(received) = change {
        let payload = Box::new(PayloadView::new(sequence, *received));
        notices.extend([came(sequence, payload.clone()), judged(sequence, payload)]);
    }
    notices.extend(opened);
    Ok(notices)
}

fn received_in(bytes: &[u8]) -> Option<Received> {
    match Change::from_bytes(bytes) {
        Ok(Change::Received(received)) => Some(*received),
        _ => None,
    }
}

/// A payload that had been rejected, as the change `by` made an event of it.
fn late_payload(by: Sequence, late: &LateEvent, received: Received) -> Box<PayloadView> {
    let mut payload = PayloadView::new(late.of, received);
    payload.accept(by, late.accepted.clone());
    Box::new(payload)
}

fn came(sequence: Sequence, payload: Box<PayloadView>) -> Notice {
    let data = NoticeData::Received {
        payload_id: payload.id,
        raw_payload: payload.payload.clone(),
        timestamp: payload.received_at.clone(),
        payload,
    };
    Notice { event: "payload:received", sequence, data }
}

/// The verdict that the change `sequence` gives on a payload, which may be one of an earlier change.
fn judged(sequence: Sequence, payload: Box<PayloadView>) -> Notice {
    let data = NoticeData::Processed {
        payload_id: payload.id,
        batch_id: payload.batch,
        batch_number: payload.event.as_ref().and_then(|event| event.batch_number.clone()),
        timestamp: payload.received_at.clone(),
        payload,
    };
    Notice { event: "payload:processed", sequence, data }
}

/// The batch that is new with this change, if one is.
fn opened_batch(sequence: Sequence, change: &Change) -> Option<Notice> {
    let (number, source, at) = match change {
        Change::Corrected(corrected) if corrected.accepts().is_none() => {
            let CorrectionResult::States(states) = &corrected.result else { return None };
            let opened = states.batches.iter().find(|state| state.batch.0 == sequence.0)?;
            (opened.number.clone(), opened.source, corrected.clock)
        }
        _ => {
            let (accepted, at) = accepted_in(change)?;
            accepted.batch.filter(|named| named.batch.0 == sequence.0)?;
            (accepted.event.batch.clone()?, accepted.event.kind.batch_source(), at)
        }
    };
    let data = NoticeData::BatchCreated {
        batch_id: BatchId::from(sequence),
        batch_number: number,
        source_type: source.as_str(),
        timestamp: iso_utc(at.received_at_us),
    };
    Some(Notice { event: "batch:created", sequence, data })
}

/// The event that a change places, and when its payload came.
fn accepted_in(change: &Change) -> Option<(&PlacedEvent, ClockReading)> {
    match change {
        Change::Received(received) => match &received.outcome {
            Outcome::Accepted(accepted) => Some((accepted, received.clock)),
            Outcome::Rejected(_) => None,
        },
        other => other.late_event().map(|late| (&late.accepted, late.received)),
    }
}
