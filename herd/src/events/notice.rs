//! The messages, and which of them a change makes.

use crate::change::{BatchId, Change, Outcome, Received};
use crate::clock::iso_utc;
use crate::position::{Epoch, Position, Sequence, StoreId};
use crate::query::PayloadView;
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

/// The messages that one change makes, in the order in which they are told.
pub fn notices_of(sequence: Sequence, bytes: &[u8]) -> Vec<Notice> {
    // What this program does not know it cannot tell; that it does not is said where its tables stop.
    let Ok(change) = Change::from_bytes(bytes) else { return Vec::new() };
    match change {
        Change::Received(received) => of_payload(sequence, *received),
        // Who writes from now on, and rejections that were only counted, are no news of a payload.
        Change::Epoch(_) | Change::Suppressed(_) => Vec::new(),
    }
}

fn of_payload(sequence: Sequence, received: Received) -> Vec<Notice> {
    let opened = opened_batch(sequence, &received);
    let payload = Box::new(PayloadView::new(sequence, received));
    let notices = [came(sequence, payload.clone()), judged(sequence, payload)];
    notices.into_iter().chain(opened).collect()
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
fn opened_batch(sequence: Sequence, received: &Received) -> Option<Notice> {
    let Outcome::Accepted(accepted) = &received.outcome else { return None };
    let batch_id = accepted.batch.map(|named| named.batch).filter(|batch| batch.0 == sequence.0)?;
    let data = NoticeData::BatchCreated {
        batch_id,
        batch_number: accepted.event.batch.clone()?,
        source_type: accepted.event.kind.batch_source().as_str(),
        timestamp: iso_utc(received.clock.received_at_us),
    };
    Some(Notice { event: "batch:created", sequence, data })
}
