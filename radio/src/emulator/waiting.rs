//! Waiting for DIO0: how time passes, and for whom it stands still.

use std::sync::{MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::air::{Air, after};
use super::chip::ChipIndex;
use super::world::World;
use crate::board::Wake;

/// So long, in real time, the air waits for a driver that is busy while another one waits.
const PATIENCE: Duration = Duration::from_millis(500);

/// Someone who waits for a chip's DIO0 now and then, on a thread of his own.
#[derive(Debug)]
pub(super) struct Driver {
    chip: ChipIndex,
    thread: ThreadId,
    presence: Presence,
}

/// What a driver is at.
#[derive(Debug, Clone, Copy)]
enum Presence {
    /// It waits until then at the latest.
    Waiting { until_ns: u64 },
    /// It does something, so that time must not pass.
    Busy { since: Instant },
}

impl World {
    /// A driver begins to wait.
    fn begin_wait(&mut self, chip: ChipIndex, until_ns: u64) {
        let presence = Presence::Waiting { until_ns };
        let thread = std::thread::current().id();
        match self.drivers.iter_mut().find(|driver| driver.chip == chip) {
            Some(driver) => *driver = Driver { chip, thread, presence },
            None => self.drivers.push(Driver { chip, thread, presence }),
        }
    }

    fn end_wait(&mut self, chip: ChipIndex) {
        if let Some(driver) = self.drivers.iter_mut().find(|driver| driver.chip == chip) {
            driver.presence = Presence::Busy { since: Instant::now() };
        }
    }

    /// Nobody waits for this chip any more.
    pub(super) fn forget_driver(&mut self, chip: ChipIndex) {
        self.drivers.retain(|driver| driver.chip != chip);
    }

    /// How long at most time must stand still for drivers on other threads that are busy, or about to be: their wait
    /// is over, and they have not noticed yet.
    fn held_for(&self) -> Duration {
        let here = std::thread::current().id();
        let others = self.drivers.iter().filter(|driver| driver.thread != here);
        let holds = others.map(|driver| match driver.presence {
            Presence::Waiting { until_ns } if self.now_ns() >= until_ns || self.has_edge(driver.chip) => PATIENCE,
            Presence::Waiting { .. } => Duration::ZERO,
            Presence::Busy { since } => PATIENCE.saturating_sub(since.elapsed()),
        });
        holds.max().unwrap_or_default()
    }
}

impl Air {
    /// Waits for an edge of this chip's DIO0.
    pub(super) fn wait_for_edge(&self, chip: ChipIndex, at_most: Duration) -> Wake {
        let mut world = self.world();
        let until_ns = after(&world, at_most);
        world.begin_wait(chip, until_ns);
        self.tell_other_drivers(&world);
        let begun = Instant::now();
        let wake = loop {
            if world.has_edge(chip) {
                world.chip(chip).line.take_edge();
                break Wake::Edge;
            }
            if world.now_ns() >= until_ns {
                break Wake::TimedOut;
            }
            world = self.let_time_pass(world, begun, until_ns, at_most);
        };
        world.end_wait(chip);
        wake
    }

    /// Either something happens on the air, or real time passes until someone changes something.
    fn let_time_pass<'a>(
        &'a self,
        mut world: MutexGuard<'a, World>,
        begun: Instant,
        until_ns: u64,
        at_most: Duration,
    ) -> MutexGuard<'a, World> {
        let pause = self.pause(&world, begun.elapsed(), until_ns, at_most);
        if !pause.is_zero() {
            let woken = self.shared.changed.wait_timeout(world, pause);
            return woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !world.happens_by(until_ns) {
            world.run_to(until_ns);
        }
        self.tell_other_drivers(&world);
        world
    }

    /// So much real time must pass before the clock may go on, for a wait that has taken `spent` of it.
    fn pause(&self, world: &World, spent: Duration, until_ns: u64, at_most: Duration) -> Duration {
        let held = if world.has_several_drivers() { world.held_for() } else { Duration::ZERO };
        if !held.is_zero() {
            return held;
        }
        match world.next_ns() {
            Some(next_ns) => self.ahead(next_ns.min(until_ns)).unwrap_or_default(),
            // Nothing will ever happen by itself: real time passes for as long as the wait may take.
            None => self.shared.pace.real(at_most).saturating_sub(spent),
        }
    }

    /// Time has passed, or someone has begun to wait: others may go on.
    pub(super) fn tell_other_drivers(&self, world: &World) {
        if world.has_several_drivers() {
            self.shared.changed.notify_all();
        }
    }
}
