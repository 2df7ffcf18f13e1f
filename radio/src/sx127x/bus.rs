//! One bus, two who speak on it: the named driver and our own register port.
//!
//! The named driver owns its bus, its RESET line and its clock, and keeps its registers to itself. So each of the
//! three is [`Shared`]: one clone goes to the driver, one stays. Both live on the chip's own thread, one after the
//! other; the lock is there for the types and is never waited on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;

use super::register::{Register, op_mode};
use crate::lora::SpreadingFactor;

/// In the address byte: a write.
const WRITE: u8 = 0x80;
/// The longest burst: address and 255 bytes, as long as a payload can be.
const FRAME_BYTES: usize = 256;

/// A part of the board that two hold.
#[derive(Debug)]
pub(super) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(super) fn new(part: T) -> Self {
        Self(Arc::new(Mutex::new(part)))
    }

    /// A part that someone left in a panic is as good as before: it holds no state of ours.
    fn part(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Not derived: that would ask for a part that can be cloned.
impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: OutputPin> OutputPin for Shared<T> {
    type Error = T::Error;

    fn set_low(&mut self) -> Result<(), T::Error> {
        self.part().set_low()
    }

    fn set_high(&mut self) -> Result<(), T::Error> {
        self.part().set_high()
    }
}

impl<T: DelayMs<u8>> DelayMs<u8> for Shared<T> {
    fn delay_ms(&mut self, ms: u8) {
        self.part().delay_ms(ms);
    }
}

/// Why nothing sensible came over the bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BusFault {
    /// The system could not move the bytes.
    #[error("{0}")]
    Failed(String),
    /// Nothing drives the line that answers.
    #[error("every byte read is {0:#04x}")]
    Dead(u8),
    /// A value that this register never has.
    #[error("register {register:#04x} reads {found:#04x}")]
    Garbled { register: u8, found: u8 },
}

fn failed(error: impl std::fmt::Debug) -> BusFault {
    BusFault::Failed(format!("{error:?}"))
}

/// Our own way to the registers. Each call is one frame of chip select.
#[derive(Debug)]
pub(super) struct Port<S>(Shared<S>);

impl<S> Port<S> {
    pub(super) fn new(bus: Shared<S>) -> Self {
        Self(bus)
    }
}

impl<S, E> Port<S>
where
    S: Transfer<u8, Error = E> + Write<u8, Error = E>,
    E: std::fmt::Debug,
{
    pub(super) fn read(&mut self, register: Register) -> Result<u8, BusFault> {
        let [value] = self.read_from(register)?;
        Ok(value)
    }

    /// Reads registers in one burst, from `first` on; from [`Register::Fifo`] it reads on in the FIFO
    /// (data sheet, section 2.2).
    pub(super) fn read_from<const N: usize>(&mut self, first: Register) -> Result<[u8; N], BusFault> {
        let mut values = [0; N];
        self.read_into(first, &mut values)?;
        Ok(values)
    }

    /// The same for a length that is not known before. At most 255.
    pub(super) fn read_into(&mut self, first: Register, values: &mut [u8]) -> Result<(), BusFault> {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = first.address();
        let frame = &mut frame[..=values.len()];
        let answer = self.0.part().transfer(frame).map_err(failed)?;
        values.copy_from_slice(&answer[1..]);
        Ok(())
    }

    pub(super) fn write(&mut self, register: Register, value: u8) -> Result<(), BusFault> {
        self.write_from(register, &[value])
    }

    /// Writes registers in one burst, from `first` on; from [`Register::Fifo`] it writes on in the FIFO. At most 255.
    pub(super) fn write_from(&mut self, first: Register, values: &[u8]) -> Result<(), BusFault> {
        let mut frame = [0; FRAME_BYTES];
        frame[0] = first.address() | WRITE;
        let frame = &mut frame[..=values.len()];
        frame[1..].copy_from_slice(values);
        self.0.part().write(frame).map_err(failed)
    }

    /// Writes the bits of `mask` and leaves the others.
    pub(super) fn change(&mut self, register: Register, mask: u8, value: u8) -> Result<(), BusFault> {
        let before = self.read(register)?;
        self.write(register, (before & !mask) | (value & mask))
    }
}

/// The bus as the named driver gets it: what would make it panic or spin, it gets as an error.
///
/// It also asks for LoRa's modem in standby, where the data sheet lets the modem change in sleep only (table 85,
/// `RegOpMode`): so it is put to sleep before.
///
/// The driver divides by what it reads as bandwidth and spreading factor, and takes 0xFF for a mode. A module can be
/// pulled out between any two transfers, so a look ahead of the call is not enough.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    bus: Shared<S>,
    /// LoRa's registers are seen. After a reset they are those of FSK, where the same addresses may hold anything.
    is_lora: bool,
}

impl<S> Guarded<S> {
    pub(super) fn new(bus: Shared<S>) -> Self {
        Self { bus, is_lora: false }
    }
}

impl<S> Transfer<u8> for Guarded<S>
where
    S: Transfer<u8>,
    S::Error: std::fmt::Debug,
{
    type Error = BusFault;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusFault> {
        let asked = words.first().copied();
        let answer = self.bus.part().transfer(words).map_err(failed)?;
        if let (Some(register), Some(&found)) = (asked, answer.get(1)) {
            refuse_impossible(register, found, self.is_lora)?;
        }
        Ok(answer)
    }
}

impl<S> Write<u8> for Guarded<S>
where
    S: Write<u8>,
    S::Error: std::fmt::Debug,
{
    type Error = BusFault;

    fn write(&mut self, words: &[u8]) -> Result<(), BusFault> {
        if let [address, mode] = *words
            && address == WRITE | Register::OpMode.address()
        {
            let enters_lora = mode & op_mode::LONG_RANGE != 0 && !self.is_lora;
            if enters_lora {
                self.bus.part().write(&[address, op_mode::SLEEP_OF_FSK]).map_err(failed)?;
            }
            self.is_lora = mode & op_mode::LONG_RANGE != 0;
        }
        self.bus.part().write(words).map_err(failed)
    }
}

/// No register that the named driver reads is ever 0xFF; bandwidth, coding rate and spreading factor have gaps
/// (data sheet, table 85, `RegModemConfig1` and `2`), once the registers are LoRa's.
fn refuse_impossible(register: u8, found: u8, is_lora: bool) -> Result<(), BusFault> {
    const MODEM_CONFIG_1: u8 = Register::ModemConfig1.address();
    const MODEM_CONFIG_2: u8 = Register::ModemConfig2.address();
    let possible = match register {
        MODEM_CONFIG_1 | MODEM_CONFIG_2 if !is_lora => true,
        _ if found == 0xFF => return Err(BusFault::Dead(found)),
        MODEM_CONFIG_1 => found >> 4 <= 9 && (1..=4).contains(&(found >> 1 & 7)),
        MODEM_CONFIG_2 => (6..=SpreadingFactor::SF12.get()).contains(&(found >> 4)),
        _ => true,
    };
    if possible { Ok(()) } else { Err(BusFault::Garbled { register, found }) }
}

/// Chip select for the named driver: the system drives the real one around each transfer.
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
