//! The clock of a machine: virtual time, with a wall clock that somebody sets.

use herd::clock::{Clock, RawReading};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

use super::seams::lock;

/// Start of the simulated wall clocks: 2026-01-01 00:00 UTC, in microseconds since the Unix epoch.
const START_US: i64 = 1_767_225_600_000_000;

/// The wall clock of a machine, which outlives its boots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    pub(super) offset_us: i64,
    pub(super) synchronized: bool,
}

/// A clock that shows the virtual time of the runtime.
#[derive(Debug)]
pub(super) struct WorldClock {
    began: Instant,
    booted: Instant,
    wall: Arc<Mutex<Wall>>,
}

impl WorldClock {
    /// Creates the clock of a world that begins now.
    pub(super) fn new() -> Arc<Self> {
        let (now, wall) = (Instant::now(), Wall { offset_us: 0, synchronized: true });
        Arc::new(Self { began: now, booted: now, wall: Arc::new(Mutex::new(wall)) })
    }

    /// Returns the clock of a machine that boots now.
    pub(super) fn after_boot(&self) -> Arc<Self> {
        Arc::new(Self { began: self.began, booted: Instant::now(), wall: self.wall.clone() })
    }

    /// Sets the wall clock.
    pub(super) fn step(&self, wall: Wall) {
        *lock(&self.wall) = wall;
    }
}

impl Clock for WorldClock {
    fn read(&self) -> RawReading {
        let wall = *lock(&self.wall);
        let elapsed_us = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(0);
        RawReading {
            received_at_us: START_US + elapsed_us + wall.offset_us,
            synchronized: wall.synchronized,
            since_boot_ms: u64::try_from(self.booted.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn boot_id(&self) -> String {
        "simulated".to_owned()
    }
}
