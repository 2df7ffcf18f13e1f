//! How large commit groups are, and how long they take.

use prometheus_client::metrics::histogram::Histogram;
use std::time::Duration;

/// Up to so many payloads.
const BOUNDS_PAYLOADS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
/// Up to so many seconds.
const BOUNDS_S: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The commit groups since the start of the process. Clones are of the same one.
#[derive(Clone, Debug)]
pub struct CommitTimes {
    /// Payloads of a group, those held already included.
    pub payloads: Histogram,
    /// From the first judgement of a group until it was durable and in the tables, seconds.
    pub seconds: Histogram,
}

impl Default for CommitTimes {
    fn default() -> Self {
        Self { payloads: Histogram::new(BOUNDS_PAYLOADS), seconds: Histogram::new(BOUNDS_S) }
    }
}

impl CommitTimes {
    pub(super) fn note(&self, payloads: usize, took: Duration) {
        self.payloads.observe(u32::try_from(payloads).unwrap_or(u32::MAX).into());
        self.seconds.observe(took.as_secs_f64());
    }
}
