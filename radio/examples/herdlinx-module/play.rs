//! The command `play`: an emulated module with readers around it.

use crate::ledger::{Entry, Ledger};
use radio::emulator::device::{DeviceError, Dio0Wire, Spidev, Wires};
use radio::emulator::{Air, AirOptions, Chip, Fate, Pace, Poisson, Reader, ReaderOptions, Register};
use radio::simulated::{MODULATION, Traffic};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Number of readers: one at each station of a chute, as in a simulated yard.
const READERS: u16 = 6;
/// Value of the mode register in LoRa's continuous receive mode.
const LISTENING: u8 = 0x85;
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Longest time without progress before the run fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// Number of packets between two progress lines.
const PROGRESS_PACKETS: u64 = 250;

/// Options of `play`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlayRequest {
    /// File for the ledger, written after the last packet
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    /// Stop the readers after the chip has flagged this many packets good
    #[arg(long, default_value_t = 1_000)]
    packets: u64,
    /// Seed of the payloads; equal seeds give equal payloads
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Payloads per second of all readers together; the air carries about 15
    #[arg(long, default_value_t = 10.0)]
    rate_per_s: f64,
    /// Speed of the air's clock; 1 is real time
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Probability that a packet arrives with a wrong CRC
    #[arg(long, default_value_t = 0.02)]
    corruption: f64,
    /// Name of the SPI device below /dev
    #[arg(long, default_value = "spidev0.0")]
    device: String,
    /// Do not connect DIO0
    #[arg(long)]
    cut_dio0: bool,
}

/// Reason why the run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlayError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("no program put the chip into receive mode within {} s", PATIENCE.as_secs())]
    NoListener,
    #[error("the chip has heard nothing for {} s, after {heard} packets; fates: {fates:?}", PATIENCE.as_secs())]
    Silence { heard: u64, fates: Vec<(Fate, u64)> },
}

/// An emulated chip behind the kernel's device files.
#[derive(Debug)]
pub(crate) struct Module {
    air: Air,
    chip: Chip,
    wires: Wires,
    spidev: Spidev,
}

impl Module {
    pub(crate) fn new(request: &PlayRequest) -> Result<Self, PlayError> {
        let pace = Pace::RealTime { speed: request.speed };
        let (seed, corruption) = (request.seed, request.corruption);
        let air = Air::new(AirOptions { seed, pace, corruption, ..AirOptions::default() });
        let chip = air.chip("barn");
        let dio0 = if request.cut_dio0 { Dio0Wire::Cut } else { Dio0Wire::Connected };
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

    /// Waits for a program to listen, lets the readers transmit, and returns the ledger.
    pub(crate) fn play(&self, request: &PlayRequest) -> Result<Ledger, PlayError> {
        wait_until(|| self.chip.register(Register::OpMode) == LISTENING).ok_or(PlayError::NoListener)?;
        let readers = self.start_readers(request);
        let mut reported = 0;
        while self.heard() < request.packets {
            let before = self.chip.tally().total();
            wait_until(|| self.chip.tally().total() > before).ok_or_else(|| self.silence())?;
            if self.heard() / PROGRESS_PACKETS > reported {
                reported = self.heard() / PROGRESS_PACKETS;
                eprintln!("herdlinx-module: the chip has heard {} packets", self.heard());
            }
        }
        // An empty series also cancels the next payload of each reader, which would be missing in the ledger.
        for reader in &readers {
            reader.feed(std::iter::empty());
        }
        // Packets that are still unread after the wait count as lost.
        wait_until(|| self.is_settled(&readers))
            .unwrap_or_else(|| eprintln!("herdlinx-module: some packets are still unread"));
        Ok(self.ledger())
    }

    /// Starts readers that transmit without end. Each has its own payloads, so that none is transmitted twice.
    fn start_readers(&self, request: &PlayRequest) -> Vec<Reader> {
        let traffic = Traffic { seed: request.seed, ..Traffic::default() };
        let begin = self.air.now();
        let readers = (0..READERS).map(|place| {
            let (seed, offset) = (request.seed + u64::from(place), usize::from(place));
            let name = format!("station {place}");
            let reader =
                self.air.reader(ReaderOptions { name, seed, modulation: MODULATION, ..ReaderOptions::default() });
            let payloads = traffic.payloads().skip(offset).step_by(usize::from(READERS));
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

    fn ledger(&self) -> Ledger {
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

/// Waits until a condition holds. Returns `None` if that takes too long.
fn wait_until(holds: impl Fn() -> bool) -> Option<()> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > PATIENCE {
            return None;
        }
        sleep(POLL_INTERVAL);
    }
    Some(())
}
