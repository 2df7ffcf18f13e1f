//! The figures, as ratios to what this very machine can do at the same hour.
//!
//! Each part gives JSON. The floor is measured in the same run, because a disk differs from another, and from itself
//! an hour later.

pub mod bare;
pub mod device;
pub mod floor;
pub mod https;
pub mod lag;
pub mod memory;
pub mod parts;
pub mod replicas;
pub mod sizes;
pub mod store;
pub mod yard;

pub use sizes::Sizes;

use serde_json::Value;
use std::time::{Duration, Instant};

/// What fails in a bench is shown to whoever ran it, and nobody decides on it.
pub type Failed = anyhow::Error;

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

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// Until when a part may take its samples. What it has by then is what it tells, and that it was cut.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    end: Instant,
}

impl Budget {
    /// From now on, so long.
    pub fn of(time: Duration) -> Self {
        Self { end: Instant::now() + time }
    }

    /// What is left of it.
    pub fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left of it.
    pub fn is_spent(self) -> bool {
        self.left().is_zero()
    }

    /// The first `percent` of what is left of it.
    #[must_use]
    pub fn share(self, percent: u32) -> Self {
        Self::of(self.left() * percent / 100)
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

/// How many times `to` goes into `of`.
pub fn times(of: Duration, to: Duration) -> f64 {
    ratio(of.as_secs_f64(), to.as_secs_f64())
}

/// Runs `work` and gives what it gave and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_the_ends_are_the_ends() {
        let samples = Samples::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(samples.percentile(0), Duration::from_millis(1));
        assert_eq!(samples.percentile(50), Duration::from_millis(51));
        assert_eq!(samples.percentile(100), Duration::from_millis(100));
        assert_eq!(Samples::default().percentile(50), Duration::ZERO);
    }

    #[test]
    fn a_spent_budget_has_nothing_to_share() {
        let spent = Budget::of(Duration::ZERO);
        assert!(spent.is_spent() && spent.share(50).is_spent());
        let fresh = Budget::of(Duration::from_secs(1_000));
        assert!(fresh.share(50).left() <= Duration::from_secs(500));
    }
}
