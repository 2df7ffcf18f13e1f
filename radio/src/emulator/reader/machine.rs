//! The program of a reader: set up, detect, sense, send.

use std::collections::VecDeque;

use super::{MAX_QUEUED_PAYLOADS, ReaderCounts, ReaderOptions};
use crate::emulator::chance;
use crate::emulator::chip::{ChipState, Frame};
use crate::emulator::registers::{Register, irq};
use crate::emulator::signal;
use crate::emulator::tuning::{SECOND_NS, Tuning};
use crate::lora::Bandwidth;

/// Attempts to find the channel free before a payload is given up.
const MAX_ATTEMPTS: u32 = 32;
/// The back-off is drawn from up to so many symbols, doubled with each attempt.
const BACK_OFF_SYMBOLS: u64 = 16;
/// The back-off is doubled so often at most.
const MAX_DOUBLINGS: u32 = 5;
/// A channel with so much more than noise in it is busy.
const BUSY_OVER_NOISE_DB: f64 = 6.0;
/// Strength is measured after so long in receive mode, or after a symbol if that is longer.
const SENSE_NS: u64 = 250_000;
/// CadDone and TxDone are waited for so much longer than they take.
const MARGIN_NS: u64 = 20_000_000;
/// Noise figure that the program takes for granted.
const NOISE_FIGURE_DB: f64 = 6.0;

const SLEEP: u8 = 0x80;
const STANDBY: u8 = 0x81;
const TRANSMIT: u8 = 0x83;
const RECEIVE: u8 = 0x85;
const DETECT: u8 = 0x87;
const DIO0_TX_DONE: u8 = 0x40;
const DIO0_CAD_DONE: u8 = 0x80;

/// When the program goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::emulator) enum Next {
    /// When there is something to send.
    Given,
    /// After so long.
    After(u64),
    /// With the next edge of DIO0, or after so long at the latest.
    Edge { at_most_ns: u64 },
}

/// Where the program stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    /// Looking for a preamble.
    Detecting,
    /// In receive mode, to measure the strength in the channel.
    Sensing,
    BackingOff,
    Sending,
}

/// A chip as its program sees it.
struct Port<'a> {
    chip: &'a mut ChipState,
    now_ns: u64,
}

impl Port<'_> {
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

/// A reader's program and what it remembers.
#[derive(Debug)]
pub(in crate::emulator) struct Machine {
    options: ReaderOptions,
    step: Step,
    /// At most [`MAX_QUEUED_PAYLOADS`].
    payloads: VecDeque<Vec<u8>>,
    attempts: u32,
    chance: u64,
    counts: ReaderCounts,
}

impl Machine {
    pub(in crate::emulator) fn new(options: ReaderOptions, seed: u64) -> Self {
        Self {
            options,
            step: Step::Idle,
            payloads: VecDeque::new(),
            attempts: 0,
            chance: seed,
            counts: ReaderCounts::default(),
        }
    }

    pub(in crate::emulator) fn counts(&self) -> ReaderCounts {
        ReaderCounts { waiting: self.payloads.len() as u64, ..self.counts }
    }

    pub(in crate::emulator) fn is_idle(&self) -> bool {
        self.step == Step::Idle
    }

    /// False if the queue is full.
    pub(in crate::emulator) fn give(&mut self, payload: Vec<u8>) -> bool {
        self.counts.given += 1;
        if self.payloads.len() == MAX_QUEUED_PAYLOADS {
            self.counts.refused += 1;
            return false;
        }
        self.payloads.push_back(payload);
        true
    }

    /// Brings the chip from reset to standby with the reader's modulation.
    pub(in crate::emulator) fn set_up(&self, chip: &mut ChipState, now_ns: u64) {
        let mut port = Port { chip, now_ns };
        let modulation = &self.options.modulation;
        let bandwidth = Bandwidth::ALL.iter().position(|bandwidth| *bandwidth == modulation.bandwidth).unwrap_or(7);
        let [_, bandwidth] = u16::try_from(bandwidth).unwrap_or(7).to_be_bytes();
        let carrier = ((u64::from(modulation.frequency_hz) << 19) + 16_000_000) / 32_000_000;
        let [.., high, middle, low] = carrier.to_be_bytes();
        let optimize = if modulation.low_data_rate_optimize() { 0x08 } else { 0 };
        port.write(Register::OpMode, &[SLEEP]);
        port.write(Register::FrfMsb, &[high, middle, low]);
        port.write(Register::PaConfig, &[0x80 | (self.options.power_dbm.clamp(2, 17) - 2)]);
        port.write(Register::ModemConfig1, &[(bandwidth << 4) | ((modulation.coding_rate.denominator() - 4) << 1)]);
        port.write(Register::ModemConfig2, &[(modulation.spreading_factor.get() << 4) | 0x04]);
        port.write(Register::ModemConfig3, &[0x04 | optimize]);
        port.write(Register::PreambleMsb, &modulation.preamble_symbols.to_be_bytes());
        port.write(Register::SyncWord, &[modulation.sync_word]);
        port.write(Register::FifoTxBaseAddr, &[0]);
        port.write(Register::OpMode, &[STANDBY]);
    }

    /// Goes on from where it stands.
    pub(in crate::emulator) fn wake(&mut self, chip: &mut ChipState, now_ns: u64) -> Next {
        let mut port = Port { chip, now_ns };
        match self.step {
            Step::Idle | Step::BackingOff => self.begin(&mut port),
            Step::Sensing => self.judge_strength(&mut port),
            Step::Detecting => self.judge_activity(&mut port),
            Step::Sending => self.finish(&mut port),
        }
    }

    fn begin(&mut self, port: &mut Port<'_>) -> Next {
        let Some(payload) = self.payloads.front() else {
            self.step = Step::Idle;
            return Next::Given;
        };
        load(port, payload);
        if !self.options.listens {
            return self.send(port);
        }
        port.write(Register::IrqFlags, &[0xFF]);
        port.write(Register::DioMapping1, &[DIO0_CAD_DONE]);
        port.write(Register::OpMode, &[DETECT]);
        self.step = Step::Detecting;
        Next::Edge { at_most_ns: 4 * self.symbol_ns() + MARGIN_NS }
    }

    /// A preamble is detected even under the noise, but nothing else is.
    fn judge_activity(&mut self, port: &mut Port<'_>) -> Next {
        let flags = port.read(Register::IrqFlags);
        if flags & irq::CAD_DONE == 0 || flags & irq::CAD_DETECTED != 0 {
            return self.back_off(port);
        }
        port.write(Register::OpMode, &[RECEIVE]);
        self.step = Step::Sensing;
        Next::After(SENSE_NS.max(self.symbol_ns()))
    }

    /// A packet in its middle is loud. Strength comes last, as the time between it and the first wave is the shortest
    /// in which another reader can begin unnoticed.
    fn judge_strength(&mut self, port: &mut Port<'_>) -> Next {
        let modulation = &self.options.modulation;
        let noise_dbm = signal::noise_floor_dbm(modulation.bandwidth.hz(), NOISE_FIGURE_DB);
        let busy = signal::rssi_register(noise_dbm + BUSY_OVER_NOISE_DB, modulation.frequency_hz);
        if port.read(Register::RssiValue) < busy {
            return self.send(port);
        }
        port.write(Register::OpMode, &[STANDBY]);
        self.back_off(port)
    }

    fn send(&mut self, port: &mut Port<'_>) -> Next {
        let payload_bytes = self.payloads.front().map_or(u8::MAX, |payload| length(payload));
        let tuning = Tuning::of_modulation(&self.options.modulation, payload_bytes);
        port.write(Register::IrqFlags, &[0xFF]);
        port.write(Register::DioMapping1, &[DIO0_TX_DONE]);
        port.write(Register::OpMode, &[TRANSMIT]);
        self.step = Step::Sending;
        Next::Edge { at_most_ns: tuning.air_time_ns(payload_bytes) + MARGIN_NS }
    }

    fn finish(&mut self, port: &mut Port<'_>) -> Next {
        let sent = port.read(Register::IrqFlags) & irq::TX_DONE != 0;
        if sent {
            port.write(Register::IrqFlags, &[0xFF]);
            self.counts.sent += 1;
        } else {
            // No TxDone in all that time: the chip was reset, or is broken.
            self.counts.given_up += 1;
            self.set_up(port.chip, port.now_ns);
        }
        self.next_payload(port)
    }

    fn next_payload(&mut self, port: &mut Port<'_>) -> Next {
        self.payloads.pop_front();
        self.attempts = 0;
        self.step = Step::Idle;
        if self.payloads.is_empty() { Next::Given } else { self.begin(port) }
    }

    fn back_off(&mut self, port: &mut Port<'_>) -> Next {
        self.counts.found_busy += 1;
        self.attempts += 1;
        if self.attempts == MAX_ATTEMPTS {
            self.counts.given_up += 1;
            return self.next_payload(port);
        }
        self.chance = chance::next(self.chance);
        let window_ns = (BACK_OFF_SYMBOLS << self.attempts.min(MAX_DOUBLINGS)) * self.symbol_ns();
        self.step = Step::BackingOff;
        Next::After(1 + self.chance % window_ns.max(1))
    }

    fn symbol_ns(&self) -> u64 {
        let modulation = &self.options.modulation;
        u64::from(modulation.spreading_factor.chips()) * SECOND_NS / u64::from(modulation.bandwidth.hz())
    }
}

/// Puts a payload where a transmission takes it from. The chip must be in standby.
fn load(port: &mut Port<'_>, payload: &[u8]) {
    port.write(Register::OpMode, &[STANDBY]);
    port.write(Register::FifoAddrPtr, &[0]);
    port.write(Register::Fifo, payload);
    port.write(Register::PayloadLength, &[length(payload)]);
}

fn length(payload: &[u8]) -> u8 {
    u8::try_from(payload.len()).unwrap_or(u8::MAX)
}
