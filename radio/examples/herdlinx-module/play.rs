//! A module with readers around it.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use radio::emulator::device::{DeviceError, Dio0Wire, Spidev, Wires};
use radio::emulator::{Air, AirOptions, Chip, Fate, Pace, Poisson, Reader, ReaderOptions, Register};
use radio::simulated::{MODULATION, Traffic};

use crate::ledger::{Entry, Ledger};

/// As in a simulated yard: one at each station of a chute.
const READERS: u16 = 6;
/// LoRa's continuous receive mode.
const LISTENING: u8 = 0x85;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Nothing new on the air for so long: something is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many packets lie between two lines that say how far it is.
const TOLD_EVERY: u64 = 250;

/// How to play.
#[derive(Debug, clap::Args)]
pub(crate) struct PlayRequest {
    /// The ledger that is written once the chip has heard all
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    /// Readers fall silent when the chip has flagged so many packets good
    #[arg(long, default_value_t = 1_000)]
    packets: u64,
    /// Same seed, same payloads
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Payloads a second, for all readers together; the air carries some 15
    #[arg(long, default_value_t = 10.0)]
    rate_per_s: f64,
    /// Speed of the air's clock: 1 is real time
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Probability that a packet arrives with a wrong CRC
    #[arg(long, default_value_t = 0.02)]
    corruption: f64,
    /// Name of the SPI device below /dev
    #[arg(long, default_value = "spidev0.0")]
    device: String,
    /// Leave DIO0 unwired
    #[arg(long)]
    cut_dio0: bool,
}

/// Why it cannot be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlayError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("no program has put the chip into its receive mode for {} s", PATIENCE.as_secs())]
    NobodyListens,
    #[error("the chip has heard nothing for {} s, {heard} packets so far; the fates: {fates:?}", PATIENCE.as_secs())]
    Silence { heard: u64, fates: Vec<(Fate, u64)> },
}

/// A chip on an air, behind files of the kernel.
#[derive(Debug)]
pub(crate) struct Module {
    air: Air,
    chip: Chip,
    wires: Wires,
    spidev: Spidev,
}

impl Module {
    pub(crate) fn make(request: &PlayRequest) -> Result<Self, PlayError> {
        let pace = Pace::RealTime { speed: request.speed };
        let (seed, corruption) = (request.seed, request.corruption);
        let air = Air::new(AirOptions { seed, pace, corruption, ..AirOptions::default() });
        let chip = air.chip("barn");
        let dio0 = if request.cut_dio0 { Dio0Wire::Cut } else { Dio0Wire::Whole };
        let wires = Wires::new(&chip, dio0)?;
        let spidev = Spidev::new(&request.device, &chip)?;
        Ok(Self { air, chip, wires, spidev })
    }

    pub(crate) fn spi(&self) -> &Path {
        self.spidev.path()
    }

    pub(crate) fn gpio_chip(&self) -> &Path {
        self.wires.gpio_chip()
    }

    /// Waits for a program that listens, lets the readers transmit, and gives the account.
    pub(crate) fn play(&self, request: &PlayRequest) -> Result<Ledger, PlayError> {
        until(|| self.chip.register(Register::OpMode) == LISTENING).ok_or(PlayError::NobodyListens)?;
        let readers = self.readers(request);
        let mut told = 0;
        while self.heard() < request.packets {
            let before = self.chip.tally().total();
            until(|| self.chip.tally().total() > before).ok_or_else(|| self.silence())?;
            if self.heard() / TOLD_EVERY > told {
                told = self.heard() / TOLD_EVERY;
                eprintln!("herdlinx-module: the chip has heard {} packets", self.heard());
            }
        }
        // Also what was to come next, which nobody would find in the account.
        for reader in &readers {
            reader.feed(std::iter::empty());
        }
        // What is not read by then counts as lost.
        until(|| self.is_settled(&readers)).unwrap_or_else(|| eprintln!("herdlinx-module: not all is read"));
        Ok(self.account())
    }

    /// Readers that go on for ever. Each has payloads of its own, so that none is transmitted twice.
    fn readers(&self, request: &PlayRequest) -> Vec<Reader> {
        let traffic = Traffic { seed: request.seed, ..Traffic::default() };
        let begin = self.air.now();
        let readers = (0..READERS).map(|place| {
            let (seed, place_of) = (request.seed + u64::from(place), usize::from(place));
            let name = format!("station {place}");
            let reader =
                self.air.reader(ReaderOptions { name, seed, modulation: MODULATION, ..ReaderOptions::default() });
            let payloads = traffic.payloads().skip(place_of).step_by(usize::from(READERS));
            let times = Poisson::new(seed, request.rate_per_s / f64::from(READERS)).map(move |at| begin + at);
            reader.feed(times.zip(payloads));
            reader
        });
        readers.collect()
    }

    fn heard(&self) -> u64 {
        self.chip.tally().flagged_good()
    }

    fn is_settled(&self, readers: &[Reader]) -> bool {
        let tally = self.chip.tally();
        readers.iter().all(|reader| reader.counts().waiting == 0)
            && tally.of(Fate::Receiving) + tally.of(Fate::Unread) == 0
    }

    fn silence(&self) -> PlayError {
        PlayError::Silence { heard: self.heard(), fates: self.fates() }
    }

    fn fates(&self) -> Vec<(Fate, u64)> {
        let tally = self.chip.tally();
        Fate::ALL.into_iter().map(|fate| (fate, tally.of(fate))).filter(|(_, count)| *count > 0).collect()
    }

    fn account(&self) -> Ledger {
        let packets: Vec<Entry> = self.chip.verdicts().iter().map(Entry::of).collect();
        let mut ledger = Ledger {
            edges: self.wires.edges(),
            resets: self.wires.resets(),
            modes: self.spidev.modes(),
            clocks_hz: self.spidev.clocks_hz(),
            ..Ledger::default()
        };
        for packet in &packets {
            *ledger.fates.entry(packet.fate.clone()).or_default() += 1;
        }
        ledger.packets = packets;
        ledger
    }
}

/// Waits until it holds. None where it did not for too long.
fn until(holds: impl Fn() -> bool) -> Option<()> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > PATIENCE {
            return None;
        }
        sleep(LOOK_EVERY);
    }
    Some(())
}
