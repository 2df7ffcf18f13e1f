//! The state of one chip: registers, FIFO, mode, receiver and DIO0.
//!
//! A chip does not know about the air. The world tells it which packet arrives, and asks it which mode was entered.

mod calibration;
mod dio0;
mod fifo;
mod frame;
mod mode;
mod mode_changes;
mod receiver;
mod reception;

pub(super) use self::frame::Frame;
pub(super) use self::mode::Mode;
pub(super) use self::reception::IncomingPacket;

use self::dio0::Dio0Line;
use self::fifo::Fifo;
use self::reception::Reception;
use super::faults::Faults;
use super::ledger::Ledger;
use super::registers::{self, REGISTERS, Register, irq};
use super::tuning::Tuning;

/// Time from the release of RESET until the chip answers (data sheet, section 7.2.2).
const RESET_NS: u64 = 5_000_000;

/// Frequency at which a reset calibrates the receiver.
const CALIBRATED_AT_RESET_HZ: u32 = 434_000_000;

/// Options of a chip on an air.
#[derive(Clone, Debug, PartialEq)]
pub struct ChipOptions {
    /// Name for people to read.
    pub name: String,
    /// Error of the crystal at the frequency in use.
    pub frequency_error_hz: i32,
    /// An oscillator drives the crystal pin, so that the chip works only if register 0x4B says so.
    pub tcxo: bool,
    /// Number of verdicts that the ledger keeps, at least 512; older ones are only counted. With 0 the chip keeps no
    /// ledger and no tally.
    pub max_verdicts: usize,
}

impl ChipOptions {
    /// Returns options with an exact crystal and a ledger of 262,144 verdicts.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), frequency_error_hz: 0, tcxo: false, max_verdicts: 1 << 18 }
    }
}

impl From<&str> for ChipOptions {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

/// The state of one chip.
#[derive(Debug)]
pub(super) struct ChipState {
    pub(super) options: ChipOptions,
    pub(super) faults: Faults,
    pub(super) ledger: Ledger,
    pub(super) dio0: Dio0Line,
    /// The LoRa registers, and those that LoRa shares with FSK.
    registers: [u8; REGISTERS],
    /// The FSK registers at the addresses that LoRa uses, too. They are plain memory, because this chip never sends or
    /// receives FSK.
    fsk: [u8; REGISTERS],
    fifo: Fifo,
    /// Number of mode changes so far. An event that was scheduled for an earlier stay in a mode recognizes by it that
    /// the stay is over.
    pub(super) stay: u64,
    /// The mode that was entered last, if the world has not acted on it yet.
    entered: Option<Mode>,
    /// The modem's settings, latched at the last mode change. `None` if the modem is FSK or a setting is reserved.
    pub(super) tuning: Option<Tuning>,
    pub(super) reception: Option<Reception>,
    /// The receiver finds no preamble until the chip sleeps.
    pub(super) is_hung: bool,
    /// Frequency of the last calibration. At power-up the chip calibrates itself at 434 MHz (data sheet, section on image
    /// and RSSI calibration).
    pub(super) calibrated_hz: u32,
    calibrating_until_ns: u64,
    /// FIFO address of the next packet.
    write_at: u8,
    /// RESET is held low.
    in_reset: bool,
    /// The chip does not answer before this time.
    silent_until_ns: u64,
}

impl ChipState {
    pub(super) fn new(options: ChipOptions) -> Self {
        Self {
            ledger: Ledger::new(options.max_verdicts),
            options,
            faults: Faults::default(),
            dio0: Dio0Line::default(),
            registers: registers::after_reset(),
            fsk: registers::fsk_after_reset(),
            fifo: Fifo::default(),
            stay: 0,
            entered: None,
            tuning: None,
            reception: None,
            is_hung: false,
            calibrated_hz: CALIBRATED_AT_RESET_HZ,
            calibrating_until_ns: 0,
            write_at: 0,
            in_reset: false,
            silent_until_ns: 0,
        }
    }

    pub(super) fn register(&self, register: Register) -> u8 {
        self.registers[register as usize]
    }

    pub(super) fn set_register(&mut self, register: Register, value: u8) {
        self.registers[register as usize] = value;
    }

    pub(super) fn registers(&self) -> &[u8; REGISTERS] {
        &self.registers
    }

    /// Sets interrupt flags, except those that register 0x11 masks.
    pub(super) fn raise(&mut self, flags: u8) {
        let mask = self.register(Register::IrqFlagsMask);
        self.set_register(Register::IrqFlags, self.register(Register::IrqFlags) | (flags & !mask));
    }

    /// Drives DIO0 from flags and mapping (table 18). Has to be called after everything that may change them.
    pub(super) fn update_dio0(&mut self) {
        let flag = match self.register(Register::DioMapping1) >> 6 {
            0 => irq::RX_DONE,
            1 => irq::TX_DONE,
            2 => irq::CAD_DONE,
            _ => 0,
        };
        let high = self.is_lora() && self.register(Register::IrqFlags) & flag != 0;
        self.dio0.drive(high, &self.faults);
    }

    /// Returns the payload that a transmission would send now.
    pub(super) fn payload_to_send(&self) -> Vec<u8> {
        let base = self.register(Register::FifoTxBaseAddr);
        (0..self.register(Register::PayloadLength)).map(|offset| self.fifo.peek(base.wrapping_add(offset))).collect()
    }

    /// Resets the chip to its state after power-up. It answers again from the given time on.
    pub(super) fn reset(&mut self, answers_from_ns: u64) {
        self.registers = registers::after_reset();
        self.fsk = registers::fsk_after_reset();
        self.fifo.wipe(&mut self.ledger);
        self.is_hung = false;
        self.calibrated_hz = CALIBRATED_AT_RESET_HZ;
        self.calibrating_until_ns = 0;
        self.stay += 1;
        self.entered = Some(Mode::Standby);
        self.silent_until_ns = answers_from_ns;
    }

    /// Drives RESET. The chip is reset while the line is low, and once more when it is released.
    pub(super) fn drive_reset(&mut self, low: bool, now_ns: u64) {
        if self.faults.dead_reset {
            return;
        }
        if low || self.in_reset {
            self.reset(now_ns + RESET_NS);
        }
        self.in_reset = low;
    }

    fn answers(&self, now_ns: u64) -> bool {
        !self.in_reset && now_ns >= self.silent_until_ns
    }
}
