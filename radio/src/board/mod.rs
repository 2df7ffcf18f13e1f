//! What a chip hangs on: a bus, two lines and a clock. The seam between the driver and any board, real or emulated.
//!
//! The named driver speaks embedded-hal 0.2; this seam does too, and [`hal`] brings boards that speak 1.0 to it.

pub mod hal;

use std::time::Duration;

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There was an edge.
    Edge,
    /// There was none in that time.
    TimedOut,
}

/// A line could not be waited on.
#[derive(Debug, thiserror::Error)]
#[error("waiting for an edge of DIO0: {0}")]
pub struct LineError(pub String);

/// Why a board could not be connected. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// There is no such SPI device.
    #[error(
        "{path} is not there: SPI is not enabled; on a Raspberry Pi put `dtparam=spi=on` into config.txt and start it again"
    )]
    NoSpi {
        /// The device file.
        path: String,
    },
    /// The user may not open it.
    #[error("{path} may not be opened: the user of this program must be in the group `{group}`")]
    NoPermission {
        /// The device file.
        path: String,
        /// `spi` or `gpio`.
        group: &'static str,
    },
    /// A line cannot be had: no such chip or line, or someone else holds it.
    #[error("line {line} of {chip} for {what} cannot be had: {reason}")]
    Line {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip's device file.
        chip: String,
        /// Its number there.
        line: u32,
        /// What the system said.
        reason: String,
    },
    /// Something else that the system said.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}
