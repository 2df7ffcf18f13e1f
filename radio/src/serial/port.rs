//! A serial port that can be opened again and again.
//!
//! This is the only file that names tokio-serial.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileTypeExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_serial::{
    DataBits, ErrorKind, FlowControl, Parity, SerialPort as _, SerialPortBuilder, SerialStream, StopBits,
};

/// A port that can be opened. Tests implement it with lines of their own.
pub(super) trait Port: Send + Sync + 'static {
    /// The open port. A read of zero bytes means that the port is gone.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Opens the port. If the future is dropped, the port may stay open until the system has answered.
    fn open(&mut self) -> impl Future<Output = Result<Self::Stream, PortError>> + Send;

    /// Returns the path of the port.
    fn path(&self) -> &str;
}

/// Why a port cannot be opened or read, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The path does not exist.
    #[error("{path} does not exist: plug the modem in, or set `path` to a name from /dev/serial/by-id")]
    Missing {
        /// Path of the port.
        path: String,
    },
    /// The user may not open the port.
    #[error(
        "{path} cannot be opened: permission denied; add the user of this program to the group that owns the port, \
         `dialout` on Debian"
    )]
    PermissionDenied {
        /// Path of the port.
        path: String,
    },
    /// Another program has the port open.
    #[error("{path} is in use by another program: stop it (`fuser {path}` finds it), or set another `path`")]
    Busy {
        /// Path of the port.
        path: String,
    },
    /// The path is not a serial port.
    #[error("{path} is not a serial port: set `path` to a name from /dev/serial/by-id")]
    NotSerial {
        /// Path in the settings.
        path: String,
    },
    /// Opening failed for another reason.
    #[error("{path} cannot be opened: {reason}; if this persists, unplug the modem and plug it in again")]
    Open {
        /// Path of the port.
        path: String,
        /// Error of the system.
        reason: String,
    },
    /// The system has not finished opening the port.
    #[error("{path} did not open in time: unplug the modem and plug it in again")]
    OpenTimeout {
        /// Path of the port.
        path: String,
    },
    /// A control line of the port cannot be set.
    #[error("{path} has no {line} line that can be set: {reason}; remove `{key}` from the settings of this radio")]
    ControlLine {
        /// Path of the port.
        path: String,
        /// `DTR` or `RTS`.
        line: &'static str,
        /// Key in the settings.
        key: &'static str,
        /// Error of the system.
        reason: String,
    },
    /// The port was open and has disappeared.
    #[error("{path} has disappeared: the modem was unplugged or lost its power; plug it in again")]
    Unplugged {
        /// Path of the port.
        path: String,
    },
    /// The port was open, and a read failed.
    #[error(
        "{path} cannot be read: {source}; it will be reopened. If this persists, unplug the modem and plug it in again"
    )]
    Read {
        /// Path of the port.
        path: String,
        /// Error of the system.
        source: io::Error,
    },
    /// The port was open, and a command could not be written.
    #[error(
        "{path} takes no commands: {source}; it will be reopened. If this persists, unplug the modem and plug it in again"
    )]
    Write {
        /// Path of the port.
        path: String,
        /// Error of the system.
        source: io::Error,
    },
}

/// Levels of the control lines of a port. `None` leaves a line as the system sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ControlLines {
    pub(crate) dtr: Option<bool>,
    pub(crate) rts: Option<bool>,
}

/// A real port, opened exclusively with 8 data bits, no parity, 1 stop bit and no flow control.
#[derive(Debug)]
pub(crate) struct Tty {
    path: String,
    builder: SerialPortBuilder,
    control_lines: ControlLines,
}

impl Tty {
    pub(crate) fn new(path: &str, baud: u32, control_lines: ControlLines) -> Self {
        let builder = tokio_serial::new(Cow::from(path), baud)
            .data_bits(DataBits::Eight)
            .parity(Parity::None)
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None);
        Self { path: path.to_owned(), builder, control_lines }
    }

    /// Opens the port and closes it again.
    pub(crate) async fn probe(&mut self) -> Result<(), PortError> {
        self.open().await.map(drop)
    }
}

impl Port for Tty {
    type Stream = SerialStream;

    /// Opens the port on a thread for blocking calls, because a failing adapter may block for seconds.
    async fn open(&mut self) -> Result<SerialStream, PortError> {
        let (path, builder, control_lines) = (self.path.clone(), self.builder.clone(), self.control_lines);
        let result = tokio::task::spawn_blocking(move || open(path, &builder, control_lines)).await;
        result.unwrap_or_else(|error| Err(PortError::Open { path: self.path.clone(), reason: error.to_string() }))
    }

    fn path(&self) -> &str {
        &self.path
    }
}

fn open(path: String, builder: &SerialPortBuilder, lines: ControlLines) -> Result<SerialStream, PortError> {
    // Checked first, because the serial library returns the same error for everything that is not a terminal.
    if std::fs::metadata(&path).is_ok_and(|metadata| !metadata.file_type().is_char_device()) {
        return Err(PortError::NotSerial { path });
    }
    let mut stream = SerialStream::open(builder).map_err(|error| open_error(path.clone(), &error))?;
    let line_error = |line, key| {
        let path = path.clone();
        move |error: tokio_serial::Error| PortError::ControlLine { path, line, key, reason: error.to_string() }
    };
    if let Some(dtr) = lines.dtr {
        stream.write_data_terminal_ready(dtr).map_err(line_error("DTR", "dtr"))?;
    }
    if let Some(rts) = lines.rts {
        stream.write_request_to_send(rts).map_err(line_error("RTS", "rts"))?;
    }
    Ok(stream)
}

/// Converts an error of the serial library, which returns `NoDevice` if another program holds the port.
fn open_error(path: String, error: &tokio_serial::Error) -> PortError {
    match error.kind {
        ErrorKind::Io(io::ErrorKind::NotFound) => PortError::Missing { path },
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortError::PermissionDenied { path },
        ErrorKind::NoDevice => PortError::Busy { path },
        _ => PortError::Open { path, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_error_names_the_port_and_what_to_do() {
        for (kind, advice) in [
            (ErrorKind::Io(io::ErrorKind::NotFound), "/dev/serial/by-id"),
            (ErrorKind::Io(io::ErrorKind::PermissionDenied), "`dialout`"),
            (ErrorKind::NoDevice, "`fuser /dev/ttyUSB0`"),
            (ErrorKind::Unknown, "reason of the system"),
            (ErrorKind::Io(io::ErrorKind::Interrupted), "reason of the system"),
        ] {
            let error = tokio_serial::Error::new(kind, "reason of the system");
            let message = open_error("/dev/ttyUSB0".to_owned(), &error).to_string();
            assert!(message.starts_with("/dev/ttyUSB0 ") && message.contains(advice), "{message}");
        }
    }

    #[tokio::test]
    async fn a_regular_file_is_not_a_serial_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let error = Tty::new(path, 9_600, ControlLines::default()).open().await.unwrap_err();
        assert!(matches!(&error, PortError::NotSerial { path: named } if named == path), "{error}");
    }

    #[tokio::test]
    async fn a_character_device_that_is_not_a_terminal_fails_with_the_error_of_the_system() {
        let error = Tty::new("/dev/null", 9_600, ControlLines::default()).open().await.unwrap_err();
        assert!(matches!(&error, PortError::Open { .. }), "{error}");
    }
}
