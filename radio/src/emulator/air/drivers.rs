//! The drivers of an air: who waits for DIO0 and who is busy.

use crate::emulator::ids::ChipIndex;
use crate::emulator::world::World;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Real time for which the air waits for a busy driver while another one waits for DIO0.
const PATIENCE: Duration = Duration::from_millis(500);

/// The drivers that have waited for a DIO0 at least once.
#[derive(Debug, Default)]
pub(super) struct Drivers(Vec<Driver>);

/// A driver that waits for its chip's DIO0 from time to time, on a thread of its own.
#[derive(Debug)]
struct Driver {
    chip: ChipIndex,
    thread: ThreadId,
    activity: Activity,
}

#[derive(Clone, Copy, Debug)]
enum Activity {
    /// Waits for an edge, until the given time of the air at the latest.
    Waiting { until_ns: u64 },
    /// Does something else, during which time must not pass.
    Busy { since: Instant },
}

impl Drivers {
    pub(super) fn begin_wait(&mut self, chip: ChipIndex, until_ns: u64) {
        let activity = Activity::Waiting { until_ns };
        let thread = std::thread::current().id();
        match self.0.iter_mut().find(|driver| driver.chip == chip) {
            Some(driver) => *driver = Driver { chip, thread, activity },
            None => self.0.push(Driver { chip, thread, activity }),
        }
    }

    pub(super) fn end_wait(&mut self, chip: ChipIndex) {
        if let Some(driver) = self.0.iter_mut().find(|driver| driver.chip == chip) {
            driver.activity = Activity::Busy { since: Instant::now() };
        }
    }

    /// Removes the driver of a chip.
    pub(super) fn remove(&mut self, chip: ChipIndex) {
        self.0.retain(|driver| driver.chip != chip);
    }

    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Returns the maximum real time for which the clock must stand still for drivers on other threads.
    ///
    /// These are the busy drivers, and those whose wait is over but who have not noticed it yet.
    pub(super) fn hold(&self, world: &World) -> Duration {
        let here = std::thread::current().id();
        let others = self.0.iter().filter(|driver| driver.thread != here);
        let holds = others.map(|driver| match driver.activity {
            Activity::Waiting { until_ns } if world.now_ns() >= until_ns || world.has_edge(driver.chip) => PATIENCE,
            Activity::Waiting { .. } => Duration::ZERO,
            Activity::Busy { since } => PATIENCE.saturating_sub(since.elapsed()),
        });
        holds.max().unwrap_or_default()
    }
}
