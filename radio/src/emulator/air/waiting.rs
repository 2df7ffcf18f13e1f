//! Waiting for DIO0: when time passes, and when it stands still for another driver.

use super::{Air, AirState};
use crate::board::Wake;
use crate::emulator::ids::ChipIndex;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

impl Air {
    /// Waits for an edge of this chip's DIO0.
    pub(in crate::emulator) fn wait_for_edge(&self, chip: ChipIndex, timeout: Duration) -> Wake {
        let mut state = self.lock();
        let until_ns = state.after(timeout);
        state.drivers.begin_wait(chip, until_ns);
        self.wake_other_drivers(&state);
        let begun = Instant::now();
        let wake = loop {
            if state.world.has_edge(chip) {
                state.world.chip(chip).dio0.take_edge();
                break Wake::Edge;
            }
            if state.world.now_ns() >= until_ns {
                break Wake::TimedOut;
            }
            state = self.let_time_pass(state, begun, until_ns, timeout);
        };
        state.drivers.end_wait(chip);
        wake
    }

    /// Stops waiting for the driver of this chip, which is gone.
    pub(in crate::emulator) fn remove_driver(&self, chip: ChipIndex) {
        self.lock().drivers.remove(chip);
        self.shared.changed.notify_all();
    }

    /// Carries out the next event, or sleeps in real time until somebody changes something.
    fn let_time_pass<'a>(
        &'a self,
        mut state: MutexGuard<'a, AirState>,
        begun: Instant,
        until_ns: u64,
        timeout: Duration,
    ) -> MutexGuard<'a, AirState> {
        let sleep = self.sleep_before_next(&state, begun.elapsed(), until_ns, timeout);
        if !sleep.is_zero() {
            let woken = self.shared.changed.wait_timeout(state, sleep);
            return woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.world.run_next(until_ns) {
            state.world.run_until(until_ns);
        }
        self.wake_other_drivers(&state);
        state
    }

    /// Returns the real time that must pass before the clock may go on, in a wait that has taken `spent` so far.
    fn sleep_before_next(&self, state: &AirState, spent: Duration, until_ns: u64, timeout: Duration) -> Duration {
        let hold = if state.drivers.are_several() { state.drivers.hold(&state.world) } else { Duration::ZERO };
        if !hold.is_zero() {
            return hold;
        }
        match state.world.next_ns() {
            Some(next_ns) => self.lead(next_ns.min(until_ns)).unwrap_or_default(),
            // Nothing will happen by itself, so real time passes for as long as the wait may take.
            None => self.real_time(timeout).saturating_sub(spent),
        }
    }

    /// Wakes the other drivers, because time has passed or one more driver waits.
    pub(super) fn wake_other_drivers(&self, state: &AirState) {
        if state.drivers.are_several() {
            self.shared.changed.notify_all();
        }
    }
}
