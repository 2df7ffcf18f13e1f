//! The lines of the log about payloads, with the fields that the journal can be asked for.

use herd::store::Receipt;

/// What became of one payload. A read is news, and what the air or a program brings one by one does not fill a log; a
/// repeat is none.
pub(crate) fn log_judged(channel: &str, rssi_dbm: Option<i16>, receipt: &Receipt) {
    match receipt {
        Receipt::Kept { sequence } => tracing::info!(sequence = sequence.0, channel, rssi_dbm, "a read is kept"),
        Receipt::Rejected { sequence, reason } => {
            tracing::info!(sequence = sequence.0, channel, rssi_dbm, %reason, "a payload is kept that is no event");
        }
        Receipt::Duplicate { of } => tracing::debug!(sequence = of.0, channel, rssi_dbm, "a payload was kept before"),
        Receipt::Suppressed => tracing::debug!(channel, rssi_dbm, "a payload that is no event is only counted"),
    }
}

/// What became of an array of payloads: one line, and one for each only where every step is asked for.
pub(crate) fn log_array_judged(channel: &str, receipts: &[Receipt]) {
    tracing::info!(channel, payloads = receipts.len(), "an array of payloads was judged");
    if tracing::enabled!(tracing::Level::DEBUG) {
        for receipt in receipts {
            log_judged(channel, None, receipt);
        }
    }
}
