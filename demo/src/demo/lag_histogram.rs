//! Distribution of the time from a payload's arrival at the barn until it is durable at the office, as a follower sees it.

/// Width of a bucket, microseconds.
const BUCKET_US: u64 = 100;
/// Number of buckets. Lags of a minute and more share the last one.
const BUCKETS: usize = 600_001;

/// Counts of lags with a resolution of a tenth of a millisecond. Its memory does not grow with the length of a run.
#[derive(Clone, Debug)]
pub(super) struct LagHistogram {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for LagHistogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }
}

impl LagHistogram {
    /// Adds a lag. A negative one, which a clock that was set back causes, counts as zero.
    pub(super) fn add(&mut self, lag_us: i64) {
        let bucket = usize::try_from(u64::try_from(lag_us).unwrap_or(0) / BUCKET_US).unwrap_or(BUCKETS);
        let bucket = &mut self.buckets[bucket.min(BUCKETS - 1)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
    }

    /// Returns the number of lags.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the lag that `percent` of all lags do not exceed, in milliseconds; `None` without lags.
    ///
    /// It is the upper edge of a bucket, so that no lag is reported shorter than it was.
    pub(super) fn percentile_ms(&self, percent: u64) -> Option<f64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut below = 0;
        let reaches = |count: &u32| {
            below += u64::from(*count);
            below >= rank
        };
        let bucket = u64::try_from(self.buckets.iter().position(reaches)?).ok()?;
        let edge_us = u32::try_from((bucket + 1) * BUCKET_US).ok()?;
        Some(f64::from(edge_us) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_rank_and_rounded_up() {
        let mut lags = LagHistogram::default();
        assert_eq!(lags.percentile_ms(50), None);
        for ms in 1..=100 {
            lags.add(ms * 1_000);
        }
        assert_eq!((lags.percentile_ms(50), lags.percentile_ms(99), lags.count()), (Some(50.1), Some(99.1), 100));
    }

    #[test]
    fn lags_outside_the_range_count_in_the_first_and_the_last_bucket() {
        let mut lags = LagHistogram::default();
        lags.add(-5);
        assert_eq!(lags.percentile_ms(50), Some(0.1));
        lags.add(i64::MAX);
        lags.add(i64::MAX);
        assert_eq!(lags.percentile_ms(99), Some(60_000.1));
    }
}
