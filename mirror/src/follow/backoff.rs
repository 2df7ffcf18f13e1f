//! Waits between retries after errors.

use std::time::Duration;

/// First wait, before jitter.
const FIRST: Duration = Duration::from_millis(250);

/// Exponential backoff with jitter.
///
/// The wait doubles from 250 ms up to a cap. Each actual wait is between half of that and all of it, so that many
/// mirrors of one barn do not reconnect at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    cap: Duration,
    state: u64,
}

impl Backoff {
    pub(super) fn new(cap: Duration, seed: u64) -> Self {
        Self { next: FIRST.min(cap), cap, state: seed }
    }

    /// Starts again from the first wait, after a connection that worked.
    pub(super) fn reset(&mut self) {
        self.next = FIRST.min(self.cap);
    }

    /// Returns the next wait.
    pub(super) fn next_wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.cap);
        // SplitMix64 (Steele, Lea, Flood 2014), which is random enough for jitter.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = u32::try_from((z >> 33) % 1_000).unwrap_or(0);
        whole / 2 + whole / 2 * share / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_with_bounded_jitter() {
        let mut backoff = Backoff::new(Duration::from_secs(10), 7);
        for exponent in 0..12 {
            let whole = (FIRST * 2_u32.pow(exponent)).min(Duration::from_secs(10));
            let wait = backoff.next_wait();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }

    /// Catches mirrors that wait alike, because the jitter takes few values.
    #[test]
    fn the_jitter_is_that_of_splitmix64() {
        // The first outputs for this seed, as they are published.
        let outputs: [u64; 5] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        let mut backoff = Backoff::new(FIRST, 1_234_567);
        for output in outputs {
            let share = u32::try_from((output >> 33) % 1_000).unwrap();
            assert_eq!(backoff.next_wait(), FIRST / 2 + FIRST / 2 * share / 1_000);
        }
    }
}
