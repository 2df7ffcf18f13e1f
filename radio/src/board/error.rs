//! What can be wrong with a board, told apart so that each says what to do.

use std::io;
use std::path::Path;

/// `ENOTTY`: a file that is open, and is no device of the kind that was asked for.
const NO_SUCH_REQUEST: i32 = 25;

/// A line could not be waited on.
#[derive(Debug, thiserror::Error)]
#[error("waiting for an edge of DIO0: {0}")]
pub struct LineError(pub String);

/// A line could not be driven.
#[derive(Debug, thiserror::Error)]
#[error("driving RESET: {0}")]
pub struct ResetError(pub String);

/// Why a board could not be connected. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// There is no such SPI device.
    #[error(
        "{path} is not there: SPI is not enabled; on a Raspberry Pi put `dtparam=spi=on` into config.txt on the boot partition (or `raspi-config nonint do_spi 0`) and start it again; where SPI is enabled, `ls /dev/spidev*` shows what `spi` can be"
    )]
    NoSpi {
        /// The device file.
        path: String,
    },
    /// Something is there, and it is no SPI device.
    #[error("{path} is no SPI device: `spi` must name one, such as /dev/spidev0.0 (`ls /dev/spidev*` shows them)")]
    NotSpi {
        /// The file.
        path: String,
    },
    /// The user may not open it.
    #[error(
        "{path} may not be opened: the user of this program must be in the group `{group}` (`usermod -aG {group} USER`, then start it again); if `ls -l {path}` shows another group, in that one"
    )]
    NoPermission {
        /// The device file.
        path: String,
        /// `spi` or `gpio`.
        group: &'static str,
    },
    /// There is no such GPIO chip.
    #[error(
        "{path} is not there: the kernel offers no GPIO chip of that name; `ls /dev/gpiochip*` shows what `gpio_chip` can be"
    )]
    NoGpioChip {
        /// The device file.
        path: String,
    },
    /// Something is there, and it is no GPIO chip.
    #[error("{path} is no GPIO chip: `gpio_chip` must name one, such as /dev/gpiochip0 (`gpioinfo` shows their lines)")]
    NotGpioChip {
        /// The file.
        path: String,
    },
    /// The chip has no such line.
    #[error("{what} cannot be on line {line} of {chip}, which has {lines} lines, counted from 0")]
    NoLine {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip.
        chip: String,
        /// The line that was set.
        line: u32,
        /// How many it has.
        lines: u32,
    },
    /// Somebody else holds the line.
    #[error(
        "line {line} of {chip} for {what} is held by {holder}: stop that, or wire {what} to another line and set it (docs/radios.md)"
    )]
    LineTaken {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip.
        chip: String,
        /// Its number there.
        line: u32,
        /// Who holds it, as far as the system tells.
        holder: String,
    },
    /// A line cannot be had, for another reason.
    #[error("line {line} of {chip} for {what} cannot be had: {reason}")]
    Line {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip.
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
        source: io::Error,
    },
}

impl BoardError {
    /// Why an SPI device could not be opened or set up.
    pub(crate) fn of_spi(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSpi { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path, group: "spi" },
            io::ErrorKind::IsADirectory => Self::NotSpi { path },
            _ if source.raw_os_error() == Some(NO_SUCH_REQUEST) => Self::NotSpi { path },
            _ => Self::System { doing: format!("opening {path} as an SPI device"), source },
        }
    }

    /// Why a GPIO chip could not be opened.
    pub(crate) fn of_gpio_chip(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoGpioChip { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path, group: "gpio" },
            io::ErrorKind::IsADirectory => Self::NotGpioChip { path },
            _ => Self::System { doing: format!("opening {path} as a GPIO chip"), source },
        }
    }
}
