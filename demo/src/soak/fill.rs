//! The files of a barn, filled on a simulated clock while no process runs.
//!
//! The clock of a running barn is the kernel's, and nothing sets another one. So a day is recorded here, by the code that
//! records in a barn, in about a minute, and the processes start on its files.

use super::SoakError;
use crate::bench::store::{SOURCE_ID, origin};
use herd::clock::RawReading;
use herd::decide::Rules;
use herd::store::{Directory, Incoming, Receipt, Store};
use radio::simulated::{Payloads, Traffic};
use std::path::Path;
use std::time::Duration;

/// Number of payloads in a commit: what arrives in ten seconds of the day.
const GROUP: usize = 20;
/// Start of the simulated wall clock: 2026-01-01 00:00 UTC, in microseconds since the Unix epoch.
const START_US: i64 = 1_767_225_600_000_000;

/// Payloads of a yard at regular times.
#[derive(Debug)]
pub(super) struct SimulatedYard {
    payloads: Payloads,
    interval: Duration,
    since_start: Duration,
}

impl SimulatedYard {
    pub(super) fn new(seed: u64, interval: Duration) -> Self {
        let payloads = Traffic { seed, ..Traffic::default() }.payloads();
        Self { payloads, interval, since_start: Duration::ZERO }
    }

    fn now(&self) -> RawReading {
        RawReading {
            received_at_us: START_US + i64::try_from(self.since_start.as_micros()).unwrap_or(0),
            synchronized: true,
            since_boot_ms: u64::try_from(self.since_start.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Records the next `count` payloads in the files of a barn that does not run. Blocks the thread.
    pub(super) fn record(&mut self, state_dir: &Path, count: usize) -> Result<(), SoakError> {
        let disk = Directory::new(state_dir)?;
        let mut store = Store::open_source(&disk, Rules::default(), self.now().in_boot(1), || SOURCE_ID)?;
        let mut left = count;
        while left > 0 {
            let group: Vec<_> = (0..left.min(GROUP)).filter_map(|_| self.next()).collect();
            left -= group.len();
            let is_recorded = |receipt: &Receipt| matches!(receipt, Receipt::Kept { .. } | Receipt::Rejected { .. });
            if group.is_empty() || !store.append(&group)?.iter().all(is_recorded) {
                return Err(SoakError::NotRecorded);
            }
        }
        Ok(store.settle()?)
    }

    fn next(&mut self) -> Option<Incoming> {
        let incoming = Incoming { raw: self.payloads.next()?, origin: origin(), at: self.now() };
        self.since_start += self.interval;
        Some(incoming)
    }
}
