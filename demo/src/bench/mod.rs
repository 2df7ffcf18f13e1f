//! The figures, as ratios to what this very machine can do at the same hour.
//!
//! Each part gives JSON. A figure is a median over several runs; the floor is measured in the same run, because a
//! disk differs from another, and from itself an hour later.

pub mod device;
pub mod floor;
pub mod store;

use serde_json::Value;
use std::time::{Duration, Instant};

/// Sorted samples.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Takes them in any order.
    pub fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    /// The sample that `percent` of all are not above; zero where there are none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(self.0.len() * percent / 100).or_else(|| self.0.get(last)).copied().unwrap_or_default()
    }

    /// `{"p50_ms", "p99_ms", "worst_ms", "samples"}`.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "p50_ms": ms(self.percentile(50)),
            "p99_ms": ms(self.percentile(99)),
            "worst_ms": ms(self.0.last().copied().unwrap_or_default()),
            "samples": self.0.len(),
        })
    }
}

/// Milliseconds to the microsecond.
pub fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// How many a second, rounded to whole ones.
pub fn rate(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
    let per_second = count as f64 / took.as_secs_f64();
    per_second.round()
}

/// To three places: enough for a ratio.
pub fn ratio(of: f64, to: f64) -> f64 {
    (of / to * 1e3).round() / 1e3
}

/// Runs `work` and gives what it gave and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}
