//! The program of a reader: it sets its chip up, listens, and sends one payload after the other.
//!
//! The program knows nothing of the air. It drives its chip through registers only, as the firmware of a reader does.

use super::chip::{ChipState, Frame};
use super::clock::SECOND_NS;
use super::random;
use super::registers::{Register, irq};
use super::signal;
use super::tuning::Tuning;
use crate::lora::{Bandwidth, Modulation};
use std::collections::VecDeque;

/// Maximum number of payloads that a reader queues while the channel is busy.
pub const MAX_QUEUED_PAYLOADS: usize = 64;

/// Number of attempts to find the channel free before a payload is given up.
const MAX_ATTEMPTS: u32 = 32;
/// Upper bound of the first random back-off. It doubles with each attempt.
const BACK_OFF_SYMBOLS: u64 = 16;
/// Maximum number of doublings of the back-off.
const MAX_DOUBLINGS: u32 = 5;
/// A channel with this much more power than noise is busy.
const BUSY_ABOVE_NOISE_DB: f64 = 6.0;
/// Minimum time in receive mode before the strength is measured. A longer symbol takes its place.
const SENSE_NS: u64 = 250_000;
/// Time to wait for CadDone and TxDone beyond their normal duration.
const MARGIN_NS: u64 = 20_000_000;
/// Noise figure that the program assumes.
const NOISE_FIGURE_DB: f64 = 6.0;

const SLEEP: u8 = 0x80;
const STANDBY: u8 = 0x81;
const TRANSMIT: u8 = 0x83;
const RECEIVE: u8 = 0x85;
const DETECT: u8 = 0x87;
const DIO0_TX_DONE: u8 = 0x40;
const DIO0_CAD_DONE: u8 = 0x80;

/// Options of a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderOptions {
    /// Name for people to read.
    pub name: String,
    /// Modulation that it transmits with.
    pub modulation: Modulation,
    /// Transmit power at the antenna, 2..=17 dBm. Other values are replaced by the nearest one in the range.
    pub power_dbm: u8,
    /// Transmits only if the channel is free.
    pub listen_before_talk: bool,
    /// Largest possible error of the crystal, in parts per million. The actual error depends on the seed.
    pub crystal_ppm: f64,
    /// Seed of the back-off and the crystal error, combined with the air's seed.
    pub seed: u64,
}

impl Default for ReaderOptions {
    /// 14 dBm, listening before talking, and a crystal within 5 ppm.
    fn default() -> Self {
        Self {
            name: "reader".to_owned(),
            modulation: Modulation::default(),
            power_dbm: 14,
            listen_before_talk: true,
            crystal_ppm: 5.0,
            seed: 1,
        }
    }
}

/// Counters of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Payloads given to the reader that fit into a packet.
    pub given: u64,
    /// Payloads transmitted completely.
    pub sent: u64,
    /// Payloads refused because the queue was full.
    pub refused: u64,
    /// Payloads given up because the channel was busy too often, or because the chip never reported the end.
    pub given_up: u64,
    /// Attempts that found the channel busy.
    pub found_busy: u64,
    /// Payloads in the queue, including the one in transmission.
    pub waiting: u64,
}

/// Condition on which the program continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Until there is a payload to send.
    UntilPayload,
    /// For this many nanoseconds.
    For(u64),
    /// Until the next edge of DIO0, or for `timeout_ns`.
    UntilEdge { timeout_ns: u64 },
}

/// Position in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    /// Looking for a preamble.
    Detecting,
    /// In receive mode, to measure the strength in the channel.
    Sensing,
    BackingOff,
    Sending,
}

/// The program's access to its chip.
struct Bus<'a> {
    chip: &'a mut ChipState,
    now_ns: u64,
}

impl Bus<'_> {
    fn read(&mut self, register: Register) -> u8 {
        let mut frame = Frame::default();
        frame.exchange(self.chip, register as u8, self.now_ns);
        frame.exchange(self.chip, 0, self.now_ns)
    }

    fn write(&mut self, register: Register, bytes: &[u8]) {
        let mut frame = Frame::default();
        frame.exchange(self.chip, register as u8 | 0x80, self.now_ns);
        for byte in bytes {
            frame.exchange(self.chip, *byte, self.now_ns);
        }
    }
}

/// A reader's program and its memory.
#[derive(Debug)]
pub(super) struct ReaderProgram {
    options: ReaderOptions,
    step: Step,
    /// At most [`MAX_QUEUED_PAYLOADS`].
    payloads: VecDeque<Vec<u8>>,
    attempts: u32,
    random_state: u64,
    counts: ReaderCounts,
}

impl ReaderProgram {
    pub(super) fn new(options: ReaderOptions, seed: u64) -> Self {
        Self {
            options,
            step: Step::Idle,
            payloads: VecDeque::new(),
            attempts: 0,
            random_state: seed,
            counts: ReaderCounts::default(),
        }
    }

    pub(super) fn counts(&self) -> ReaderCounts {
        ReaderCounts { waiting: self.payloads.len() as u64, ..self.counts }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.step == Step::Idle
    }

    /// Queues a payload. Returns `false` if the queue is full.
    pub(super) fn enqueue(&mut self, payload: Vec<u8>) -> bool {
        self.counts.given += 1;
        if self.payloads.len() == MAX_QUEUED_PAYLOADS {
            self.counts.refused += 1;
            return false;
        }
        self.payloads.push_back(payload);
        true
    }

    /// Brings the chip from reset to standby with the reader's modulation.
    pub(super) fn set_up(&self, chip: &mut ChipState, now_ns: u64) {
        let mut bus = Bus { chip, now_ns };
        let modulation = &self.options.modulation;
        let bandwidth = Bandwidth::ALL.iter().position(|bandwidth| *bandwidth == modulation.bandwidth).unwrap_or(7);
        let [_, bandwidth] = u16::try_from(bandwidth).unwrap_or(7).to_be_bytes();
        let carrier = ((u64::from(modulation.frequency_hz) << 19) + 16_000_000) / 32_000_000;
        let [.., high, middle, low] = carrier.to_be_bytes();
        let optimize = if modulation.low_data_rate_optimize() { 0x08 } else { 0 };
        bus.write(Register::OpMode, &[SLEEP]);
        bus.write(Register::FrfMsb, &[high, middle, low]);
        bus.write(Register::PaConfig, &[0x80 | (self.options.power_dbm.clamp(2, 17) - 2)]);
        bus.write(Register::ModemConfig1, &[(bandwidth << 4) | ((modulation.coding_rate.denominator() - 4) << 1)]);
        bus.write(Register::ModemConfig2, &[(modulation.spreading_factor.get() << 4) | 0x04]);
        bus.write(Register::ModemConfig3, &[0x04 | optimize]);
        bus.write(Register::PreambleMsb, &modulation.preamble_symbols.to_be_bytes());
        bus.write(Register::SyncWord, &[modulation.sync_word]);
        bus.write(Register::FifoTxBaseAddr, &[0]);
        bus.write(Register::OpMode, &[STANDBY]);
    }

    /// Continues the program up to its next pause.
    pub(super) fn resume(&mut self, chip: &mut ChipState, now_ns: u64) -> Pause {
        let mut bus = Bus { chip, now_ns };
        match self.step {
            Step::Idle | Step::BackingOff => self.start_attempt(&mut bus),
            Step::Sensing => self.check_strength(&mut bus),
            Step::Detecting => self.check_activity(&mut bus),
            Step::Sending => self.finish_transmission(&mut bus),
        }
    }

    fn start_attempt(&mut self, bus: &mut Bus<'_>) -> Pause {
        let Some(payload) = self.payloads.front() else {
            self.step = Step::Idle;
            return Pause::UntilPayload;
        };
        load(bus, payload);
        if !self.options.listen_before_talk {
            return self.transmit(bus);
        }
        bus.write(Register::IrqFlags, &[0xFF]);
        bus.write(Register::DioMapping1, &[DIO0_CAD_DONE]);
        bus.write(Register::OpMode, &[DETECT]);
        self.step = Step::Detecting;
        Pause::UntilEdge { timeout_ns: 4 * self.symbol_ns() + MARGIN_NS }
    }

    /// Backs off if activity detection found a preamble. It finds preambles even below the noise, but nothing else.
    fn check_activity(&mut self, bus: &mut Bus<'_>) -> Pause {
        let flags = bus.read(Register::IrqFlags);
        if flags & irq::CAD_DONE == 0 || flags & irq::CAD_DETECTED != 0 {
            return self.back_off(bus);
        }
        bus.write(Register::OpMode, &[RECEIVE]);
        self.step = Step::Sensing;
        Pause::For(SENSE_NS.max(self.symbol_ns()))
    }

    /// Transmits if the channel is quiet, because a packet after its preamble shows only as power in the channel.
    ///
    /// This check comes last: the time from here to the first wave is the shortest in which another reader can start
    /// unnoticed.
    fn check_strength(&mut self, bus: &mut Bus<'_>) -> Pause {
        let modulation = &self.options.modulation;
        let noise_dbm = signal::noise_floor_dbm(modulation.bandwidth.hz(), NOISE_FIGURE_DB);
        let busy = signal::rssi_register(noise_dbm + BUSY_ABOVE_NOISE_DB, modulation.frequency_hz);
        if bus.read(Register::RssiValue) < busy {
            return self.transmit(bus);
        }
        bus.write(Register::OpMode, &[STANDBY]);
        self.back_off(bus)
    }

    fn transmit(&mut self, bus: &mut Bus<'_>) -> Pause {
        let payload_bytes = self.payloads.front().map_or(u8::MAX, |payload| length(payload));
        let tuning = Tuning::of_modulation(&self.options.modulation, payload_bytes);
        bus.write(Register::IrqFlags, &[0xFF]);
        bus.write(Register::DioMapping1, &[DIO0_TX_DONE]);
        bus.write(Register::OpMode, &[TRANSMIT]);
        self.step = Step::Sending;
        Pause::UntilEdge { timeout_ns: tuning.air_time_ns(payload_bytes) + MARGIN_NS }
    }

    fn finish_transmission(&mut self, bus: &mut Bus<'_>) -> Pause {
        let sent = bus.read(Register::IrqFlags) & irq::TX_DONE != 0;
        if sent {
            bus.write(Register::IrqFlags, &[0xFF]);
            self.counts.sent += 1;
        } else {
            // TxDone did not come in time: the chip was reset, or is broken.
            self.counts.given_up += 1;
            self.set_up(bus.chip, bus.now_ns);
        }
        self.next_payload(bus)
    }

    fn next_payload(&mut self, bus: &mut Bus<'_>) -> Pause {
        self.payloads.pop_front();
        self.attempts = 0;
        self.step = Step::Idle;
        if self.payloads.is_empty() { Pause::UntilPayload } else { self.start_attempt(bus) }
    }

    fn back_off(&mut self, bus: &mut Bus<'_>) -> Pause {
        self.counts.found_busy += 1;
        self.attempts += 1;
        if self.attempts == MAX_ATTEMPTS {
            self.counts.given_up += 1;
            return self.next_payload(bus);
        }
        self.random_state = random::next(self.random_state);
        let window_ns = (BACK_OFF_SYMBOLS << self.attempts.min(MAX_DOUBLINGS)) * self.symbol_ns();
        self.step = Step::BackingOff;
        Pause::For(1 + self.random_state % window_ns.max(1))
    }

    fn symbol_ns(&self) -> u64 {
        let modulation = &self.options.modulation;
        u64::from(modulation.spreading_factor.chips()) * SECOND_NS / u64::from(modulation.bandwidth.hz())
    }
}

/// Puts a payload into the FIFO, where a transmission takes it from. The FIFO is writable only outside of sleep, so
/// the chip goes to standby first.
fn load(bus: &mut Bus<'_>, payload: &[u8]) {
    bus.write(Register::OpMode, &[STANDBY]);
    bus.write(Register::FifoAddrPtr, &[0]);
    bus.write(Register::Fifo, payload);
    bus.write(Register::PayloadLength, &[length(payload)]);
}

/// Returns the length of a payload, which was checked to fit into a packet.
fn length(payload: &[u8]) -> u8 {
    u8::try_from(payload.len()).unwrap_or(u8::MAX)
}
