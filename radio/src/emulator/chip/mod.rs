//! One chip: its registers, its FIFO, its modes and its line. What goes through the air is the world's.

mod dio0;
mod fifo;
mod frame;
mod mode;
mod reception;

use self::dio0::Line;
use self::fifo::Fifo;
pub(super) use self::frame::Frame;
pub(super) use self::mode::Mode;
pub(super) use self::reception::{Heard, Reception};
use super::fault::Faults;
use super::ledger::Ledger;
use super::reader::ReaderIndex;
use super::registers::{self, REGISTERS, Register, irq};
use super::tuning::Tuning;

/// After RESET is let go the chip answers so much later (data sheet, section 7.2.2).
pub(super) const RESET_NS: u64 = 5_000_000;

/// The place of a chip on its air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChipIndex(pub(super) usize);

/// How a chip is put on the air.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipOptions {
    /// Its name, for people.
    pub name: String,
    /// Its crystal is off by so much at the frequency in use.
    pub frequency_error_hz: i32,
    /// Verdicts that it keeps, at least 512; older ones are only counted. With 0 nothing is kept or counted.
    pub verdicts: usize,
}

impl ChipOptions {
    /// A good crystal, and a ledger of 262,144 verdicts.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), frequency_error_hz: 0, verdicts: 1 << 18 }
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
    pub(super) line: Line,
    /// The reader whose program drives this chip, if one does.
    pub(super) host: Option<ReaderIndex>,
    /// The registers of LoRa, and those that LoRa shares with FSK.
    registers: [u8; REGISTERS],
    /// The registers of FSK that lie at the same addresses: plain memory, as this chip never sends or hears FSK.
    fsk: [u8; REGISTERS],
    fifo: Fifo,
    /// Counts each entering of a mode, so that what was planned for an earlier stay finds that it is over.
    pub(super) entry: u64,
    /// A mode was entered by the last access; the world has to act on it.
    entered: Option<Mode>,
    /// The modem's settings, latched when a mode was entered.
    pub(super) tuning: Option<Tuning>,
    pub(super) reception: Option<Reception>,
    /// Where the next packet goes.
    write_at: u8,
    /// RESET is held low.
    held: bool,
    /// The chip does not answer before.
    deaf_until_ns: u64,
}

impl ChipState {
    pub(super) fn new(options: ChipOptions) -> Self {
        Self {
            ledger: Ledger::new(options.verdicts),
            options,
            faults: Faults::default(),
            line: Line::default(),
            host: None,
            registers: registers::after_reset(),
            fsk: registers::fsk_after_reset(),
            fifo: Fifo::default(),
            entry: 0,
            entered: None,
            tuning: None,
            reception: None,
            write_at: 0,
            held: false,
            deaf_until_ns: 0,
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

    /// Sets flags that are not masked: register 0x11 keeps a flag from being set in 0x12.
    pub(super) fn raise(&mut self, flags: u8) {
        let mask = self.register(Register::IrqFlagsMask);
        self.set_register(Register::IrqFlags, self.register(Register::IrqFlags) | (flags & !mask));
    }

    /// DIO0 as the chip drives it (table 18).
    fn dio0(&self) -> bool {
        let flag = match self.register(Register::DioMapping1) >> 6 {
            0 => irq::RX_DONE,
            1 => irq::TX_DONE,
            2 => irq::CAD_DONE,
            _ => 0,
        };
        self.is_lora() && self.register(Register::IrqFlags) & flag != 0
    }

    /// Brings the line to where flags and mapping put it now. To be called after all that may change them.
    pub(super) fn settle_line(&mut self) {
        let driven = self.dio0();
        self.line.drive(driven, &self.faults);
    }

    /// The payload that a transmission would send now.
    pub(super) fn payload_to_send(&self) -> Vec<u8> {
        let base = self.register(Register::FifoTxBaseAddr);
        (0..self.register(Register::PayloadLength)).map(|offset| self.fifo.peek(base.wrapping_add(offset))).collect()
    }

    /// Everything is as after power-up, and the chip answers from then on.
    pub(super) fn reset(&mut self, answers_from_ns: u64) {
        self.registers = registers::after_reset();
        self.fsk = registers::fsk_after_reset();
        self.fifo.wipe(&mut self.ledger);
        self.entry += 1;
        self.entered = Some(Mode::Standby);
        self.deaf_until_ns = answers_from_ns;
    }

    /// RESET goes low or is let go.
    pub(super) fn hold(&mut self, low: bool, now_ns: u64) {
        if low || self.held {
            self.reset(now_ns + RESET_NS);
        }
        self.held = low;
    }

    fn answers(&self, now_ns: u64) -> bool {
        !self.held && now_ns >= self.deaf_until_ns
    }
}
