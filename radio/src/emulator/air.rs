//! The handle on one simulated air, and its clock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::chip::ChipOptions;
use super::ledger::TransmissionId;
use super::reader::{Reader, ReaderOptions};
use super::transmission::Transmission;
use super::wiring::Chip;
use super::world::World;

/// Events that may be planned at a time.
const MAX_PLANNED: usize = 1 << 20;

/// In real time the clock may be so far ahead without anyone being held up: a single transfer is not worth a sleep.
const SLACK: Duration = Duration::from_millis(1);

/// How fast an air's clock goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as it can.
    Free,
    /// Never ahead of real time, times `speed`.
    RealTime {
        /// 1 is the speed of the world; above 0.
        speed: f64,
    },
}

impl Pace {
    /// So long this time on the air lasts at least, in real time.
    pub(super) fn real(self, air: Duration) -> Duration {
        match self {
            Self::RealTime { speed } if speed > 0.0 => {
                Duration::try_from_secs_f64(air.as_secs_f64() / speed).unwrap_or(Duration::MAX)
            }
            Self::RealTime { .. } | Self::Free => air,
        }
    }
}

/// What an air is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AirOptions {
    /// Same seed, same course.
    pub seed: u64,
    /// How fast the clock goes.
    pub pace: Pace,
    /// What each receiver adds to thermal noise.
    pub noise_figure_db: f64,
    /// Between two chips for which nothing else was said.
    pub path_loss_db: f64,
    /// Standard deviation of the power of each packet at each receiver.
    pub fading_db: f64,
    /// Probability that a packet fades away before a receiver that could have heard it: 0..=1.
    pub loss: f64,
    /// Probability that a packet is spoiled at a receiver that hears it: 0..=1.
    pub corruption: f64,
}

impl Default for AirOptions {
    /// 6 dB of noise figure (Semtech AN1200.13), 90 dB between two chips, nothing by chance, as fast as it can.
    fn default() -> Self {
        Self {
            seed: 1,
            pace: Pace::Free,
            noise_figure_db: 6.0,
            path_loss_db: 90.0,
            fading_db: 0.0,
            loss: 0.0,
            corruption: 0.0,
        }
    }
}

/// Why the air does not take a transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AirError {
    /// Not a length of a packet.
    #[error("a payload of {0} bytes cannot be transmitted: a packet holds 1 to 255 bytes")]
    PayloadLength(usize),
    /// Too much is planned.
    #[error("the air cannot take another transmission: {MAX_PLANNED} events are planned; let time pass first")]
    Full,
    /// The reader has too much to send already.
    #[error("the reader takes no further payload: {0} wait for a free channel; let time pass first")]
    ReaderFull(usize),
}

/// One air with its clock, and a handle on it: clones are handles on the same one.
///
/// Time passes only while someone uses it: in transfers, in delays, in waits for DIO0 and in [`pass`](Air::pass). So
/// the air waits for a driver however slow the machine is. With several drivers on threads of their own a wait lets
/// time pass only while the others wait too, unless one of them has been busy for half a second of real time.
#[derive(Debug, Clone)]
pub struct Air {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    /// Something was planned or switched, or someone began to wait.
    pub(super) changed: Condvar,
    pub(super) pace: Pace,
    started: Instant,
    seed: u64,
}

impl Default for Air {
    fn default() -> Self {
        Self::new(AirOptions::default())
    }
}

impl Air {
    /// An empty air, at time 0.
    pub fn new(options: AirOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                world: Mutex::new(World::new(options)),
                changed: Condvar::new(),
                pace: options.pace,
                started: Instant::now(),
                seed: options.seed,
            }),
        }
    }

    /// Puts a chip on the air; a name is enough.
    pub fn chip(&self, options: impl Into<ChipOptions>) -> Chip {
        let index = self.world().add_chip(options.into());
        Chip::new(self.clone(), index)
    }

    /// Time since this air began.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.world().now_ns())
    }

    /// Transmits at a time on the air's clock, or now if that is past.
    pub fn transmit(&self, transmission: Transmission, at: Duration) -> Result<TransmissionId, AirError> {
        let length = transmission.payload.len();
        let waves = transmission.into_waves().ok_or(AirError::PayloadLength(length))?;
        self.change(|world| {
            if world.planned() >= MAX_PLANNED {
                return Err(AirError::Full);
            }
            Ok(world.plan_waves(nanoseconds(at), waves))
        })
    }

    /// Puts a reader on the air.
    pub fn reader(&self, options: ReaderOptions) -> Reader {
        let (reader, chip) = self.change(|world| world.add_reader(options));
        Reader::new(self.clone(), reader, Chip::new(self.clone(), chip))
    }

    /// Transmits all of these at their times, in their order, each one made when the one before begins. What no
    /// packet can hold is left out. The iterator is asked while the air is locked, so it must not touch it.
    pub fn feed(&self, transmissions: impl Iterator<Item = (Duration, Transmission)> + Send + 'static) {
        self.change(|world| world.feed(Box::new(transmissions)));
    }

    /// Lets time pass, whatever any driver does meanwhile: so a driver is stalled on purpose.
    pub fn pass(&self, duration: Duration) {
        self.advance(duration, |_| ());
    }

    /// Lets time pass until nothing more is planned, but at most so long.
    pub fn pass_until_quiet(&self, at_most: Duration) {
        let until = self.now().saturating_add(at_most);
        loop {
            let next = self.world().next_ns().map(Duration::from_nanos);
            // What is due after the end of the clock never happens.
            let reachable = until.min(Duration::from_nanos(END_NS));
            let Some(next) = next.filter(|next| *next <= reachable) else { return };
            self.pass(next.saturating_sub(self.now()));
        }
    }

    /// Whether nothing is planned: nothing will happen before someone does something.
    pub fn is_quiet(&self) -> bool {
        self.world().next_ns().is_none()
    }

    /// So much a signal loses between two chips, in both directions.
    pub fn set_path_loss_db(&self, one: &Chip, other: &Chip, loss_db: f64) {
        self.change(|world| world.set_path_loss_db(one.index(), other.index(), loss_db));
    }

    pub(super) fn seed(&self) -> u64 {
        self.shared.seed
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        // A panic elsewhere has left the world between two events at worst.
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that a waiting driver may be waiting for.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let done = change(&mut self.world());
        self.shared.changed.notify_all();
        done
    }

    /// Lets time pass and then does something, with nothing between.
    pub(super) fn advance<T>(&self, duration: Duration, then: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        let until_ns = after(&world, duration);
        if let Some(ahead) = self.ahead(until_ns) {
            drop(world);
            std::thread::sleep(ahead);
            world = self.world();
        }
        world.run_to(until_ns);
        let was_quiet = world.next_ns().is_none();
        let done = then(&mut world);
        if was_quiet && world.next_ns().is_some() {
            self.shared.changed.notify_all();
        }
        self.tell_other_drivers(&world);
        done
    }

    /// How long real time needs to get there, if that is worth a sleep.
    pub(super) fn ahead(&self, until_ns: u64) -> Option<Duration> {
        match self.shared.pace {
            Pace::Free => None,
            Pace::RealTime { .. } => {
                let due = self.shared.pace.real(Duration::from_nanos(until_ns));
                due.checked_sub(self.shared.started.elapsed()).filter(|ahead| *ahead > SLACK)
            }
        }
    }
}

/// The clock goes no further: far enough before its overflow that every packet still ends before that.
const END_NS: u64 = 1 << 62;

pub(super) fn after(world: &World, duration: Duration) -> u64 {
    world.now_ns().saturating_add(nanoseconds(duration)).min(END_NS)
}

/// 146 years at most.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(END_NS).min(END_NS)
}
