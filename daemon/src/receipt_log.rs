//! Log lines about recorded payloads, with the fields that `journalctl` can filter by.
//!
//! # Decisions
//!
//! - **Each recorded payload is one line with `SEQUENCE` and `CHANNEL`, and an array of payloads is one line.** A chute
//!   delivers about 15 payloads a second at most, so the lines do not flood a log, and `journalctl SEQUENCE=42` is the first
//!   query of most investigations. Duplicates are logged at the debug level only.
//! - **Single calls over HTTP share [`LINES_PER_SECOND`] lines a second.** A program that hands over its backlog call by call
//!   sends thousands. journald would drop most of their lines, and warnings among them, and a card would wear. The line
//!   at the limit says that there are more, and `log = "debug"` has them all.

use herd::store::Receipt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Maximum number of lines a second about single calls. The default limit of journald is 333, for all lines of a service.
const LINES_PER_SECOND: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);

/// Counts the lines of the current second. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct LineLimit(Arc<Mutex<Option<LineCount>>>);

/// Lines since a moment.
#[derive(Clone, Copy, Debug)]
struct LineCount {
    since: Instant,
    lines: u32,
}

impl LineLimit {
    /// Counts a line, and returns how many this second had before it.
    fn count(&self) -> u32 {
        let now = Instant::now();
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = count.filter(|count| now.duration_since(count.since) < SECOND);
        let LineCount { since, lines } = lines.unwrap_or(LineCount { since: now, lines: 0 });
        *count = Some(LineCount { since, lines: lines.saturating_add(1) });
        lines
    }
}

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

/// Logs the outcome of a single call, unless this second has had its lines.
pub(crate) fn log_call(limit: &LineLimit, channel: &str, receipt: &Receipt) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        return log_receipt(channel, None, receipt);
    }
    match limit.count() {
        ..LINES_PER_SECOND => log_receipt(channel, None, receipt),
        LINES_PER_SECOND => {
            tracing::info!(channel, "more than {LINES_PER_SECOND} payloads in a second; no lines about the others");
        }
        _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a limit that never ends, which would silence the log for good.
    #[tokio::test(start_paused = true)]
    async fn lines_are_counted_from_zero_in_each_second() {
        let limit = LineLimit::default();
        assert_eq!((0..3).map(|_| limit.clone().count()).collect::<Vec<_>>(), [0, 1, 2]);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(limit.count(), 3);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limit.count(), 0);
    }
}
