//! How much air time is left, by every limit that binds.

use std::collections::VecDeque;
use std::time::Duration;

/// So much air time in any window of such a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Air time that may be used.
    pub allowed: Duration,
    /// In any stretch of time so long.
    pub window: Duration,
    /// Who says so.
    pub law: &'static str,
}

/// What is left of a limit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemainingAirTime {
    /// Air time that is left in the window that ends now.
    pub air_time: Duration,
    /// The limit.
    pub limit: Limit,
}

/// Why a transmission may not begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AirTimeError {
    /// Later it may.
    #[error("the air time allowed by {law} is used up: wait {} ms", .wait.as_millis())]
    Wait {
        /// The first moment at which it may begin.
        at: Duration,
        /// From now until then.
        wait: Duration,
        /// What has to be waited for.
        law: &'static str,
    },
    /// It alone is longer than what is allowed in a window: it must be made shorter.
    #[error("{} ms on the air is more than {law} ever allows at once, {} ms", .air_time.as_millis(), .allowed.as_millis())]
    TooLong {
        /// How long it would last.
        air_time: Duration,
        /// What is allowed.
        allowed: Duration,
        /// By whom.
        law: &'static str,
    },
}

/// The air time that a transmitter has used, held against every limit on it: in no window, wherever it begins, is it
/// more than allowed.
///
/// Moments are on a monotonic clock that the caller reads, as time since any origin. A transmitter sends one packet at
/// a time: what would begin before the last one has ended has to wait for that. The memory is bounded by
/// [`MAX_ENTRIES`](Self::MAX_ENTRIES) entries for each limit: transmissions that end within the same 1/1024 of a
/// window are kept as one that ended with the last of them, which errs towards waiting. A new budget knows of no
/// transmission; a process that cannot tell what it sent before it was started asks for one that is
/// [used up](Self::exhausted).
#[derive(Clone, Debug)]
pub struct AirTimeBudget {
    ledgers: Vec<Ledger>,
    busy_until: Duration,
}

/// A limit and what counts against it.
#[derive(Clone, Debug)]
struct Ledger {
    limit: Limit,
    /// Oldest first.
    used: VecDeque<Usage>,
}

/// Air time that was used without a break until a moment.
#[derive(Clone, Copy, Debug)]
struct Usage {
    ended: Duration,
    air_time: Duration,
}

/// A window is remembered in so many parts.
const PARTS: u128 = 1_024;
/// Said where nothing but the transmission before stands in the way.
const ONE_AT_A_TIME: &str = "the transmitter itself, which sends one packet at a time,";

impl AirTimeBudget {
    /// More entries are never kept for a limit: a window's parts, and those at its two ends.
    pub const MAX_ENTRIES: usize = 1_026;

    /// A budget of which nothing is used yet.
    pub fn new(limits: Vec<Limit>) -> Self {
        let ledgers = limits.into_iter().map(|limit| Ledger { limit, used: VecDeque::new() }).collect();
        Self { ledgers, busy_until: Duration::ZERO }
    }

    /// A budget of which everything is used, just now: right for a process that does not know what it sent before it
    /// was started.
    pub fn exhausted(limits: Vec<Limit>, now: Duration) -> Self {
        let mut budget = Self::new(limits);
        for ledger in &mut budget.ledgers {
            ledger.used.push_back(Usage { ended: now, air_time: ledger.limit.allowed });
        }
        budget.busy_until = now;
        budget
    }

    /// The first moment, now or later, at which a transmission of such a length may begin.
    pub fn earliest_start(&self, now: Duration, air_time: Duration) -> Result<Duration, AirTimeError> {
        self.binding(now, air_time).map(|(at, _)| at)
    }

    /// Uses air time from `now` on, if that is lawful; else nothing is used.
    pub fn spend(&mut self, now: Duration, air_time: Duration) -> Result<(), AirTimeError> {
        let (at, law) = self.binding(now, air_time)?;
        if at > now {
            return Err(AirTimeError::Wait { at, wait: at.saturating_sub(now), law });
        }
        self.busy_until = now + air_time;
        for ledger in &mut self.ledgers {
            ledger.add(Usage { ended: self.busy_until, air_time });
        }
        Ok(())
    }

    /// Says that the last transmission has ended only now: it began later than it was spent, by the time that it takes to
    /// reach the antenna. Said or not, nothing else changes; said, its air time counts until it really leaves a window.
    pub fn record_end(&mut self, now: Duration) {
        if now <= self.busy_until {
            return;
        }
        for last in self.ledgers.iter_mut().filter_map(|ledger| ledger.used.back_mut()) {
            last.ended = now;
        }
        self.busy_until = now;
    }

    /// The limit of which the smallest share is left, with what is left of it; none where nothing is limited.
    pub fn remaining(&self, now: Duration) -> Option<RemainingAirTime> {
        let left = self.ledgers.iter().map(|ledger| ledger.remaining(now));
        left.min_by(|a, b| a.share().total_cmp(&b.share()))
    }

    /// When it may begin, and what it had to wait for last.
    fn binding(&self, now: Duration, air_time: Duration) -> Result<(Duration, &'static str), AirTimeError> {
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
    /// A transmission is held against the window that ends with it. Any other window that it reaches into holds no
    /// more: what such a window gains at its begin, it loses of this transmission at its end.
    fn earliest_start(&self, from: Duration, air_time: Duration) -> Result<Duration, AirTimeError> {
        let Limit { allowed, window, law } = self.limit;
        let Some(room) = allowed.checked_sub(air_time) else {
            return Err(AirTimeError::TooLong { air_time, allowed, law });
        };
        let mut counted: Duration = self.used.iter().map(|used| used.air_time).sum();
        let mut at = from;
        for used in &self.used {
            // So much of this one must have left the window.
            let surplus = counted.saturating_sub(room).min(used.air_time);
            if surplus.is_zero() {
                break;
            }
            counted -= surplus;
            at = at.max((used.ended + window + surplus).saturating_sub(used.air_time + air_time));
        }
        Ok(at)
    }

    fn add(&mut self, used: Usage) {
        let window = self.limit.window;
        while self.used.front().is_some_and(|oldest| oldest.ended + window <= used.ended) {
            self.used.pop_front();
        }
        let part = window.as_nanos().div_ceil(PARTS).max(1);
        match self.used.back_mut() {
            Some(last) if last.ended.as_nanos() / part == used.ended.as_nanos() / part => {
                last.ended = used.ended;
                last.air_time += used.air_time;
            }
            _ => self.used.push_back(used),
        }
    }

    fn remaining(&self, now: Duration) -> RemainingAirTime {
        let inside = |used: &Usage| (used.ended + self.limit.window).saturating_sub(now).min(used.air_time);
        let counted: Duration = self.used.iter().map(inside).sum();
        RemainingAirTime { air_time: self.limit.allowed.saturating_sub(counted), limit: self.limit }
    }
}

#[cfg(test)]
mod tests;
