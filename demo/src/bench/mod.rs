//! The benches. Each part measures one activity and returns its rows.
//!
//! | module | holds |
//! |---|---|
//! | [`parts`] | the parts, their time limits, and the run |
//! | [`floor`], [`rows`] | the fastest that this machine can do, and figures as ratios to it with their goals |
//! | [`traffic`] | the payloads, and the order in which concurrent senders send them |
//! | [`store`], [`recorder`] | a store without a network, and the recorder in front of it |
//! | [`lag`], [`https`], [`replicas`], [`large`], [`pages`], [`backups`] | barn and office as processes ([`yard`]) |
//! | [`season`] | a herd whose reads are spread over months |
//! | [`bare`] | a server without a store, to compare with |
//! | [`peers`] | PostgreSQL, Redis and JetStream with the same shapes of work |
//! | [`memory`], [`device`] | what the kernel counts |
//! | [`instructions`] | fixed work for callgrind |
//!
//! # Decisions
//!
//! - **A figure is a ratio to the floor**, which is the fastest that this machine can do: an fdatasync, a round trip over
//!   TLS, or bytes sent over TLS into a file. The floor is measured again right before each part. Absolute times with a
//!   limit were rejected, because disks differ, and the same disk differs from itself an hour later: the same binaries
//!   appended 38,542 and 25,061 changes a second in different hours. For the same reason no test asserts a time, and a
//!   goal that is missed fails nothing.
//! - **What a sender does before it sends is not measured.** Payloads and the bodies of requests are made before the clock
//!   starts. The time of arrival is read within it, as in a barn.
//! - **A part has a time budget.** One that runs out reports what it has measured and that it was cut short, so that a slow
//!   machine gives figures, too, instead of a failure.
//! - **Errors are untyped here**, unlike in the rest of the workspace: they are shown to the person who runs the bench, and
//!   no code decides on them.

pub mod backups;
pub mod bare;
pub mod device;
pub mod floor;
pub mod https;
pub mod instructions;
pub mod lag;
pub mod large;
pub mod listener;
pub mod memory;
pub mod pages;
pub mod parts;
pub mod peers;
pub mod recorder;
pub mod replicas;
pub mod rows;
pub mod season;
pub mod sizes;
pub mod store;
pub mod traffic;
pub mod yard;

pub use sizes::Sizes;

use serde_json::Value;
use std::time::{Duration, Instant};

/// An error of a bench, shown to the person who runs it.
pub type BenchError = anyhow::Error;

/// The outcome of a part.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The rows, in the order in which they are printed.
    pub rows: Vec<rows::Row>,
    /// Sizes, distributions and whatever else explains the rows.
    pub details: Value,
}

/// Durations, sorted.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Creates samples from durations in any order.
    pub fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    /// Returns the sample that `percent` of all samples do not exceed; zero without samples.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(self.0.len() * percent / 100).or_else(|| self.0.get(last)).copied().unwrap_or_default()
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true without samples.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns an object with `p50_ms`, `p99_ms`, `worst_ms` and `samples`.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "p50_ms": ms(self.percentile(50)),
            "p99_ms": ms(self.percentile(99)),
            "worst_ms": ms(self.0.last().copied().unwrap_or_default()),
            "samples": self.0.len(),
        })
    }
}

/// Time left to take samples. A part whose budget is spent reports the samples that it has.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    end: Instant,
}

impl Budget {
    /// Returns a budget of `duration` that starts now.
    pub fn new(duration: Duration) -> Self {
        Self { end: Instant::now() + duration }
    }

    /// Returns the time that is left.
    pub fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Returns true if no time is left.
    pub fn is_spent(self) -> bool {
        self.left().is_zero()
    }

    /// Returns a budget of the first `percent` of the time that is left.
    #[must_use]
    pub fn share(self, percent: u32) -> Self {
        Self::new(self.left() * percent / 100)
    }
}

/// Converts to milliseconds, rounded to a microsecond.
pub fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Returns the number per second, rounded to an integer.
pub fn rate(count: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
    let per_second = count as f64 / elapsed.as_secs_f64();
    per_second.round()
}

/// Returns `value / base`, rounded to three decimal places.
pub fn ratio(value: f64, base: f64) -> f64 {
    (value / base * 1e3).round() / 1e3
}

/// Returns `value / base`, rounded to three decimal places.
pub fn times(value: Duration, base: Duration) -> f64 {
    ratio(value.as_secs_f64(), base.as_secs_f64())
}

/// Runs `work` and returns its result and its duration.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_include_the_smallest_and_the_largest() {
        let samples = Samples::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(samples.percentile(0), Duration::from_millis(1));
        assert_eq!(samples.percentile(50), Duration::from_millis(51));
        assert_eq!(samples.percentile(100), Duration::from_millis(100));
        assert_eq!(Samples::default().percentile(50), Duration::ZERO);
    }

    #[test]
    fn a_share_is_part_of_the_time_that_is_left() {
        let spent = Budget::new(Duration::ZERO);
        assert!(spent.is_spent() && spent.share(50).is_spent());
        let fresh = Budget::new(Duration::from_secs(1_000));
        assert!(fresh.share(50).left() <= Duration::from_secs(500));
    }
}
