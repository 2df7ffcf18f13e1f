//! Hits of one kind, and when the log reports them.
//!
//! The first one is reported at once. After that there is one report a minute with the count, so that a flood does not fill
//! the log, and no hit is left out.

use std::time::Duration;
use tokio::time::Instant;

/// Minimum time between two reports of one kind.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The hits of one kind, with details of the last one.
#[derive(Clone, Copy, Debug)]
pub struct Hits<T> {
    total: u64,
    /// Hits since the last report.
    unreported: u64,
    last: Option<T>,
    reported_at: Option<Instant>,
}

/// The hits that the log has to report now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitReport<T> {
    /// Number of hits since the report before.
    pub count: u64,
    /// Details of the last one.
    pub last: T,
}

impl<T> Default for Hits<T> {
    fn default() -> Self {
        Self { total: 0, unreported: 0, last: None, reported_at: None }
    }
}

impl<T: Clone> Hits<T> {
    /// Counts hits, with details of the last one.
    pub fn add(&mut self, count: u64, last: T) {
        self.total = self.total.saturating_add(count);
        self.unreported = self.unreported.saturating_add(count);
        self.last = Some(last);
    }

    /// Returns the number of all hits.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the hits that the log has to report now; `None` if there are none, or it is too early.
    pub fn take_report(&mut self, now: Instant) -> Option<HitReport<T>> {
        let is_early = self.reported_at.is_some_and(|at| now.saturating_duration_since(at) < REPORT_INTERVAL);
        if self.unreported == 0 || is_early {
            return None;
        }
        let last = self.last.clone()?;
        self.reported_at = Some(now);
        Some(HitReport { count: std::mem::take(&mut self.unreported), last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a flood that fills the log, and hits at its end that nothing ever reports.
    #[tokio::test(start_paused = true)]
    async fn the_first_hit_is_reported_at_once_and_the_others_once_a_minute() {
        let mut hits = Hits::default();
        let mut reports = Vec::new();
        for n in 0..300 {
            hits.add(1, n);
            reports.extend(hits.take_report(Instant::now()));
        }
        assert_eq!(reports, [HitReport { count: 1, last: 0 }]);
        tokio::time::advance(REPORT_INTERVAL).await;
        assert_eq!(hits.take_report(Instant::now()), Some(HitReport { count: 299, last: 299 }));
        tokio::time::advance(REPORT_INTERVAL).await;
        assert_eq!((hits.take_report(Instant::now()), hits.total()), (None, 300));
    }
}
