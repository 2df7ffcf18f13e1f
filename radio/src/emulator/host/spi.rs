//! The bus of a chip, as embedded-hal 0.2 and 1.0 see it.

use super::chip::Chip;
use crate::emulator::chip::Frame;
use crate::emulator::ids::ChipIndex;
use crate::emulator::world::World;
use embedded_hal::spi::Operation;
use embedded_hal_02::blocking::spi;
use std::time::Duration;

/// Duration of a byte on the bus, which runs at 8 MHz.
const BYTE_NS: u64 = 1_000;
/// Overhead of each transfer on a Raspberry Pi: chip select and the system call.
const FRAME_NS: u64 = 10_000;

/// The system refused a transfer, because the device is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the emulated bus is down: the fault `failing_bus` is set")]
pub struct BusDownError;

impl embedded_hal::spi::Error for BusDownError {
    fn kind(&self) -> embedded_hal::spi::ErrorKind {
        embedded_hal::spi::ErrorKind::Other
    }
}

impl Chip {
    /// Returns the bus for embedded-hal 0.2. Each call is one chip-select frame.
    pub fn spi02(&self) -> Spi02 {
        Spi02(self.clone())
    }

    /// Returns the bus for embedded-hal 1.0. Each transaction is one chip-select frame.
    pub fn spi10(&self) -> Spi10 {
        Spi10(self.clone())
    }

    /// Carries out one frame: `exchange` sends its bytes one by one while chip select is low.
    fn frame(
        &self,
        first: u8,
        bytes: usize,
        exchange: impl FnOnce(&mut World, ChipIndex, &mut Frame),
    ) -> Result<(), BusDownError> {
        let duration = Duration::from_nanos(FRAME_NS + BYTE_NS * bytes as u64);
        self.air().advance(duration, |world| {
            if world.chip(self.index()).faults.failing_bus {
                return Err(BusDownError);
            }
            world.refresh(self.index(), first, bytes);
            exchange(world, self.index(), &mut Frame::default());
            world.settle(self.index());
            Ok(())
        })
    }
}

/// The bus of a chip, for embedded-hal 0.2.
#[derive(Clone, Debug)]
pub struct Spi02(Chip);

impl spi::Transfer<u8> for Spi02 {
    type Error = BusDownError;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDownError> {
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
    type Error = BusDownError;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDownError> {
        let first = words.first().copied().unwrap_or(0);
        self.0.frame(first, words.len(), |world, chip, frame| {
            let now_ns = world.now_ns();
            for word in words {
                frame.exchange(world.chip(chip), *word, now_ns);
            }
        })
    }
}

/// The bus of a chip, for embedded-hal 1.0.
#[derive(Clone, Debug)]
pub struct Spi10(Chip);

impl embedded_hal::spi::ErrorType for Spi10 {
    type Error = BusDownError;
}

impl embedded_hal::spi::SpiDevice for Spi10 {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), BusDownError> {
        let Extent { first, bytes, pauses } = Extent::of(operations);
        self.0.air().advance(pauses, |_| ());
        self.0.frame(first, bytes, |world, chip, frame| {
            let now_ns = world.now_ns();
            let mut exchange = |byte| frame.exchange(world.chip(chip), byte, now_ns);
            for operation in operations {
                carry_out(operation, &mut exchange);
            }
        })
    }
}

/// Extent of a transaction.
struct Extent {
    /// The first byte that goes out.
    first: u8,
    bytes: usize,
    /// Sum of the pauses between the operations.
    pauses: Duration,
}

impl Extent {
    fn of(operations: &[Operation<'_, u8>]) -> Self {
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
        Self { first: first.unwrap_or(0), bytes, pauses }
    }
}

fn carry_out(operation: &mut Operation<'_, u8>, mut exchange: impl FnMut(u8) -> u8) {
    match operation {
        Operation::Read(words) => words.iter_mut().for_each(|word| *word = exchange(0)),
        Operation::Write(words) => words.iter().for_each(|word| _ = exchange(*word)),
        Operation::TransferInPlace(words) => words.iter_mut().for_each(|word| *word = exchange(*word)),
        Operation::Transfer(read, write) => {
            for place in 0..read.len().max(write.len()) {
                let received = exchange(write.get(place).copied().unwrap_or(0));
                if let Some(word) = read.get_mut(place) {
                    *word = received;
                }
            }
        }
        Operation::DelayNs(_) => {}
    }
}
