//! A clock that never steps back, by which sessions and links end.
//!
//! The wall clock may step back: somebody sets it, or a machine without a battery starts in the past. What has ended must not
//! be valid again. So this time is the wall clock's, but at least the latest time before and what has passed since by the time
//! since boot. A wall clock that once was ahead leaves it ahead: then everybody logs in again, once.

use herd::clock::{Clock, RawReading};
use std::sync::{Arc, Mutex, PoisonError};

/// A clock that never steps back.
pub(super) struct SteadyClock {
    clock: Arc<dyn Clock>,
    latest: Mutex<RawReading>,
}

impl SteadyClock {
    /// Starts a clock that is at least at `latest_us`, the latest time that a former process is known to have seen.
    pub(super) fn new(clock: Arc<dyn Clock>, latest_us: i64) -> Self {
        let now = clock.read();
        let latest = RawReading { received_at_us: now.received_at_us.max(latest_us), ..now };
        Self { clock, latest: Mutex::new(latest) }
    }

    /// Returns the time in microseconds since the Unix epoch.
    pub(super) fn now_us(&self) -> i64 {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.read();
        let passed_ms = now.since_boot_ms.saturating_sub(latest.since_boot_ms);
        let passed = i64::try_from(passed_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let at_least_us = latest.received_at_us.saturating_add(passed);
        *latest = RawReading { received_at_us: now.received_at_us.max(at_least_us), ..now };
        latest.received_at_us
    }
}
