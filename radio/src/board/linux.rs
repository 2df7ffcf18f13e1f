//! Any Linux board: spidev for the bus, the GPIO character device for the lines. The only file that names
//! linux-embedded-hal.
//!
//! Its SPI device uses embedded-hal 1.0 and is adapted by [`Hal02`]. Its GPIO uses an interface that kernels are about
//! to drop, so the lines come from `lines` instead.

use super::hal::Hal02;
use super::lines::{self, Dio0Line, ResetLine};
use super::{Board, BoardError, Pins, Wiring};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{Delay, SPIError, SpidevDevice};

const BITS_PER_WORD: u8 = 8;

/// A chip on a Linux board.
#[derive(Clone, Debug)]
pub struct Linux {
    pins: Pins,
}

impl Linux {
    /// Creates a board without opening it.
    pub fn new(pins: Pins) -> Self {
        Self { pins }
    }

    fn open_spi(&self) -> Result<SpidevDevice, BoardError> {
        let path = &self.pins.spi;
        let mut device = SpidevDevice::open(path).map_err(|error| BoardError::of_spi(path, to_io_error(&error)))?;
        let options = SpidevOptions {
            bits_per_word: Some(BITS_PER_WORD),
            max_speed_hz: Some(self.pins.spi_hz),
            lsb_first: Some(false),
            // The kernel drives chip select, low during a frame (SX1276 data sheet, section 2.2).
            spi_mode: Some(SpiModeFlags::SPI_MODE_0),
        };
        device.configure(&options).map_err(|error| BoardError::of_spi(path, error))?;
        Ok(device)
    }
}

impl Board for Linux {
    type Bus = Hal02<SpidevDevice>;
    type BusError = SPIError;
    type Reset = ResetLine;
    type Dio0 = Dio0Line;
    type Delay = Hal02<Delay>;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let bus = Hal02(self.open_spi()?);
        let (reset, dio0) = lines::take(&self.pins)?;
        Ok(Wiring { bus, reset, dio0, delay: Hal02(Delay) })
    }

    fn has_reset(&self) -> bool {
        self.pins.reset_line.is_some()
    }
}

/// Copies the system's error out of the library's error, which only lends it.
fn to_io_error(error: &SPIError) -> std::io::Error {
    match error.inner().raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => std::io::Error::new(error.inner().kind(), error.to_string()),
    }
}
