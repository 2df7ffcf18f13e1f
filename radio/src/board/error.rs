//! Errors of boards. Each cause has its own error, and each message says what to do.

use std::io;
use std::path::Path;

/// `ENOTTY`: the open file is not a device of the expected kind.
const ENOTTY: i32 = 25;

/// An error while waiting for an edge of a line.
#[derive(Debug, thiserror::Error)]
#[error("cannot wait for an edge of DIO0: {0}")]
pub struct LineError(pub String);

/// An error while driving a line.
#[derive(Debug, thiserror::Error)]
#[error("cannot drive RESET: {0}")]
pub struct ResetError(pub String);

/// Why a board could not be connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The SPI device does not exist.
    #[error(
        "{path} does not exist: SPI is not enabled; on a Raspberry Pi add `dtparam=spi=on` to config.txt on the boot partition (or run `raspi-config nonint do_spi 0`) and reboot; if SPI is enabled, `ls /dev/spidev*` lists the possible values of `spi`"
    )]
    NoSpi {
        /// Path of the device file.
        path: String,
    },
    /// The file is not an SPI device.
    #[error("{path} is not an SPI device: `spi` must name one, such as /dev/spidev0.0 (`ls /dev/spidev*` lists them)")]
    NotSpi {
        /// Path of the file.
        path: String,
    },
    /// The user has no permission to open the device.
    #[error(
        "no permission to open {path}: add the user of this program to the group `{group}` (`usermod -aG {group} USER`) and restart the program; if `ls -l {path}` shows another group, use that one"
    )]
    NoPermission {
        /// Path of the device file.
        path: String,
        /// `spi` or `gpio`.
        group: &'static str,
    },
    /// The GPIO chip does not exist.
    #[error(
        "{path} does not exist: the kernel has no GPIO chip of that name; `ls /dev/gpiochip*` lists the possible values of `gpio_chip`"
    )]
    NoGpioChip {
        /// Path of the device file.
        path: String,
    },
    /// No GPIO chip has this label.
    #[error(
        "no GPIO chip has the label `{label}`, the value of `gpio_chip`; the labels are: {known} (`gpiodetect` lists them)"
    )]
    NoGpioLabel {
        /// The label in the settings.
        label: String,
        /// Labels of the chips that can be opened.
        known: String,
    },
    /// The file is not a GPIO chip.
    #[error(
        "{path} is not a GPIO chip: `gpio_chip` must name one, such as /dev/gpiochip0 (`gpioinfo` lists them with their lines)"
    )]
    NotGpioChip {
        /// Path of the file.
        path: String,
    },
    /// The GPIO chip does not have this line.
    #[error("{what} cannot be line {line} of {chip}, which has {lines} lines, counted from 0")]
    NoLine {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip.
        chip: String,
        /// Number of the line in the settings.
        line: u32,
        /// Number of lines of the chip.
        lines: u32,
    },
    /// Another program holds the line.
    #[error(
        "line {line} of {chip} for {what} is in use by {holder}: free it, or wire {what} to another line and change the setting (docs/radios.md)"
    )]
    LineTaken {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip.
        chip: String,
        /// Number of the line on that chip.
        line: u32,
        /// The holder, as far as the system reports it.
        holder: String,
    },
    /// The line could not be requested for another reason.
    #[error("cannot request line {line} of {chip} for {what}: {reason}")]
    Line {
        /// `RESET` or `DIO0`.
        what: &'static str,
        /// The GPIO chip.
        chip: String,
        /// Number of the line on that chip.
        line: u32,
        /// Error of the system.
        reason: String,
    },
    /// Another error of the system.
    #[error("{context}: {source}")]
    System {
        /// The step in progress.
        context: String,
        /// Error of the system.
        source: io::Error,
    },
}

impl BoardError {
    /// Classifies an error of opening or configuring an SPI device.
    pub(crate) fn of_spi(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSpi { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path, group: "spi" },
            io::ErrorKind::IsADirectory => Self::NotSpi { path },
            _ if source.raw_os_error() == Some(ENOTTY) => Self::NotSpi { path },
            _ => Self::System { context: format!("opening {path} as an SPI device"), source },
        }
    }

    /// Classifies an error of opening a GPIO chip.
    pub(crate) fn of_gpio_chip(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoGpioChip { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path, group: "gpio" },
            io::ErrorKind::IsADirectory => Self::NotGpioChip { path },
            _ => Self::System { context: format!("opening {path} as a GPIO chip"), source },
        }
    }
}
