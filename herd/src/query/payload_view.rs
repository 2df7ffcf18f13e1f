//! Payloads as they are shown.

use super::event_view::EventView;
use crate::change::{Accepted, AnimalId, BatchId, Outcome, Received};
use crate::clock::iso_utc;
use crate::payload::content_hash;
use crate::position::Sequence;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// What became of a payload. A duplicate is not kept, so that none is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadStatus {
    /// It is an event.
    Processed,
    /// It is none.
    Error,
}

impl PayloadStatus {
    /// The name in JSON and in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Error => "error",
        }
    }
}

/// A payload, where it came from, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PayloadView {
    /// The sequence of its change.
    pub id: Sequence,
    /// As it came; where it is not UTF-8, with U+FFFD in place of what is none.
    pub payload: String,
    /// Whether `payload` is exactly what came.
    pub is_text: bool,
    /// What came, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
    /// SHA-256 of the trimmed text.
    pub payload_hash: String,
    /// What became of it.
    pub status: PayloadStatus,
    /// Why it is no event: the reason's stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The same as a sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_text: Option<String>,
    /// The later change that made an event of it although it had been rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<Sequence>,
    /// The later change that voided its event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_by: Option<Sequence>,
    /// When it came by the barn's clock, ISO 8601 in UTC.
    pub received_at: String,
    /// Whether that clock followed a time source then.
    pub clock_synchronized: bool,
    /// In which boot of the barn's machine.
    pub boot: u32,
    /// The named radio, modem or HTTP key.
    pub channel: String,
    /// Signal strength; none over HTTP.
    pub rssi_dbm: Option<i16>,
    /// Signal to noise, decimal dB; none over HTTP.
    pub snr_db: Option<String>,
    /// The readers that share one count of event ids and lids.
    pub reader_group: String,
    /// Which replacement or counter reset of them.
    pub reader_era: u32,
    /// The animal that it is about.
    pub animal: Option<AnimalId>,
    /// The batch that it names.
    pub batch: Option<BatchId>,
    /// What it says.
    pub event: Option<EventView>,
}

impl PayloadView {
    /// Shows the payload of the change `sequence`.
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
            received_at: iso_utc(clock.received_at_us),
            clock_synchronized: clock.synchronized,
            boot: clock.boot,
            channel: origin.channel,
            rssi_dbm: origin.rssi_dbm,
            snr_db: origin.snr_quarter_db.map(decibels),
            reader_group: origin.reader_group,
            reader_era: origin.reader_era,
            animal: None,
            batch: None,
            event: None,
        };
        view.tell(outcome);
        view
    }

    fn tell(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted(accepted) => self.tell_event(*accepted),
            Outcome::Rejected(rejected) => {
                self.status = PayloadStatus::Error;
                self.reason = Some(rejected.reason.code());
                self.reason_text = Some(rejected.reason.to_string());
            }
        }
    }

    /// Shows the event that the change `by` made of this payload, which had been rejected or voided.
    pub fn accept(&mut self, by: Sequence, accepted: Accepted) {
        self.accepted_by = Some(by);
        self.tell_event(accepted);
    }

    fn tell_event(&mut self, accepted: Accepted) {
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
