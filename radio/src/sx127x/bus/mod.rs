//! SPI access to the chip, shared by the upstream driver and our own register port.
//!
//! The upstream driver owns its bus, its RESET line and its clock, and keeps its registers private. So each of the
//! three is a [`SharedPart`]: one clone goes to the upstream driver, one stays here. Both run on the chip's thread, one
//! after the other. The lock exists for the type system and is never contended.

use super::register::{Register, op_mode};
use crate::lora::SpreadingFactor;
use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bit of the address byte that marks a write.
const WRITE: u8 = 0x80;
/// Longest burst: the address and 255 bytes, the longest payload.
const FRAME_BYTES: usize = 256;

/// A part of the board with two users.
#[derive(Debug)]
pub(super) struct SharedPart<T>(Arc<Mutex<T>>);

impl<T> SharedPart<T> {
    pub(super) fn new(part: T) -> Self {
        Self(Arc::new(Mutex::new(part)))
    }

    /// Locks the part. A poisoned lock is ignored, because the part holds no state of ours.
    fn part(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Not derived, because a derive would require `T: Clone`.
impl<T> Clone for SharedPart<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: OutputPin> OutputPin for SharedPart<T> {
    type Error = T::Error;

    fn set_low(&mut self) -> Result<(), T::Error> {
        self.part().set_low()
    }

    fn set_high(&mut self) -> Result<(), T::Error> {
        self.part().set_high()
    }
}

impl<T: DelayMs<u8>> DelayMs<u8> for SharedPart<T> {
    fn delay_ms(&mut self, ms: u8) {
        self.part().delay_ms(ms);
    }
}

/// Why a transfer returned nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BusError {
    /// The system could not transfer the bytes.
    #[error("{0}")]
    Failed(String),
    /// Nothing drives MISO.
    #[error("every byte reads {0:#04x}")]
    Dead(u8),
    /// A register returned a value that it cannot hold.
    #[error("register {register:#04x} reads {found:#04x}")]
    Garbled { register: u8, found: u8 },
}

fn failed(error: impl std::fmt::Debug) -> BusError {
    BusError::Failed(format!("{error:?}"))
}

/// Our access to the registers. Each call is one chip-select frame.
#[derive(Debug)]
pub(super) struct Port<S>(SharedPart<S>);

impl<S> Port<S> {
    pub(super) fn new(bus: SharedPart<S>) -> Self {
        Self(bus)
    }
}

impl<S, E> Port<S>
where
    S: Transfer<u8, Error = E> + Write<u8, Error = E>,
    E: std::fmt::Debug,
{
    pub(super) fn read(&mut self, register: Register) -> Result<u8, BusError> {
        let [value] = self.read_from(register)?;
        Ok(value)
    }

    /// Reads consecutive registers in one burst, starting at `first`. A burst at [`Register::Fifo`] reads consecutive
    /// bytes of the FIFO instead (data sheet, section 2.2).
    pub(super) fn read_from<const N: usize>(&mut self, first: Register) -> Result<[u8; N], BusError> {
        let mut values = [0; N];
        self.read_into(first, &mut values)?;
        Ok(values)
    }

    /// Reads a burst into `values`, which holds at most 255 bytes.
    pub(super) fn read_into(&mut self, first: Register, values: &mut [u8]) -> Result<(), BusError> {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = first.address();
        let frame = &mut frame[..=values.len()];
        let answer = self.0.part().transfer(frame).map_err(failed)?;
        values.copy_from_slice(&answer[1..]);
        Ok(())
    }

    pub(super) fn write(&mut self, register: Register, value: u8) -> Result<(), BusError> {
        self.write_from(register, &[value])
    }

    /// Writes consecutive registers in one burst, starting at `first`, or consecutive bytes of the FIFO. At most 255
    /// bytes.
    pub(super) fn write_from(&mut self, first: Register, values: &[u8]) -> Result<(), BusError> {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = first.address() | WRITE;
        let frame = &mut frame[..=values.len()];
        frame[1..].copy_from_slice(values);
        self.0.part().write(frame).map_err(failed)
    }

    /// Writes the bits of `mask` and keeps the others.
    pub(super) fn change(&mut self, register: Register, mask: u8, value: u8) -> Result<(), BusError> {
        let before = self.read(register)?;
        self.write(register, (before & !mask) | (value & mask))
    }
}

/// The bus for the upstream driver. Values that would make that driver panic or loop become errors.
///
/// The upstream driver divides by the bandwidth and spreading factor that it reads, and accepts 0xFF as a mode. A
/// module can be unplugged between any two transfers, so a check before the call is not enough.
///
/// The driver also selects LoRa mode in standby, but the modem may change only in sleep mode (data sheet, table 85,
/// `RegOpMode`). So this bus puts the chip to sleep first.
#[derive(Debug)]
pub(super) struct GuardedBus<S> {
    bus: SharedPart<S>,
    /// True once the LoRa registers are visible. After a reset the FSK registers are, and the same addresses may hold
    /// anything.
    is_lora: bool,
}

impl<S> GuardedBus<S> {
    pub(super) fn new(bus: SharedPart<S>) -> Self {
        Self { bus, is_lora: false }
    }
}

impl<S> Transfer<u8> for GuardedBus<S>
where
    S: Transfer<u8>,
    S::Error: std::fmt::Debug,
{
    type Error = BusError;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusError> {
        let register = words.first().copied();
        let answer = self.bus.part().transfer(words).map_err(failed)?;
        if let (Some(register), Some(&found)) = (register, answer.get(1)) {
            refuse_impossible(register, found, self.is_lora)?;
        }
        Ok(answer)
    }
}

impl<S> Write<u8> for GuardedBus<S>
where
    S: Write<u8>,
    S::Error: std::fmt::Debug,
{
    type Error = BusError;

    fn write(&mut self, words: &[u8]) -> Result<(), BusError> {
        if let [address, mode] = *words
            && address == WRITE | Register::OpMode.address()
        {
            let enters_lora = mode & op_mode::LONG_RANGE != 0 && !self.is_lora;
            if enters_lora {
                self.bus.part().write(&[address, op_mode::FSK_SLEEP]).map_err(failed)?;
            }
            self.is_lora = mode & op_mode::LONG_RANGE != 0;
        }
        self.bus.part().write(words).map_err(failed)
    }
}

/// Rejects values that a register cannot hold. No register that the upstream driver reads is ever 0xFF. In LoRa mode,
/// bandwidth, coding rate and spreading factor have gaps (data sheet, table 85, `RegModemConfig1` and `2`).
fn refuse_impossible(register: u8, found: u8, is_lora: bool) -> Result<(), BusError> {
    const MODEM_CONFIG_1: u8 = Register::ModemConfig1.address();
    const MODEM_CONFIG_2: u8 = Register::ModemConfig2.address();
    let possible = match register {
        MODEM_CONFIG_1 | MODEM_CONFIG_2 if !is_lora => true,
        _ if found == 0xFF => return Err(BusError::Dead(found)),
        MODEM_CONFIG_1 => found >> 4 <= 9 && (1..=4).contains(&(found >> 1 & 7)),
        MODEM_CONFIG_2 => (6..=SpreadingFactor::SF12.get()).contains(&(found >> 4)),
        _ => true,
    };
    if possible { Ok(()) } else { Err(BusError::Garbled { register, found }) }
}

/// A chip-select pin for the upstream driver that does nothing: the kernel drives the real one around each transfer.
#[derive(Debug)]
pub(super) struct NoChipSelect;

impl OutputPin for NoChipSelect {
    type Error = std::convert::Infallible;

    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
