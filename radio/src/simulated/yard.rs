//! The air of a yard: who transmits on it, and the chip of the barn that hears it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::script::{Script, ScriptLine};
use super::traffic::{Traffic, Transmissions};
use super::{Stream, traffic};
use crate::emulator::{Air, AirOptions, Chip, Pace, ReaderOptions, Transmission};
use crate::lora::{Bandwidth, CodingRate, Modulation, SpreadingFactor};

/// What readers and barn use: the fastest setting, and one at which a fixed channel is lawful in North America.
pub const MODULATION: Modulation = Modulation {
    frequency_hz: 915_000_000,
    spreading_factor: SpreadingFactor::SF7,
    bandwidth: Bandwidth::Khz500,
    coding_rate: CodingRate::FourFifths,
    sync_word: 0x12,
    preamble_symbols: 8,
};

/// The schedule begins so long after the air: the driver sets its chip up in less than half of it.
const BEGIN: Duration = Duration::from_millis(100);
/// Between two packets of a script that would else follow each other at once.
const PAUSE: Duration = Duration::from_millis(1);

/// A reader at each of the six stations of a chute.
const READERS: usize = 6;
/// From a reader across the alley to one at the far end of the yard, in dB. The weakest is still 20 dB above what SF7
/// needs at 500 kHz.
const PATH_LOSS_DB: std::ops::RangeInclusive<f64> = 70.0..=112.0;
/// Animals walk through the path.
const FADING_DB: f64 = 2.0;

/// What is to be transmitted.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    Script(Script),
    /// It is valid.
    Traffic(Traffic),
}

impl Plan {
    /// How fast its air goes, unless it is told otherwise.
    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Script(_) => Pace::RealTime { speed: 1.0 },
            Self::Traffic(traffic) => Pace::RealTime { speed: traffic.speed() },
        }
    }

    /// An air at time 0 with all of it planned, and on it the barn's chip.
    pub(super) fn open(&self, pace: Pace) -> Chip {
        match self {
            Self::Script(script) => {
                let air = Air::new(AirOptions { pace, ..AirOptions::default() });
                air.feed(played(script.clone()));
                air.chip("barn")
            }
            Self::Traffic(traffic) => yard_of(traffic, pace),
        }
    }
}

/// A script as it arrives at the barn: at its times, but never one packet over another.
fn played(script: Script) -> impl Iterator<Item = (Duration, Transmission)> + Send {
    script.into_lines().into_iter().scan((BEGIN, BEGIN), |(due, free), line| {
        *due += Duration::from_millis(u64::from(line.delay_ms));
        let at = (*due).max(*free);
        *free = at + MODULATION.air_time(length(&line.payload)) + PAUSE;
        Some((at, arriving(line)))
    })
}

fn arriving(line: ScriptLine) -> Transmission {
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

/// A script holds no payload that is longer.
fn length(payload: &[u8]) -> u8 {
    u8::try_from(payload.len()).unwrap_or(u8::MAX)
}

fn yard_of(traffic: &Traffic, pace: Pace) -> Chip {
    let &Traffic { seed, loss, corruption, .. } = traffic;
    let air = Air::new(AirOptions { seed, pace, fading_db: FADING_DB, loss, corruption, ..AirOptions::default() });
    let chip = air.chip("barn");
    let mut chance = ChaCha12Rng::seed_from_u64(seed);
    chance.set_stream(Stream::Places as u64);
    for (station, share) in shares_of(Transmissions::new(traffic)).into_iter().enumerate() {
        let name = format!("station {station}");
        let reader = air.reader(ReaderOptions { name, modulation: MODULATION, seed, ..ReaderOptions::default() });
        air.set_path_loss_db(reader.chip(), &chip, chance.random_range(PATH_LOSS_DB));
        reader.feed(share);
    }
    chip
}

/// What one reader is given, and when.
type Given = (Duration, Vec<u8>);

/// One schedule, dealt out to the readers as they ask for their next payload.
#[derive(Debug)]
struct Dealing {
    transmissions: Transmissions,
    /// What was drawn for a reader that has not asked yet. Payloads go round, and each is repeated by the reader that
    /// sent it, so these are a few.
    waiting: [VecDeque<Given>; READERS],
}

/// The part of one reader.
#[derive(Debug)]
struct Share {
    dealing: Arc<Mutex<Dealing>>,
    reader: usize,
}

fn shares_of(transmissions: Transmissions) -> [Share; READERS] {
    let dealing = Arc::new(Mutex::new(Dealing { transmissions, waiting: Default::default() }));
    std::array::from_fn(|reader| Share { dealing: dealing.clone(), reader })
}

impl Dealing {
    fn deal_to(&mut self, reader: usize) -> Option<Given> {
        while self.waiting[reader].is_empty() {
            let traffic::Transmission { due_us, number, payload } = self.transmissions.next()?;
            let of = usize::try_from(number % READERS as u64).unwrap_or(0);
            self.waiting[of].push_back((BEGIN + Duration::from_micros(due_us), payload.to_vec()));
        }
        self.waiting[reader].pop_front()
    }
}

impl Iterator for Share {
    type Item = Given;

    fn next(&mut self) -> Option<Given> {
        self.dealing.lock().unwrap_or_else(PoisonError::into_inner).deal_to(self.reader)
    }
}
