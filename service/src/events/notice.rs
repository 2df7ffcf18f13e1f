//! The messages of the event stream, and their derivation from a change.

use herd::change::{BatchId, Change, CorrectionResult, LateEvent, Outcome, PlacedEvent, Received};
use herd::clock::ClockReading;
use herd::position::{Epoch, Position, Sequence, StoreId};
use herd::query::PayloadView;
use serde::Serialize;

/// One message of the event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Name of the event.
    pub event: &'static str,
    /// The change that the message is about. In `hello` and `heartbeat`, the change after which events follow.
    pub sequence: Sequence,
    /// Content of the message.
    pub data: NoticeData,
}

/// Content of a message. The keys up to `timestamp` are those of the original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NoticeData {
    /// The history that the events are from, and its head.
    Hello {
        /// The history. Sequences of another one have no meaning here.
        store: StoreId,
        /// Epoch of the history's writer.
        epoch: Epoch,
        /// The last change in the log.
        head: Sequence,
    },
    /// The head of the log.
    Heartbeat {
        /// The last change in the log.
        head: Sequence,
    },
    /// A payload was recorded.
    Received {
        /// Sequence of the payload's change.
        payload_id: Sequence,
        /// The payload as received.
        raw_payload: String,
        /// Time of arrival by the barn's clock, ISO 8601 in UTC.
        timestamp: Option<String>,
        /// The payload as the lists show it.
        #[serde(flatten)]
        payload: Box<PayloadView>,
    },
    /// A payload was judged.
    Processed {
        /// Sequence of the payload's change.
        payload_id: Sequence,
        /// The batch of the event; `None` if it names no batch, or if the payload is not an event.
        batch_id: Option<BatchId>,
        /// The batch number that the reader sent.
        batch_number: Option<String>,
        /// Time of arrival by the barn's clock, ISO 8601 in UTC.
        timestamp: Option<String>,
        /// The payload as the lists show it.
        #[serde(flatten)]
        payload: Box<PayloadView>,
    },
    /// A batch was opened.
    BatchCreated {
        /// Sequence of the change that opened the batch.
        batch_id: BatchId,
        /// The batch number that the reader sent.
        batch_number: String,
        /// `hxb` or `hxe`.
        source_type: &'static str,
        /// Time of opening by the barn's clock, ISO 8601 in UTC.
        timestamp: Option<String>,
    },
}

impl Notice {
    /// Creates the greeting of a listener that receives the events after `from`.
    pub(super) fn hello(from: &Position, head: &Position) -> Self {
        let Position { store, epoch, sequence: head, .. } = *head;
        Self { event: "hello", sequence: from.sequence, data: NoticeData::Hello { store, epoch, head } }
    }

    /// Creates a heartbeat for a listener that has received everything up to `sent`.
    pub(super) fn heartbeat(sent: Sequence, head: Sequence) -> Self {
        Self { event: "heartbeat", sequence: sent, data: NoticeData::Heartbeat { head } }
    }
}

/// Returns the messages of one change, in the order in which they are sent.
///
/// A change can accept the payload of an earlier change; `earlier` reads the bytes of that change.
pub fn notices_for<E>(
    sequence: Sequence,
    bytes: &[u8],
    earlier: impl FnOnce(Sequence) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<Notice>, E> {
    // A change that this binary does not know makes no messages. The status shows that the tables stop before it.
    let Ok(change) = Change::from_bytes(bytes) else { return Ok(Vec::new()) };
    let opened = opened_batch(sequence, &change);
    let mut notices = Vec::new();
    if let Some(late) = change.late_event() {
        let payload = earlier(late.of)?.and_then(|bytes| received_in(&bytes));
        notices.extend(payload.map(|received| processed(sequence, accepted_payload(sequence, late, received))));
    } else if let Change::Received(received) = change {
        let payload = Box::new(PayloadView::new(sequence, *received));
        notices.extend([received_notice(sequence, payload.clone()), processed(sequence, payload)]);
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

/// Returns a payload as the event that the later change `by` makes of it.
fn accepted_payload(by: Sequence, late: &LateEvent, received: Received) -> Box<PayloadView> {
    let mut payload = PayloadView::new(late.of, received);
    payload.accept(by, late.clone());
    Box::new(payload)
}

fn received_notice(sequence: Sequence, payload: Box<PayloadView>) -> Notice {
    let data = NoticeData::Received {
        payload_id: payload.id,
        raw_payload: payload.payload.clone(),
        timestamp: payload.received_at.clone(),
        payload,
    };
    Notice { event: "payload:received", sequence, data }
}

/// Returns the verdict of the change `sequence` on a payload, which may be that of an earlier change.
fn processed(sequence: Sequence, payload: Box<PayloadView>) -> Notice {
    let data = NoticeData::Processed {
        payload_id: payload.id,
        batch_id: payload.batch,
        batch_number: payload.event.as_ref().and_then(|event| event.batch_number.clone()),
        timestamp: payload.received_at.clone(),
        payload,
    };
    Notice { event: "payload:processed", sequence, data }
}

/// Returns the message of the batch that the change opened, if it opened one.
fn opened_batch(sequence: Sequence, change: &Change) -> Option<Notice> {
    let (number, source, at) = match change {
        Change::Corrected(corrected) if corrected.accepts().is_none() => {
            let CorrectionResult::States(states) = &corrected.result else { return None };
            let opened = states.batches.iter().find(|state| state.batch.0 == sequence.0)?;
            (opened.number.to_string(), opened.source, corrected.clock)
        }
        _ => {
            let (accepted, at) = accepted_in(change)?;
            accepted.batch.filter(|named| named.batch.0 == sequence.0)?;
            (accepted.event.batch.as_ref()?.to_string(), accepted.event.kind.batch_source(), at)
        }
    };
    let data = NoticeData::BatchCreated {
        batch_id: BatchId::from(sequence),
        batch_number: number,
        source_type: source.as_str(),
        timestamp: at.wall().iso_utc(),
    };
    Some(Notice { event: "batch:created", sequence, data })
}

/// Returns the event that a change accepts, and the clock reading at the arrival of its payload.
fn accepted_in(change: &Change) -> Option<(&PlacedEvent, ClockReading)> {
    match change {
        Change::Received(received) => match &received.outcome {
            Outcome::Accepted(accepted) => Some((accepted, received.clock)),
            Outcome::Rejected(_) => None,
        },
        other => other.late_event().map(|late| (&late.accepted, late.received)),
    }
}
