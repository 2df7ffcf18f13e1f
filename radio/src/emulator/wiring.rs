//! A chip as its host sees it: a bus, two lines and a clock, of embedded-hal 0.2 and 1.0.

use std::convert::Infallible;
use std::time::Duration;

use embedded_hal::spi::Operation;
use embedded_hal_02::blocking::{delay, spi};
use embedded_hal_02::digital::v2;

use super::air::{Air, nanoseconds};
use super::board::{Board02, Board10};
use super::chip::{ChipIndex, Frame};
use super::fault::Faults;
use super::ledger::{Tally, Verdict};
use super::registers::Register;
use super::world::World;
use crate::board::{EdgeLine, LineError, Wake};

/// The bus runs at 8 MHz: a byte takes 1 us.
const BYTE_NS: u64 = 1_000;
/// Chip select and the call into the kernel, as a Raspberry Pi needs for each transfer.
const FRAME_NS: u64 = 10_000;

/// A handle on one chip; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Chip {
    air: Air,
    index: ChipIndex,
}

impl Chip {
    pub(super) fn new(air: Air, index: ChipIndex) -> Self {
        Self { air, index }
    }

    pub(super) fn index(&self) -> ChipIndex {
        self.index
    }

    /// The air it is on.
    pub fn air(&self) -> &Air {
        &self.air
    }

    /// The bus, as embedded-hal 0.2 sees it. Each call is one frame of chip select.
    pub fn spi02(&self) -> Spi02 {
        Spi02(self.clone())
    }

    /// The bus, as embedded-hal 1.0 sees it. Each transaction is one frame of chip select.
    pub fn spi10(&self) -> Spi10 {
        Spi10(self.clone())
    }

    /// The line RESET, of both.
    pub fn reset(&self) -> Reset {
        Reset(self.clone())
    }

    /// The line DIO0, requested anew: edges from before are not seen.
    pub fn dio0(&self) -> Dio0 {
        while self.air.world().chip(self.index).line.take_edge() {}
        Dio0(self.clone())
    }

    /// A clock of both; waiting on it lets time pass on the air.
    pub fn delay(&self) -> EmulatedDelay {
        EmulatedDelay(self.clone())
    }

    /// All of that as a board of embedded-hal 0.2.
    pub fn board(&self) -> Board02 {
        Board02::new(self.clone())
    }

    /// All of that as a board of embedded-hal 1.0.
    pub fn board10(&self) -> Board10 {
        Board10::new(self.clone())
    }

    /// Switches faults on and off: these are all that hold from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.air.change(|world| {
            let seed = self.air.seed();
            let chip = world.chip(self.index);
            chip.faults = faults;
            chip.line.restart_faults(seed);
            world.settle(self.index);
        });
    }

    /// A reset that nobody asked for.
    pub fn reset_by_itself(&self) {
        self.air.change(|world| {
            let now_ns = world.now_ns();
            world.chip(self.index).reset(now_ns);
            world.settle(self.index);
        });
    }

    /// Power fails for so long on the air's clock: the chip does not answer, and is as after a reset when it does.
    pub fn brown_out(&self, duration: Duration) {
        self.air.change(|world| {
            let back_ns = world.now_ns() + nanoseconds(duration);
            world.chip(self.index).reset(back_ns);
            world.settle(self.index);
        });
    }

    /// Whether DIO0 is high, as the host would measure it.
    pub fn dio0_is_high(&self) -> bool {
        self.air.world().chip(self.index).line.is_high()
    }

    /// What stands in a register of LoRa, without a transfer and without time passing.
    pub fn register(&self, register: Register) -> u8 {
        self.air.world().chip(self.index).register(register)
    }

    /// What became of each transmission here, in the order in which they came, as far as they are kept.
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.air.world().chip(self.index).ledger.verdicts()
    }

    /// Takes verdicts out of the ledger, oldest first, up to the first one that may still change. The tally keeps them.
    pub fn take_final_verdicts(&self) -> Vec<Verdict> {
        self.air.world().chip(self.index).ledger.take_final()
    }

    /// How many transmissions met each fate here.
    pub fn tally(&self) -> Tally {
        self.air.world().chip(self.index).ledger.tally()
    }

    /// One frame: `bytes` go through `exchange` one by one while chip select is low.
    fn frame(
        &self,
        first: u8,
        bytes: usize,
        exchange: impl FnOnce(&mut World, ChipIndex, &mut Frame),
    ) -> Result<(), BusDown> {
        let takes = Duration::from_nanos(FRAME_NS + BYTE_NS * bytes as u64);
        self.air.advance(takes, |world| {
            if world.chip(self.index).faults.failing_bus {
                return Err(BusDown);
            }
            world.look(self.index, first, bytes);
            exchange(world, self.index, &mut Frame::default());
            world.settle(self.index);
            Ok(())
        })
    }
}

/// The system refused a transfer: its device is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the emulated bus refuses the transfer, as it was told to")]
pub struct BusDown;

impl embedded_hal::spi::Error for BusDown {
    fn kind(&self) -> embedded_hal::spi::ErrorKind {
        embedded_hal::spi::ErrorKind::Other
    }
}

/// The bus of a chip, of embedded-hal 0.2.
#[derive(Debug, Clone)]
pub struct Spi02(Chip);

impl spi::Transfer<u8> for Spi02 {
    type Error = BusDown;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDown> {
        let first = words.first().copied().unwrap_or(0);
        self.0.frame(first, words.len(), |world, chip, frame| {
            let now_ns = world.now_ns();
            for word in words.iter_mut() {
                *word = frame.exchange(world.chip(chip), *word, now_ns);
            }
        })?;
        Ok(words)
    }
}

impl spi::Write<u8> for Spi02 {
    type Error = BusDown;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDown> {
        let first = words.first().copied().unwrap_or(0);
        self.0.frame(first, words.len(), |world, chip, frame| {
            let now_ns = world.now_ns();
            for word in words {
                frame.exchange(world.chip(chip), *word, now_ns);
            }
        })
    }
}

/// The bus of a chip, of embedded-hal 1.0.
#[derive(Debug, Clone)]
pub struct Spi10(Chip);

impl embedded_hal::spi::ErrorType for Spi10 {
    type Error = BusDown;
}

impl embedded_hal::spi::SpiDevice for Spi10 {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), BusDown> {
        let (first, bytes, pauses) = extent(operations);
        self.0.air.advance(pauses, |_| ());
        self.0.frame(first, bytes, |world, chip, frame| {
            let now_ns = world.now_ns();
            let mut exchange = |byte| frame.exchange(world.chip(chip), byte, now_ns);
            for operation in operations {
                carry_out(operation, &mut exchange);
            }
        })
    }
}

/// The first byte that goes out, how many there are, and how long the pauses between them are.
fn extent(operations: &[Operation<'_, u8>]) -> (u8, usize, Duration) {
    let (mut first, mut bytes, mut pauses) = (None, 0, Duration::ZERO);
    for operation in operations {
        let (out, length) = match operation {
            Operation::Read(words) => (None, words.len()),
            Operation::Write(words) => (words.first(), words.len()),
            Operation::Transfer(read, write) => (write.first(), read.len().max(write.len())),
            Operation::TransferInPlace(words) => (words.first(), words.len()),
            Operation::DelayNs(ns) => {
                pauses += Duration::from_nanos(u64::from(*ns));
                continue;
            }
        };
        if bytes == 0 && length > 0 {
            first = out.copied();
        }
        bytes += length;
    }
    (first.unwrap_or(0), bytes, pauses)
}

fn carry_out(operation: &mut Operation<'_, u8>, mut exchange: impl FnMut(u8) -> u8) {
    match operation {
        Operation::Read(words) => words.iter_mut().for_each(|word| *word = exchange(0)),
        Operation::Write(words) => words.iter().for_each(|word| _ = exchange(*word)),
        Operation::TransferInPlace(words) => words.iter_mut().for_each(|word| *word = exchange(*word)),
        Operation::Transfer(read, write) => {
            for place in 0..read.len().max(write.len()) {
                let back = exchange(write.get(place).copied().unwrap_or(0));
                if let Some(word) = read.get_mut(place) {
                    *word = back;
                }
            }
        }
        Operation::DelayNs(_) => {}
    }
}

/// The line RESET of a chip: low is reset.
#[derive(Debug, Clone)]
pub struct Reset(Chip);

impl Reset {
    fn drive(&self, low: bool) {
        self.0.air.change(|world| {
            let now_ns = world.now_ns();
            world.chip(self.0.index).hold(low, now_ns);
            world.settle(self.0.index);
        });
    }
}

impl v2::OutputPin for Reset {
    type Error = Infallible;

    fn set_low(&mut self) -> Result<(), Infallible> {
        self.drive(true);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.drive(false);
        Ok(())
    }
}

impl embedded_hal::digital::ErrorType for Reset {
    type Error = Infallible;
}

impl embedded_hal::digital::OutputPin for Reset {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.drive(true);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.drive(false);
        Ok(())
    }
}

/// The line DIO0 of a chip. Whoever has waited for it once is waited for by the air until this is dropped.
#[derive(Debug)]
pub struct Dio0(Chip);

impl Drop for Dio0 {
    fn drop(&mut self) {
        self.0.air.change(|world| world.forget_driver(self.0.index));
    }
}

impl EdgeLine for Dio0 {
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        Ok(self.0.air.wait_for_edge(self.0.index, at_most))
    }
}

/// The clock of a chip's board: a delay lets time pass on the air.
#[derive(Debug, Clone)]
pub struct EmulatedDelay(Chip);

impl delay::DelayMs<u8> for EmulatedDelay {
    fn delay_ms(&mut self, ms: u8) {
        self.0.air.pass(Duration::from_millis(u64::from(ms)));
    }
}

impl embedded_hal::delay::DelayNs for EmulatedDelay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.air.pass(Duration::from_nanos(u64::from(ns)));
    }
}
