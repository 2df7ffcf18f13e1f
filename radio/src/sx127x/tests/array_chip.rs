//! A chip that is only memory, for the tests of this module: no modem, no air, no time. A register holds the last value
//! written to it, unless a test changes it.

use crate::board::{Board, BoardError, EdgeLine, LineError, Wake, Wiring};
use crate::lora::Modulation;
use crate::sx127x::convert::IrqFlags;
use crate::sx127x::link::{RadioLink, Shutdown};
use crate::sx127x::notes::Notes;
use crate::sx127x::register::{CRC_ON_PAYLOAD, Register, VERSION, op_mode};
use crate::sx127x::setup::{Chip, SharedWiring};
use crate::sx127x::transmitter::Allowance;
use crate::sx127x::{MAX_QUEUED_PACKETS, Settings};
use crate::{Counters, HealthReporter, Packet};
use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;
use std::convert::Infallible;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Memory, lines and clock in one handle.
#[derive(Clone, Debug, Default)]
pub(in crate::sx127x) struct ArrayChip(Arc<Mutex<State>>);

#[derive(Debug)]
pub(in crate::sx127x) struct State {
    pub(in crate::sx127x) registers: [u8; 128],
    pub(in crate::sx127x) fifo: [u8; 256],
    /// If set, every read returns this byte instead of the memory.
    pub(in crate::sx127x) reads_only: Option<u8>,
    /// A register that ignores writes.
    pub(in crate::sx127x) frozen: Option<Register>,
    /// Changes of registers. Each applies after the next burst that starts at its register; they apply in order.
    pub(in crate::sx127x) after_bursts: Vec<(Register, Vec<(Register, u8)>)>,
    /// Time for which the chip still reports standby after a change of mode.
    pub(in crate::sx127x) mode_lag_ms: u64,
    mode_shows_at_ms: u64,
    /// RESET was left low: nothing is driven until it rises.
    pub(in crate::sx127x) held_in_reset: bool,
    /// Number of chip-select frames so far.
    pub(in crate::sx127x) frames: u32,
    pub(in crate::sx127x) waited_ms: u64,
    /// Results of waits for an edge, the next one last. When empty, waits time out.
    pub(in crate::sx127x) wakes: Vec<Wake>,
}

impl Default for State {
    fn default() -> Self {
        let mut registers = [0; 128];
        // The reset state: FSK standby.
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
            mode_lag_ms: 0,
            mode_shows_at_ms: 0,
            held_in_reset: false,
            frames: 0,
            waited_ms: 0,
            wakes: Vec::new(),
        }
    }
}

impl ArrayChip {
    pub(in crate::sx127x) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(in crate::sx127x) fn holds(&self, register: Register) -> u8 {
        self.state().registers[usize::from(register.address())]
    }

    pub(in crate::sx127x) fn set(&self, register: Register, value: u8) {
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
            self.mode_shows_at_ms = self.waited_ms + self.mode_lag_ms;
            value = accepted_mode(*self.at(address), value);
        }
        match self.at(address) {
            _ if is_frozen => {}
            // Writing ones clears flags.
            flags if is_flags => *flags &= !value,
            register => *register = value,
        }
    }
}

/// Returns the mode that the chip accepts, by the strictest reading of data sheet and observations: the modem changes
/// only in sleep mode, and only if the chip stays asleep.
fn accepted_mode(before: u8, written: u8) -> u8 {
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

/// A listening chip, and both ends of its link.
pub(in crate::sx127x) struct Bench {
    pub(in crate::sx127x) array: ArrayChip,
    pub(in crate::sx127x) chip: Chip<ArrayChip>,
    pub(in crate::sx127x) link: RadioLink,
    pub(in crate::sx127x) packets: mpsc::Receiver<Packet>,
}

pub(in crate::sx127x) fn bench() -> Bench {
    let array = ArrayChip::default();
    let wiring = SharedWiring::from(array.clone().connect().unwrap());
    let settings = Settings::listening(Modulation::default());
    let chip = Chip::set_up(wiring, &settings).ok().unwrap();
    let (packet_sender, packets) = mpsc::channel(MAX_QUEUED_PACKETS);
    let link = RadioLink {
        packets: packet_sender,
        requests: sync_channel(1).1,
        allowance: Allowance::new(None),
        counters: Counters::default(),
        health: HealthReporter::default(),
        errors: watch::channel(None).0,
        shutdown: Shutdown::default(),
        notes: Notes::new(&settings),
    };
    Bench { array, chip, link, packets }
}

/// Puts a good packet of three bytes into the chip. It starts two bytes before the end of the FIFO.
pub(in crate::sx127x) fn put_packet(array: &ArrayChip) {
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
