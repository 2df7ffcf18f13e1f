//! Boards: the bus, the two lines and the clock of a chip. [`Board`] is the seam between the driver and any board, real
//! or emulated.
//!
//! The upstream driver uses embedded-hal 0.2, so this seam does too. [`hal`] adapts boards that use 1.0.
//!
//! RESET is only ever pulled low or released (SX1276 data sheet, section 7.2.2). Driving it high was rejected: modules
//! with a supervisor or a button on that pin would short the line.
//!
//! The default SPI clock is 2 MHz, although the chip supports 10 MHz. Jumper wires carry 2 MHz reliably, and a full
//! FIFO is read in 1 ms, while the next packet takes at least 12.9 ms at the fastest setting.

mod error;
pub mod hal;
mod lines;
mod linux;
mod rppal;

pub use self::error::{BoardError, LineError, ResetError};
pub use self::lines::{Dio0Line, HEADER_CHIP, ResetLine, find_gpio_chip};
pub use self::linux::Linux;
pub use self::rppal::{Rppal, RppalDio0, RppalReset};

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;
use std::path::PathBuf;
use std::time::Duration;

/// Device files and line numbers of a chip on a real board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// The SPI device, such as `/dev/spidev0.0`.
    pub spi: PathBuf,
    /// SPI clock in Hz.
    pub spi_hz: u32,
    /// The GPIO chip: its path, its label, or [`HEADER_CHIP`].
    pub gpio_chip: PathBuf,
    /// The line on that chip that is wired to RESET. `None` if the pin is not wired.
    pub reset_line: Option<u32>,
    /// The line on that chip that is wired to DIO0. `None` if the pin is not wired.
    pub dio0_line: Option<u32>,
}

impl Pins {
    /// Returns true if a line is wired, so that a GPIO chip is needed.
    pub fn has_lines(&self) -> bool {
        self.reset_line.is_some() || self.dio0_line.is_some()
    }
}

/// A board that can connect to its chip repeatedly. After a failure everything is opened again.
pub trait Board: Send + 'static {
    /// The bus. Each call is one chip-select frame.
    type Bus: Transfer<u8, Error = Self::BusError> + Write<u8, Error = Self::BusError> + Send;
    /// Error of the bus.
    type BusError: std::fmt::Debug + Send;
    /// The RESET line, active low and open-drain: driven low, or released.
    type Reset: OutputPin + Send;
    /// The DIO0 line, on which the chip signals a packet.
    type Dio0: EdgeLine;
    /// The clock for waits. An emulated chip has its own.
    type Delay: DelayMs<u8> + Send;

    /// Opens the bus and the lines, without talking to the chip.
    fn connect(&mut self) -> Result<Wiring<Self>, BoardError>;

    /// Returns false if RESET is not wired, so that the chip cannot be reset.
    fn has_reset(&self) -> bool {
        true
    }
}

/// The open parts of a board, from [`Board::connect`].
#[derive(Debug)]
pub struct Wiring<B: Board + ?Sized> {
    /// SPI in mode 0. The kernel drives chip select.
    pub bus: B::Bus,
    /// The RESET line.
    pub reset: B::Reset,
    /// The DIO0 line.
    pub dio0: B::Dio0,
    /// The clock for waits.
    pub delay: B::Delay,
}

/// A line with rising edges to wait for. An edge between two waits is not lost: the next wait returns at once.
pub trait EdgeLine: Send {
    /// Waits for a rising edge, for at most `at_most` on the board's clock.
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError>;

    /// Returns false if there is no such line, so that no edge can come.
    fn is_wired(&self) -> bool {
        true
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// An edge came.
    Edge,
    /// No edge came in time.
    TimedOut,
}

#[cfg(test)]
mod tests;
