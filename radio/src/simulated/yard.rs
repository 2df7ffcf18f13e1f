//! The emulated air of a yard: the readers that transmit on it, and the barn's chip that receives.

use super::rng::{Stream, rng};
use super::schedule::{Schedule, ScheduledPayload};
use super::script::{Script, ScriptLine};
use super::traffic::Traffic;
use crate::emulator::{Air, AirOptions, Chip, Pace, ReaderOptions, Transmission};
use crate::lora::{Bandwidth, CodingRate, LowDataRateOptimize, Modulation, SpreadingFactor};
use rand::RngExt;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Modulation of the readers and the barn: the fastest one, and lawful on a fixed channel in North America.
pub const MODULATION: Modulation = Modulation {
    frequency_hz: 915_000_000,
    spreading_factor: SpreadingFactor::SF7,
    bandwidth: Bandwidth::Khz500,
    coding_rate: CodingRate::FourFifths,
    sync_word: 0x12,
    preamble_symbols: 8,
    low_data_rate_optimize: LowDataRateOptimize::Auto,
    invert_iq: false,
};

/// Delay between the start of the air and the start of the schedule. The driver sets its chip up in some 60 ms.
const LEAD_TIME: Duration = Duration::from_millis(100);
/// Minimum pause between two packets of a script.
const PAUSE: Duration = Duration::from_millis(1);

/// One reader for each of the six stations of a chute.
pub(super) const READERS: usize = 6;
/// Path loss from a reader across the alley to one at the far end of the yard, in dB. The weakest signal is still 20 dB
/// above what SF7 needs at 500 kHz.
const PATH_LOSS_DB: RangeInclusive<f64> = 70.0..=112.0;
/// Fading caused by animals that walk through the path.
const FADING_DB: f64 = 2.0;

/// Source of the transmissions.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Script(Script),
    /// Traffic that has been validated.
    Traffic(Traffic),
}

impl Plan {
    /// Returns the default pace of the air.
    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Script(_) => Pace::RealTime { speed: 1.0 },
            Self::Traffic(traffic) => Pace::RealTime { speed: traffic.speed() },
        }
    }

    /// Creates an air at time 0 with the whole plan on it, and returns the barn's chip.
    pub(super) fn open(&self, pace: Pace) -> Chip {
        match self {
            Self::Script(script) => {
                let air = Air::new(AirOptions { pace, ..AirOptions::default() });
                air.feed(script_transmissions(script.clone()));
                air.chip("barn")
            }
            Self::Traffic(traffic) => open_yard(traffic, pace),
        }
    }
}

/// Returns the packets of a script as they arrive at the barn. Each waits until the one before it is off the air.
fn script_transmissions(script: Script) -> impl Iterator<Item = (Duration, Transmission)> + Send {
    script.into_lines().into_iter().scan((LEAD_TIME, LEAD_TIME), |(due, free), line| {
        *due += Duration::from_millis(u64::from(line.delay_ms));
        let at = (*due).max(*free);
        *free = at + MODULATION.air_time(length(&line.payload)) + PAUSE;
        Some((at, script_transmission(line)))
    })
}

fn script_transmission(line: ScriptLine) -> Transmission {
    let ScriptLine { payload, rssi_dbm, snr_quarter_db, corrupted, .. } = line;
    Transmission {
        payload,
        modulation: MODULATION,
        rssi_dbm: f64::from(rssi_dbm),
        snr_db: Some(f64::from(snr_quarter_db) / 4.0),
        corrupted,
        ..Transmission::default()
    }
}

/// Returns the length of a payload. A script holds none of more than 255 bytes.
fn length(payload: &[u8]) -> u8 {
    u8::try_from(payload.len()).unwrap_or(u8::MAX)
}

fn open_yard(traffic: &Traffic, pace: Pace) -> Chip {
    let &Traffic { seed, loss, corruption, .. } = traffic;
    let air = Air::new(AirOptions { seed, pace, fading_db: FADING_DB, loss, corruption, ..AirOptions::default() });
    let chip = air.chip("barn");
    let mut rng = rng(seed, Stream::Places);
    for (station, feed) in reader_feeds(Schedule::new(traffic)).into_iter().enumerate() {
        let name = format!("station {station}");
        let reader = air.reader(ReaderOptions { name, modulation: MODULATION, seed, ..ReaderOptions::default() });
        air.set_path_loss_db(reader.chip(), &chip, rng.random_range(PATH_LOSS_DB));
        reader.feed(feed);
    }
    chip
}

/// A payload for a reader, and the time at which the reader gets it.
type TimedPayload = (Duration, Vec<u8>);

/// One schedule, distributed to the readers as they ask for their next payload.
#[derive(Debug)]
struct SharedSchedule {
    schedule: Schedule,
    /// Payloads of readers that have not asked for them yet. There are only a few: the payloads go to the readers in
    /// turn, and the reader that sent a payload also repeats it.
    pending: [VecDeque<TimedPayload>; READERS],
}

/// The part of the schedule that one reader sends.
#[derive(Debug)]
struct ReaderFeed {
    schedule: Arc<Mutex<SharedSchedule>>,
    reader: usize,
}

fn reader_feeds(schedule: Schedule) -> [ReaderFeed; READERS] {
    let schedule = Arc::new(Mutex::new(SharedSchedule { schedule, pending: Default::default() }));
    std::array::from_fn(|reader| ReaderFeed { schedule: schedule.clone(), reader })
}

impl SharedSchedule {
    fn next_for(&mut self, reader: usize) -> Option<TimedPayload> {
        while self.pending[reader].is_empty() {
            let ScheduledPayload { due_us, number, payload } = self.schedule.next()?;
            let sender = usize::try_from(number % READERS as u64).unwrap_or(0);
            self.pending[sender].push_back((LEAD_TIME + Duration::from_micros(due_us), payload.to_vec()));
        }
        self.pending[reader].pop_front()
    }
}

impl Iterator for ReaderFeed {
    type Item = TimedPayload;

    fn next(&mut self) -> Option<TimedPayload> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner).next_for(self.reader)
    }
}
