//! Log lines about recorded payloads, with the fields that `journalctl` can filter by.
//!
//! Decision: each recorded payload is one line with `SEQUENCE` and `CHANNEL`, and an array of payloads is one line. A
//! chute delivers about 15 payloads a second at most, so the lines do not flood a log, and `journalctl SEQUENCE=42` is
//! the first query of most investigations. Duplicates are logged at the debug level only.

use herd::store::Receipt;

/// Logs the outcome of one payload.
pub(crate) fn log_receipt(channel: &str, rssi_dbm: Option<i16>, receipt: &Receipt) {
    match receipt {
        Receipt::Kept { sequence } => tracing::info!(sequence = sequence.0, channel, rssi_dbm, "payload recorded"),
        Receipt::Rejected { sequence, reason } => {
            tracing::info!(sequence = sequence.0, channel, rssi_dbm, %reason, "payload recorded but rejected");
        }
        Receipt::Duplicate { of } => tracing::debug!(sequence = of.0, channel, rssi_dbm, "duplicate payload"),
        Receipt::Suppressed => tracing::debug!(channel, rssi_dbm, "rejected payload counted, not recorded"),
    }
}

/// Logs the outcome of an array of payloads: one line, and one for each payload at the debug level.
pub(crate) fn log_receipts(channel: &str, receipts: &[Receipt]) {
    tracing::info!(channel, payloads = receipts.len(), "array of payloads judged");
    if tracing::enabled!(tracing::Level::DEBUG) {
        for receipt in receipts {
            log_receipt(channel, None, receipt);
        }
    }
}
