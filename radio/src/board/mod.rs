//! What a chip hangs on: a bus, two lines and a clock. The seam between the driver and any board, real or emulated.
//!
//! The named driver speaks embedded-hal 0.2; this seam does too, and [`hal`] brings boards that speak 1.0 to it.

mod error;
pub mod hal;
mod lines;
mod linux;
mod rppal;

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;
use std::path::PathBuf;
use std::time::Duration;

pub use self::error::{BoardError, LineError, ResetError};
pub use self::lines::{Dio0Line, ResetLine};
pub use self::linux::Linux;
pub use self::rppal::{Rppal, RppalDio0, RppalReset};

/// Where a chip hangs on a real board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// The SPI device, such as `/dev/spidev0.0`.
    pub spi: PathBuf,
    /// Clock of the bus in Hz.
    pub spi_hz: u32,
    /// The GPIO chip, such as `/dev/gpiochip0`.
    pub gpio_chip: PathBuf,
    /// The line on that chip that is wired to RESET.
    pub reset_line: u32,
    /// The line on that chip that is wired to DIO0.
    pub dio0_line: u32,
}

/// Something that can connect to its chip, again and again: after a failure everything is opened anew.
pub trait Board: Send + 'static {
    /// The bus; each call is one frame of chip select.
    type Bus: Transfer<u8, Error = Self::BusError> + Write<u8, Error = Self::BusError> + Send;
    /// What the bus says when it fails.
    type BusError: std::fmt::Debug + Send;
    /// The line that resets the chip: low is reset.
    type Reset: OutputPin + Send;
    /// The line on which the chip says that it has something.
    type Dio0: EdgeLine;
    /// The clock that waits are made on. An emulated chip has its own.
    type Delay: DelayMs<u8> + Send;

    /// Opens bus and lines. Nothing has been said to the chip yet.
    fn connect(&mut self) -> Result<Wiring<Self>, BoardError>;
}

/// What [`Board::connect`] gives.
#[derive(Debug)]
pub struct Wiring<B: Board + ?Sized> {
    /// SPI, mode 0, with the kernel driving chip select.
    pub bus: B::Bus,
    /// RESET.
    pub reset: B::Reset,
    /// DIO0.
    pub dio0: B::Dio0,
    /// The clock.
    pub delay: B::Delay,
}

/// A line that is waited on for rising edges. An edge that came between two waits is not lost: the next wait returns
/// at once.
pub trait EdgeLine: Send {
    /// Waits for a rising edge, at most so long on the board's clock.
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError>;
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There was an edge.
    Edge,
    /// There was none in that time.
    TimedOut,
}

#[cfg(test)]
mod tests;
