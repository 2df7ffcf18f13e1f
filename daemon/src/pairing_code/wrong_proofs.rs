//! Limits for wrong proofs, over all peers together.

/// Wrong proofs a second that are answered and counted. The others are refused with 429 and do not count.
pub const WRONG_PROOFS_PER_S: u64 = 10;
/// Wrong proofs that are answered at once after a quiet time.
const BURST: u64 = 20;
/// Wrong proofs after which the code is dead; see the decisions of the module for the number.
pub const MAX_WRONG_PROOFS: u64 = 1_000_000;
/// Wrong proofs after which their number is written and logged. A flood then writes once in 100 s, which a card bears.
const SAVE_EVERY: u64 = 1_000;

/// Limits for wrong proofs.
#[derive(Clone, Copy, Debug)]
pub struct WrongProofLimits {
    /// Wrong proofs a second that count.
    pub per_s: u64,
    /// Wrong proofs that count at once after a quiet time.
    pub burst: u64,
    /// Wrong proofs after which the code is dead.
    pub total: u64,
    /// Wrong proofs after which their number is written and logged.
    pub save_every: u64,
}

impl Default for WrongProofLimits {
    fn default() -> Self {
        Self { per_s: WRONG_PROOFS_PER_S, burst: BURST, total: MAX_WRONG_PROOFS, save_every: SAVE_EVERY }
    }
}

/// A count of wrong proofs behind a token bucket.
#[derive(Debug)]
pub(super) struct WrongProofCount {
    limits: WrongProofLimits,
    total: u64,
    /// Thousandths of the wrong proofs that may count now.
    allowance_milli: u64,
    refilled_at_ms: u64,
}

/// Effect of a wrong proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrongProofEffect {
    /// Refused without counting.
    Limited,
    /// Counted.
    Counted {
        /// Number of wrong proofs so far.
        total: u64,
        /// True if the number should be written.
        save: bool,
    },
    /// Counted, and the last one that the code survives.
    Exhausted {
        /// Number of wrong proofs so far.
        total: u64,
    },
}

impl WrongProofCount {
    /// Continues at `total`.
    pub(super) fn new(limits: WrongProofLimits, total: u64, now_ms: u64) -> Self {
        Self { limits, total, allowance_milli: limits.burst * 1_000, refilled_at_ms: now_ms }
    }

    /// Counts a wrong proof. `now_ms` is the time since boot, which nobody can set.
    pub(super) fn count(&mut self, now_ms: u64) -> WrongProofEffect {
        let elapsed_ms = now_ms.saturating_sub(self.refilled_at_ms);
        self.refilled_at_ms = self.refilled_at_ms.max(now_ms);
        let refill = elapsed_ms.saturating_mul(self.limits.per_s);
        self.allowance_milli = self.allowance_milli.saturating_add(refill).min(self.limits.burst * 1_000);
        let Some(rest) = self.allowance_milli.checked_sub(1_000) else { return WrongProofEffect::Limited };
        self.allowance_milli = rest;
        self.total = self.total.saturating_add(1);
        let total = self.total;
        if total >= self.limits.total {
            return WrongProofEffect::Exhausted { total };
        }
        WrongProofEffect::Counted { total, save: total.is_multiple_of(self.limits.save_every) }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Catches a flood that counts faster than the limit, and so could force a trip to the card.
        #[test]
        fn no_more_than_the_rate_and_the_burst_count(
            waits_ms in prop::collection::vec(0_u64..500, 1..200), per_s in 1_u64..20, burst in 1_u64..30,
        ) {
            let limits = WrongProofLimits { per_s, burst, total: u64::MAX, save_every: 7 };
            let mut count = WrongProofCount::new(limits, 0, 0);
            let mut now_ms = 0;
            for wait_ms in waits_ms {
                now_ms += wait_ms;
                let _ = count.count(now_ms);
                prop_assert!(count.total() <= burst + now_ms * per_s / 1_000);
            }
        }
    }

    /// Catches a count that a restart or a clock that stands still sets back, and an end that comes too early.
    #[test]
    fn the_count_goes_on_from_the_stored_number_to_its_end() {
        let limits = WrongProofLimits { per_s: 1, burst: 3, total: 12, save_every: 10 };
        let mut count = WrongProofCount::new(limits, 8, 5_000);
        assert_eq!(count.count(5_000), WrongProofEffect::Counted { total: 9, save: false });
        assert_eq!(count.count(4_000), WrongProofEffect::Counted { total: 10, save: true });
        assert_eq!(count.count(5_000), WrongProofEffect::Counted { total: 11, save: false });
        assert_eq!(count.count(5_999), WrongProofEffect::Limited);
        assert_eq!(count.count(6_000), WrongProofEffect::Exhausted { total: 12 });
    }
}
