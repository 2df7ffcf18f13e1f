//! An air: the world behind a lock, with a clock that waits for the drivers on it.
//!
//! Time passes only in transfers, delays, waits for DIO0 and [`Air::pass`]. The air therefore waits for a driver
//! however slow the machine is. With a clock that runs by itself, a packet lost because the machine was busy would say
//! nothing about the driver.

mod drivers;
mod waiting;

use self::drivers::Drivers;
use super::clock::{END_NS, nanoseconds};
use super::ids::TransmissionId;
use super::options::{AirOptions, Pace};
use super::reader_program::MAX_QUEUED_PAYLOADS;
use super::transmission::Transmission;
use super::world::World;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of scheduled events; further transmissions are refused.
const MAX_SCHEDULED: usize = 1 << 20;

/// Lead over real time that causes no delay, because a single transfer is not worth a sleep.
const SLACK: Duration = Duration::from_millis(1);

/// Reason why a payload was not accepted for transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AirError {
    /// The payload does not fit into a packet.
    #[error("cannot transmit a payload of {0} bytes: a packet holds 1 to 255 bytes")]
    PayloadLength(usize),
    /// Too many events are scheduled.
    #[error("cannot schedule another transmission: {MAX_SCHEDULED} events are pending; let time pass first")]
    Full,
    /// The reader's queue is full.
    #[error("the reader's queue is full: {MAX_QUEUED_PAYLOADS} payloads wait for a free channel; let time pass first")]
    ReaderFull,
}

/// A handle to one air and its clock. Clones are handles to the same air.
///
/// Several drivers may run on threads of their own. Time then passes in a wait only while the other drivers wait too,
/// unless one of them has been busy for half a second of real time.
#[derive(Clone, Debug)]
pub struct Air {
    shared: Arc<AirCore>,
}

/// The data behind all handles to one air.
#[derive(Debug)]
struct AirCore {
    state: Mutex<AirState>,
    /// Notified if something was scheduled or switched, or if another driver began to wait.
    changed: Condvar,
    pace: Pace,
    started: Instant,
}

/// The part of an air that its lock protects.
#[derive(Debug)]
struct AirState {
    world: World,
    drivers: Drivers,
}

impl Default for Air {
    fn default() -> Self {
        Self::new(AirOptions::default())
    }
}

impl Air {
    /// Creates an empty air at time 0.
    pub fn new(options: AirOptions) -> Self {
        Self {
            shared: Arc::new(AirCore {
                state: Mutex::new(AirState { world: World::new(options), drivers: Drivers::default() }),
                changed: Condvar::new(),
                pace: options.pace,
                started: Instant::now(),
            }),
        }
    }

    /// Returns the time since the air was created, on its own clock.
    pub fn now(&self) -> Duration {
        self.inspect(|world| Duration::from_nanos(world.now_ns()))
    }

    /// Schedules a transmission at a time on the air's clock. A time in the past means now.
    pub fn transmit(&self, transmission: Transmission, at: Duration) -> Result<TransmissionId, AirError> {
        let length = transmission.payload.len();
        let emission = transmission.into_emission().ok_or(AirError::PayloadLength(length))?;
        self.change(|world| {
            if world.scheduled() >= MAX_SCHEDULED {
                return Err(AirError::Full);
            }
            Ok(world.schedule_emission(nanoseconds(at), emission))
        })
    }

    /// Transmits a series of transmissions at their times and in their order. Each one is generated when the previous
    /// one begins. Transmissions that do not fit into a packet are skipped.
    ///
    /// The iterator is called while the air is locked, so it must not use the air.
    pub fn feed(&self, transmissions: impl Iterator<Item = (Duration, Transmission)> + Send + 'static) {
        self.change(|world| world.add_source(Box::new(transmissions)));
    }

    /// Lets time pass, whether or not a driver is busy. Use it to stall a driver on purpose.
    pub fn pass(&self, duration: Duration) {
        self.advance(duration, |_| ());
    }

    /// Lets time pass until nothing is scheduled any more, or for `timeout` of the air's time.
    pub fn pass_until_quiet(&self, timeout: Duration) {
        let until = self.now().saturating_add(timeout);
        loop {
            let next = self.inspect(|world| world.next_ns()).map(Duration::from_nanos);
            // Events after the end of the clock never happen.
            let reachable = until.min(Duration::from_nanos(END_NS));
            let Some(next) = next.filter(|next| *next <= reachable) else { return };
            self.pass(next.saturating_sub(self.now()));
        }
    }

    /// Advances a clock that follows real time to the present. Does nothing at the free pace.
    ///
    /// A program behind the kernel does not wait for the air, so its actions need this first. In a wait without scheduled
    /// events the clock advances only at the end. A delay of the program during such a wait would not count on the air.
    #[cfg(feature = "devices")]
    pub(super) fn catch_up(&self) {
        let Pace::RealTime { speed } = self.shared.pace else { return };
        let passed_s = self.shared.started.elapsed().as_secs_f64() * speed;
        let due_ns = nanoseconds(Duration::try_from_secs_f64(passed_s).unwrap_or_default()).min(END_NS);
        self.change(|world| {
            if due_ns > world.now_ns() {
                world.run_until(due_ns);
            }
        });
    }

    /// Returns `true` if nothing is scheduled, so that nothing happens until somebody acts.
    pub fn is_quiet(&self) -> bool {
        self.inspect(|world| world.next_ns().is_none())
    }

    fn lock(&self) -> MutexGuard<'_, AirState> {
        // A thread that panicked with the lock has left the world between two events at worst.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world, or makes a change that no waiting driver can notice.
    pub(super) fn inspect<T>(&self, inspect: impl FnOnce(&mut World) -> T) -> T {
        inspect(&mut self.lock().world)
    }

    /// Changes the world and wakes the drivers, which may wait for such a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = self.inspect(change);
        self.shared.changed.notify_all();
        result
    }

    /// Lets time pass and then acts on the world, before anything else can happen.
    pub(super) fn advance<T>(&self, duration: Duration, act: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        let until_ns = state.after(duration);
        if let Some(lead) = self.lead(until_ns) {
            drop(state);
            std::thread::sleep(lead);
            state = self.lock();
        }
        state.world.run_until(until_ns);
        let was_quiet = state.world.next_ns().is_none();
        let result = act(&mut state.world);
        if was_quiet && state.world.next_ns().is_some() {
            self.shared.changed.notify_all();
        }
        self.wake_other_drivers(&state);
        result
    }

    /// Returns how far `until_ns` is ahead of real time, if that is worth a sleep.
    fn lead(&self, until_ns: u64) -> Option<Duration> {
        match self.shared.pace {
            Pace::Free => None,
            Pace::RealTime { .. } => {
                let due = self.real_time(Duration::from_nanos(until_ns));
                due.checked_sub(self.shared.started.elapsed()).filter(|lead| *lead > SLACK)
            }
        }
    }

    /// Returns the minimum real time for a duration on the air's clock.
    fn real_time(&self, duration: Duration) -> Duration {
        match self.shared.pace {
            Pace::RealTime { speed } if speed > 0.0 => {
                Duration::try_from_secs_f64(duration.as_secs_f64() / speed).unwrap_or(Duration::MAX)
            }
            Pace::RealTime { .. } | Pace::Free => duration,
        }
    }
}

impl AirState {
    /// Returns the time after `duration`, limited to the end of the clock.
    fn after(&self, duration: Duration) -> u64 {
        self.world.now_ns().saturating_add(nanoseconds(duration)).min(END_NS)
    }
}
