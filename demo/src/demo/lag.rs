//! How long payloads take from the barn's ear to the office.

/// One bucket of the counts.
const BUCKET_US: u64 = 100;
/// Lags of a minute and more share the last bucket.
const BUCKETS: usize = 600_001;

/// Counts of lags, to a tenth of a millisecond, in bounded memory however long they are taken.
#[derive(Clone, Debug)]
pub(super) struct Lags {
    counts: Vec<u32>,
    of: u64,
}

impl Default for Lags {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], of: 0 }
    }
}

impl Lags {
    /// Takes note of one. A clock that was set back in between makes it negative; that counts as none.
    pub(super) fn note(&mut self, lag_us: i64) {
        let bucket = usize::try_from(u64::try_from(lag_us).unwrap_or(0) / BUCKET_US).unwrap_or(BUCKETS);
        let count = &mut self.counts[bucket.min(BUCKETS - 1)];
        *count = count.saturating_add(1);
        self.of += 1;
    }

    /// How many were noted.
    pub(super) fn of(&self) -> u64 {
        self.of
    }

    /// The lag that so many percent do not exceed, in milliseconds; none while none was noted.
    pub(super) fn percentile_ms(&self, percent: u64) -> Option<f64> {
        let rank = (self.of * percent).div_ceil(100).max(1);
        let mut below = 0;
        let reaches = |count: &u32| {
            below += u64::from(*count);
            below >= rank
        };
        let bucket = u64::try_from(self.counts.iter().position(reaches)?).ok()?;
        // The upper edge, so that no lag is told shorter than it was.
        let edge_us = u32::try_from((bucket + 1) * BUCKET_US).ok()?;
        Some(f64::from(edge_us) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_rank_and_never_told_shorter() {
        let mut lags = Lags::default();
        assert_eq!(lags.percentile_ms(50), None);
        for ms in 1..=100 {
            lags.note(ms * 1_000);
        }
        assert_eq!((lags.percentile_ms(50), lags.percentile_ms(99), lags.of()), (Some(50.1), Some(99.1), 100));
    }

    #[test]
    fn lags_beyond_all_bounds_are_counted_at_the_bounds() {
        let mut lags = Lags::default();
        lags.note(-5);
        assert_eq!(lags.percentile_ms(50), Some(0.1));
        lags.note(i64::MAX);
        lags.note(i64::MAX);
        assert_eq!(lags.percentile_ms(99), Some(60_000.1));
    }
}
