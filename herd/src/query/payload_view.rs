//! View of a payload.
//!
//! # Decisions
//!
//! - **No payload has the status `received` or `processing`.** The original system had them for payloads that were not
//!   judged yet. Here receipt and judgment are one commit.

use super::event_view::EventView;
use crate::change::{AnimalId, BatchId, LateEvent, Outcome, PlacedEvent, Received};
use crate::payload::content_hash;
use crate::position::Sequence;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// Status of a payload. Duplicates are not in the log, so they have no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadStatus {
    /// The payload is an event.
    Processed,
    /// The payload is rejected.
    Error,
}

impl PayloadStatus {
    /// Returns the name in JSON and in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Error => "error",
        }
    }
}

/// A payload, with its origin and the decision about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PayloadView {
    /// Sequence of the change that holds it.
    pub id: Sequence,
    /// Text as it was received, with U+FFFD in place of bytes that are not UTF-8.
    pub payload: String,
    /// `true` if `payload` is exactly what was received.
    pub is_text: bool,
    /// Received bytes, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
    /// SHA-256 of the trimmed bytes.
    pub payload_hash: String,
    /// Status of the payload.
    pub status: PayloadStatus,
    /// Stable code of the rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Reason of the rejection as a sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_text: Option<String>,
    /// Later change that accepted it as an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<Sequence>,
    /// Later change that voided its event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_by: Option<Sequence>,
    /// Arrival by the barn's clock, ISO 8601 in UTC; `None` if that clock had never been set.
    pub received_at: Option<String>,
    /// `true` if that clock followed a time source at that time.
    pub clock_synchronized: bool,
    /// Boot of the barn's machine in which it arrived.
    pub boot: u32,
    /// Name of the radio, modem or HTTP key.
    pub channel: String,
    /// Signal strength; `None` over HTTP.
    pub rssi_dbm: Option<i16>,
    /// Signal-to-noise ratio in decimal dB; `None` over HTTP.
    pub snr_db: Option<String>,
    /// Readers that share event ids and lids.
    pub reader_group: String,
    /// Era of those readers, which counts their replacements and resets.
    pub reader_era: u32,
    /// Animal of the event.
    pub animal: Option<AnimalId>,
    /// Batch that the event names.
    pub batch: Option<BatchId>,
    /// The event.
    pub event: Option<EventView>,
}

impl PayloadView {
    /// Makes the view of the payload in the change `sequence`.
    pub fn new(sequence: Sequence, received: Received) -> Self {
        let Received { raw, origin, clock, outcome, .. } = received;
        let payload_hash = content_hash(&raw).to_string();
        let (payload, raw_base64) = match String::from_utf8(raw) {
            Ok(text) => (text, None),
            Err(bytes) => (String::from_utf8_lossy(bytes.as_bytes()).into_owned(), Some(base64(bytes.as_bytes()))),
        };
        let mut view = Self {
            id: sequence,
            payload,
            is_text: raw_base64.is_none(),
            raw_base64,
            payload_hash,
            status: PayloadStatus::Processed,
            reason: None,
            reason_text: None,
            accepted_by: None,
            voided_by: None,
            received_at: clock.wall().iso_utc(),
            clock_synchronized: clock.synchronized,
            boot: clock.boot,
            channel: origin.channel.into(),
            rssi_dbm: origin.rssi_dbm,
            snr_db: origin.snr_quarter_db.map(decibels),
            reader_group: origin.reader_group.into(),
            reader_era: origin.reader_era,
            animal: None,
            batch: None,
            event: None,
        };
        view.set_outcome(outcome);
        view
    }

    fn set_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted(accepted) => self.set_event(*accepted),
            Outcome::Rejected(rejected) => {
                self.status = PayloadStatus::Error;
                self.reason = Some(rejected.reason.code());
                self.reason_text = Some(rejected.reason.to_string());
            }
        }
    }

    /// Adds the event that the change `by` made of this payload after a rejection, a void or in another reader era.
    pub fn accept(&mut self, by: Sequence, late: LateEvent) {
        self.accepted_by = Some(by);
        self.reader_era = late.origin.reader_era;
        self.set_event(late.accepted);
    }

    fn set_event(&mut self, accepted: PlacedEvent) {
        self.status = PayloadStatus::Processed;
        (self.reason, self.reason_text) = (None, None);
        self.animal = Some(accepted.animal);
        self.batch = accepted.batch.map(|named| named.batch);
        self.event = Some(EventView::from(accepted.event));
    }
}

/// Returns bytes in standard base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns quarters of a decibel as decimal decibels: -7 becomes `-1.75`.
fn decibels(quarters: i16) -> String {
    let sign = if quarters < 0 { "-" } else { "" };
    let quarters = quarters.unsigned_abs();
    let fraction = ["", ".25", ".5", ".75"][usize::from(quarters % 4)];
    format!("{sign}{}{fraction}", quarters / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a rounded fraction and a lost sign, which `-0.25` alone can show.
    #[test]
    fn decibels_are_exact() {
        let texts = [-7, -4, -1, 0, 1, 30, i16::MIN].map(decibels);
        assert_eq!(texts, ["-1.75", "-1", "-0.25", "0", "0.25", "7.5", "-8192"]);
    }
}
