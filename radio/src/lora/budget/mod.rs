//! Budgets of air time, by every limit that applies.
//!
//! A budget merges transmissions within 1/1024 of a window into one entry. Keeping each was rejected: memory would grow
//! with the number of transmissions. The merge errs by at most that fraction, and always towards waiting.

use std::collections::VecDeque;
use std::time::Duration;

/// A limit on air time within any window of a given length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Air time allowed in a window.
    pub allowed: Duration,
    /// Length of the window.
    pub window: Duration,
    /// The law or data sheet that sets the limit.
    pub law: &'static str,
}

/// The air time that a limit leaves at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemainingAirTime {
    /// Air time left in the window that ends now.
    pub air_time: Duration,
    /// The limit.
    pub limit: Limit,
}

/// Why a transmission may not start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AirTimeError {
    /// The transmission may start later.
    #[error("wait {} ms before transmitting: limited by {law}", .wait.as_millis())]
    Wait {
        /// The first moment at which it may start.
        at: Duration,
        /// Time from now until then.
        wait: Duration,
        /// The law that requires the wait.
        law: &'static str,
    },
    /// The transmission alone exceeds the limit of a window, so it can never start.
    #[error("the packet is too long: {} ms on the air, but {law} allows at most {} ms", .air_time.as_millis(), .allowed.as_millis())]
    TooLong {
        /// Air time of the transmission.
        air_time: Duration,
        /// Air time allowed in a window.
        allowed: Duration,
        /// The law that sets the limit.
        law: &'static str,
    },
}

/// The air time that a transmitter has used, checked against every limit. No window of any position ever contains more
/// than its limit allows.
///
/// Timestamps are on a monotonic clock of the caller, as the time since any origin. A transmitter sends one packet at a
/// time, so a transmission that would start before the previous one has ended must wait. Memory is bounded by
/// [`MAX_ENTRIES`](Self::MAX_ENTRIES) entries per limit: transmissions that end within the same 1/1024 of a window are
/// merged into one that ends with the last of them.
///
/// A new budget assumes that nothing was sent. A process that cannot tell what it sent before its start uses a budget
/// that is [exhausted](Self::exhausted).
#[derive(Clone, Debug)]
pub struct AirTimeBudget {
    ledgers: Vec<Ledger>,
    busy_until: Duration,
}

/// A limit and the air time that counts against it.
#[derive(Clone, Debug)]
struct Ledger {
    limit: Limit,
    /// Oldest first.
    usages: VecDeque<Usage>,
}

/// Air time that was used without a gap, ending at `ended`.
#[derive(Clone, Copy, Debug)]
struct Usage {
    ended: Duration,
    air_time: Duration,
}

/// Number of parts into which a window is divided.
const PARTS: u128 = 1_024;
/// Stands in for the law if only the previous transmission requires a wait.
const ONE_AT_A_TIME: &str = "the transmitter, which sends one packet at a time";

impl AirTimeBudget {
    /// Maximum number of entries per limit: the parts of a window, and one at each end.
    pub const MAX_ENTRIES: usize = 1_026;

    /// Creates a budget with nothing used.
    pub fn new(limits: Vec<Limit>) -> Self {
        let ledgers = limits.into_iter().map(|limit| Ledger { limit, usages: VecDeque::new() }).collect();
        Self { ledgers, busy_until: Duration::ZERO }
    }

    /// Creates a budget that was used completely, up to now. A process that does not know what it sent before its start
    /// must assume this.
    pub fn exhausted(limits: Vec<Limit>, now: Duration) -> Self {
        let mut budget = Self::new(limits);
        for ledger in &mut budget.ledgers {
            ledger.usages.push_back(Usage { ended: now, air_time: ledger.limit.allowed });
        }
        budget.busy_until = now;
        budget
    }

    /// Returns the first moment, not before `now`, at which a transmission of this length may start.
    pub fn earliest_start(&self, now: Duration, air_time: Duration) -> Result<Duration, AirTimeError> {
        self.binding_limit(now, air_time).map(|(at, _)| at)
    }

    /// Uses air time from `now` on. If that is not allowed, nothing is used.
    pub fn spend(&mut self, now: Duration, air_time: Duration) -> Result<(), AirTimeError> {
        let (at, law) = self.binding_limit(now, air_time)?;
        if at > now {
            return Err(AirTimeError::Wait { at, wait: at.saturating_sub(now), law });
        }
        self.busy_until = now + air_time;
        for ledger in &mut self.ledgers {
            ledger.add(Usage { ended: self.busy_until, air_time });
        }
        Ok(())
    }

    /// Records that the last transmission ended only now: it started later than it was spent, by the time that it took
    /// to reach the antenna. Its air time then counts until it really leaves a window. Calling this is optional.
    pub fn record_end(&mut self, now: Duration) {
        if now <= self.busy_until {
            return;
        }
        for last in self.ledgers.iter_mut().filter_map(|ledger| ledger.usages.back_mut()) {
            last.ended = now;
        }
        self.busy_until = now;
    }

    /// Returns the limit with the smallest share left. `None` if there is no limit.
    pub fn remaining(&self, now: Duration) -> Option<RemainingAirTime> {
        let remaining = self.ledgers.iter().map(|ledger| ledger.remaining(now));
        remaining.min_by(|a, b| a.share().total_cmp(&b.share()))
    }

    /// Returns the earliest start, and the law that required the last wait.
    fn binding_limit(&self, now: Duration, air_time: Duration) -> Result<(Duration, &'static str), AirTimeError> {
        let mut binding = (now.max(self.busy_until), ONE_AT_A_TIME);
        for ledger in &self.ledgers {
            let at = ledger.earliest_start(binding.0, air_time)?;
            if at > binding.0 {
                binding = (at, ledger.limit.law);
            }
        }
        Ok(binding)
    }
}

impl RemainingAirTime {
    fn share(&self) -> f64 {
        self.air_time.as_secs_f64() / self.limit.allowed.as_secs_f64()
    }
}

impl Ledger {
    /// Checks the window that ends with the transmission. That is enough: any other window that it reaches into
    /// contains no more, because it loses at its end at least what it gains at its start.
    fn earliest_start(&self, from: Duration, air_time: Duration) -> Result<Duration, AirTimeError> {
        let Limit { allowed, window, law } = self.limit;
        let Some(room) = allowed.checked_sub(air_time) else {
            return Err(AirTimeError::TooLong { air_time, allowed, law });
        };
        let mut counted: Duration = self.usages.iter().map(|usage| usage.air_time).sum();
        let mut at = from;
        for usage in &self.usages {
            // The part of this entry that must have left the window.
            let surplus = counted.saturating_sub(room).min(usage.air_time);
            if surplus.is_zero() {
                break;
            }
            counted -= surplus;
            at = at.max((usage.ended + window + surplus).saturating_sub(usage.air_time + air_time));
        }
        Ok(at)
    }

    fn add(&mut self, usage: Usage) {
        let window = self.limit.window;
        while self.usages.front().is_some_and(|oldest| oldest.ended + window <= usage.ended) {
            self.usages.pop_front();
        }
        let part = window.as_nanos().div_ceil(PARTS).max(1);
        match self.usages.back_mut() {
            Some(last) if last.ended.as_nanos() / part == usage.ended.as_nanos() / part => {
                last.ended = usage.ended;
                last.air_time += usage.air_time;
            }
            _ => self.usages.push_back(usage),
        }
    }

    fn remaining(&self, now: Duration) -> RemainingAirTime {
        let inside = |usage: &Usage| (usage.ended + self.limit.window).saturating_sub(now).min(usage.air_time);
        let counted: Duration = self.usages.iter().map(inside).sum();
        RemainingAirTime { air_time: self.limit.allowed.saturating_sub(counted), limit: self.limit }
    }
}

#[cfg(test)]
mod tests;
