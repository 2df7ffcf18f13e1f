//! A port that can be opened again and again.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileTypeExt;

use tokio::io::AsyncRead;
use tokio_serial::{DataBits, ErrorKind, FlowControl, Parity, SerialPortBuilder, SerialStream, StopBits};

/// Something that opens a port. A seam: tests open lines of their own.
pub(super) trait Opens: Send + Sync + 'static {
    /// An open port. Reading no bytes means that it is gone.
    type Port: AsyncRead + Unpin + Send;

    /// Opens it. Dropping the future may leave the port open until the system has answered.
    fn open(&mut self) -> impl Future<Output = Result<Self::Port, PortError>> + Send;

    /// Its path.
    fn path(&self) -> &str;
}

/// Why a port cannot be heard, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// It is not there.
    #[error("{path} is not there: plug the modem in, or set `path` to a name that is listed in /dev/serial/by-id")]
    Missing {
        /// The port.
        path: String,
    },
    /// It may not be opened.
    #[error(
        "{path} may not be opened: the user of this program must be in the group that owns it, on Debian `dialout`"
    )]
    Forbidden {
        /// The port.
        path: String,
    },
    /// Another program has it.
    #[error("{path} is in use by another program: stop that one (`fuser {path}` names it), or set another `path`")]
    Busy {
        /// The port.
        path: String,
    },
    /// It is something else.
    #[error("{path} is no serial port: set `path` to a name that is listed in /dev/serial/by-id")]
    NoPort {
        /// What was to be the port.
        path: String,
    },
    /// Something else that the system said.
    #[error("{path} cannot be opened: {reason}; if this stays, plug the modem out and in again")]
    Unopened {
        /// The port.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The system does not answer.
    #[error("{path} does not answer to being opened: plug the modem out and in again")]
    Stuck {
        /// The port.
        path: String,
    },
    /// It was open, and is gone.
    #[error("{path} is gone: the modem was unplugged or has lost its power; plug it in again")]
    Unplugged {
        /// The port.
        path: String,
    },
    /// It was open, and reading failed.
    #[error("reading {path} failed: {source}; it is opened again, and if this stays, plug the modem out and in again")]
    Unread {
        /// The port.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A real port, 8 data bits, no parity, 1 stop bit, no flow control, for this program alone.
#[derive(Debug)]
pub(super) struct Tty {
    path: String,
    builder: SerialPortBuilder,
}

impl Tty {
    pub(super) fn new(path: &str, baud: u32) -> Self {
        let builder = tokio_serial::new(Cow::from(path), baud)
            .data_bits(DataBits::Eight)
            .parity(Parity::None)
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None);
        Self { path: path.to_owned(), builder }
    }
}

impl Opens for Tty {
    type Port = SerialStream;

    /// Opens it on a thread for blocking calls: an adapter that is failing may let the system wait for seconds.
    async fn open(&mut self) -> Result<SerialStream, PortError> {
        let (path, builder) = (self.path.clone(), self.builder.clone());
        let opened = tokio::task::spawn_blocking(move || open(path, &builder)).await;
        opened
            .unwrap_or_else(|stopped| Err(PortError::Unopened { path: self.path.clone(), reason: stopped.to_string() }))
    }

    fn path(&self) -> &str {
        &self.path
    }
}

fn open(path: String, builder: &SerialPortBuilder) -> Result<SerialStream, PortError> {
    // Asked first, as the serial library gives one and the same error for all that is no terminal.
    if std::fs::metadata(&path).is_ok_and(|metadata| !metadata.file_type().is_char_device()) {
        return Err(PortError::NoPort { path });
    }
    SerialStream::open(builder).map_err(|error| refused(path, &error))
}

/// What an error of the serial library means: it says `NoDevice` where the port is held by someone else.
fn refused(path: String, error: &tokio_serial::Error) -> PortError {
    match error.kind {
        ErrorKind::Io(io::ErrorKind::NotFound) => PortError::Missing { path },
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortError::Forbidden { path },
        ErrorKind::NoDevice => PortError::Busy { path },
        _ => PortError::Unopened { path, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: ErrorKind) -> String {
        refused("/dev/ttyUSB0".to_owned(), &tokio_serial::Error::new(kind, "what the system said")).to_string()
    }

    #[test]
    fn each_refusal_names_the_port_and_what_to_do() {
        for (kind, what_to_do) in [
            (ErrorKind::Io(io::ErrorKind::NotFound), "/dev/serial/by-id"),
            (ErrorKind::Io(io::ErrorKind::PermissionDenied), "`dialout`"),
            (ErrorKind::NoDevice, "`fuser /dev/ttyUSB0`"),
            (ErrorKind::Unknown, "what the system said"),
            (ErrorKind::Io(io::ErrorKind::Interrupted), "what the system said"),
        ] {
            let said = said(kind);
            assert!(said.starts_with("/dev/ttyUSB0 ") && said.contains(what_to_do), "{said}");
        }
    }

    #[tokio::test]
    async fn a_file_is_no_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let error = Tty::new(path, 9_600).open().await.unwrap_err();
        assert!(matches!(&error, PortError::NoPort { path: named } if named == path), "{error}");
    }

    #[tokio::test]
    async fn a_character_device_that_is_no_terminal_is_refused_by_what_the_system_says() {
        let error = Tty::new("/dev/null", 9_600).open().await.unwrap_err();
        assert!(matches!(&error, PortError::Unopened { .. }), "{error}");
    }
}
