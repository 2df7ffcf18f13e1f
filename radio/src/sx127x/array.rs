//! A chip that is nothing but memory, for the tests of this module: no modem, no air, no time. What a register holds
//! is what was written to it last, unless a test says otherwise.

use std::convert::Infallible;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;

use tokio::sync::{mpsc, watch};

use super::convert::IrqFlags;
use super::owner::{Owner, Stop};
use super::register::{CRC_ON_PAYLOAD, Register, VERSION, op_mode};
use super::setup::{Chip, Wired};
use super::transmit::Allowance;
use super::{Settings, WAITING_PACKETS};
use crate::board::{Board, BoardError, EdgeLine, LineError, Wake, Wiring};
use crate::lora::Modulation;
use crate::{Counters, Packet, Reporting};

/// The memory, the lines and the clock, all in one handle.
#[derive(Debug, Clone, Default)]
pub(super) struct ArrayChip(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) registers: [u8; 128],
    pub(super) fifo: [u8; 256],
    /// What every read gives, where it is not what is held.
    pub(super) reads_only: Option<u8>,
    /// A register that takes no write.
    pub(super) frozen: Option<Register>,
    /// What registers turn to once a burst was read that begins at this one; one after the other.
    pub(super) after_bursts: Vec<(Register, Vec<(Register, u8)>)>,
    /// For so long after a change of mode the chip still names standby.
    pub(super) mode_lags_ms: u64,
    mode_shows_at_ms: u64,
    /// RESET was left low: nothing is driven until it rises.
    pub(super) held_in_reset: bool,
    /// Frames of chip select so far.
    pub(super) frames: u32,
    pub(super) waited_ms: u64,
    /// How waits for an edge end, the next one last; then with a time-out.
    pub(super) wakes: Vec<Wake>,
}

impl Default for State {
    fn default() -> Self {
        let mut registers = [0; 128];
        // Out of a reset: standby of FSK's modem.
        registers[usize::from(Register::OpMode.address())] = 0x09;
        registers[usize::from(Register::Version.address())] = VERSION;
        registers[usize::from(Register::ModemConfig1.address())] = 0x72;
        registers[usize::from(Register::ModemConfig2.address())] = 0x70;
        Self {
            registers,
            fifo: [0; 256],
            reads_only: None,
            frozen: None,
            after_bursts: Vec::new(),
            mode_lags_ms: 0,
            mode_shows_at_ms: 0,
            held_in_reset: false,
            frames: 0,
            waited_ms: 0,
            wakes: Vec::new(),
        }
    }
}

impl ArrayChip {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn holds(&self, register: Register) -> u8 {
        self.state().registers[usize::from(register.address())]
    }

    pub(super) fn set(&self, register: Register, value: u8) {
        self.state().registers[usize::from(register.address())] = value;
    }
}

impl State {
    fn at(&mut self, address: u8) -> &mut u8 {
        const FIFO: u8 = Register::Fifo.address();
        if address == FIFO {
            let pointer = &mut self.registers[usize::from(Register::FifoAddrPtr.address())];
            let place = usize::from(*pointer);
            *pointer = pointer.wrapping_add(1);
            return &mut self.fifo[place];
        }
        &mut self.registers[usize::from(address)]
    }

    fn write(&mut self, address: u8, value: u8) {
        let is_frozen = self.frozen.is_some_and(|frozen| frozen.address() == address);
        let is_flags = address == Register::IrqFlags.address();
        let mut value = value;
        if address == Register::OpMode.address() {
            self.mode_shows_at_ms = self.waited_ms + self.mode_lags_ms;
            value = modem_taken(*self.at(address), value);
        }
        match self.at(address) {
            _ if is_frozen => {}
            // Ones clear.
            flags if is_flags => *flags &= !value,
            register => *register = value,
        }
    }
}

/// The strictest of what is said and was seen of chips: the modem changes only in sleep, and only to go on sleeping.
fn modem_taken(before: u8, written: u8) -> u8 {
    const MODE: u8 = 0x07;
    let may_change = before & MODE == 0 && written & MODE == 0;
    if may_change { written } else { (written & !op_mode::LONG_RANGE) | (before & op_mode::LONG_RANGE) }
}

impl Transfer<u8> for ArrayChip {
    type Error = Infallible;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], Infallible> {
        let mut state = self.state();
        state.frames += 1;
        let mut address = words[0];
        let only = if state.held_in_reset { Some(0) } else { state.reads_only };
        for word in &mut words[1..] {
            *word = only.unwrap_or(*state.at(address));
            if address == Register::OpMode.address() && state.waited_ms < state.mode_shows_at_ms {
                *word = 0x81;
            }
            address += u8::from(address != 0);
        }
        if state.after_bursts.first().is_some_and(|(first, _)| first.address() == words[0]) {
            for (register, value) in state.after_bursts.remove(0).1 {
                *state.at(register.address()) = value;
            }
        }
        Ok(words)
    }
}

impl Write<u8> for ArrayChip {
    type Error = Infallible;

    fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        let mut state = self.state();
        state.frames += 1;
        let mut address = words[0] & 0x7F;
        for &word in &words[1..] {
            state.write(address, word);
            address += u8::from(address != 0);
        }
        Ok(())
    }
}

impl OutputPin for ArrayChip {
    type Error = Infallible;

    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.state().held_in_reset = false;
        Ok(())
    }
}

impl DelayMs<u8> for ArrayChip {
    fn delay_ms(&mut self, ms: u8) {
        self.state().waited_ms += u64::from(ms);
    }
}

impl EdgeLine for ArrayChip {
    fn wait(&mut self, _: Duration) -> Result<Wake, LineError> {
        Ok(self.state().wakes.pop().unwrap_or(Wake::TimedOut))
    }
}

impl Board for ArrayChip {
    type Bus = Self;
    type BusError = Infallible;
    type Reset = Self;
    type Dio0 = Self;
    type Delay = Self;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        Ok(Wiring { bus: self.clone(), reset: self.clone(), dio0: self.clone(), delay: self.clone() })
    }
}

/// A chip that was set up and listens, and both ends of its owner.
pub(super) struct Bench {
    pub(super) array: ArrayChip,
    pub(super) chip: Chip<ArrayChip>,
    pub(super) owner: Owner,
    pub(super) packets: mpsc::Receiver<Packet>,
}

pub(super) fn bench() -> Bench {
    let array = ArrayChip::default();
    let wired = Wired::from(array.clone().connect().unwrap());
    let chip = Chip::set_up(wired, &Settings { modulation: Modulation::default(), transmit: None }).ok().unwrap();
    let (packets_in, packets) = mpsc::channel(WAITING_PACKETS);
    let owner = Owner {
        packets: packets_in,
        orders: sync_channel(1).1,
        allowance: Allowance::new(None),
        counters: Counters::default(),
        health: Reporting::default(),
        faults: watch::channel(None).0,
        stop: Stop::default(),
    };
    Bench { array, chip, owner, packets }
}

/// A good packet of three bytes that begins two bytes before the end of the FIFO.
pub(super) fn put_packet(array: &ArrayChip) {
    let mut state = array.state();
    [state.fifo[254], state.fifo[255], state.fifo[0]] = [1, 2, 3];
    drop(state);
    array.set(Register::FifoRxCurrentAddr, 254);
    array.set(Register::RxNbBytes, 3);
    array.set(Register::HopChannel, CRC_ON_PAYLOAD);
    array.set(Register::PktSnrValue, 0xEC);
    array.set(Register::PktRssiValue, 57);
    array.set(Register::FeiMid, 0x27);
    array.set(Register::FeiLsb, 0x10);
    array.set(Register::IrqFlags, IrqFlags::RX_DONE);
}
