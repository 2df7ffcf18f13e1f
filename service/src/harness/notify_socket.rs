//! The supervisor's end of `NOTIFY_SOCKET`.

use super::{HarnessError, TIMEOUT};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

/// Maximum wait for a text. A process sends several messages a second, and an endless stream of them must not keep a failing
/// test alive.
const TEXT_TIMEOUT: Duration = TIMEOUT.saturating_mul(3);
/// Size of the receive buffer. The longest message is a status line of a few hundred bytes.
const MESSAGE_BYTES: usize = 4096;

/// A socket that receives what a process reports to its supervisor.
#[derive(Debug)]
pub struct NotifySocket(UnixDatagram);

impl NotifySocket {
    /// Binds the socket at `path`, which is the value of `NOTIFY_SOCKET` for the process.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self(socket))
    }

    /// Returns all messages up to and including the first that contains `text`. Each message may take up to
    /// [`TIMEOUT`], and all of them three times as long. Blocks the thread.
    pub fn receive_until(&self, text: &str) -> Result<Vec<String>, HarnessError> {
        self.receive_until_within(TEXT_TIMEOUT, text)
    }

    pub(super) fn receive_until_within(&self, limit: Duration, text: &str) -> Result<Vec<String>, HarnessError> {
        let (start, mut received) = (Instant::now(), Vec::new());
        while start.elapsed() < limit {
            match self.receive() {
                Ok(message) => received.push(message),
                Err(source) => return Err(HarnessError::Notify { text: text.to_owned(), received, source }),
            }
            if received.last().is_some_and(|message| message.contains(text)) {
                return Ok(received);
            }
        }
        let source = io::Error::other(format!("gave up after {limit:?}"));
        Err(HarnessError::Notify { text: text.to_owned(), received, source })
    }

    /// Returns the next message if one is queued. Does not block.
    pub fn try_receive(&self) -> io::Result<Option<String>> {
        self.0.set_nonblocking(true)?;
        let message = self.receive();
        self.0.set_nonblocking(false)?;
        match message {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive(&self) -> io::Result<String> {
        let mut bytes = vec![0; MESSAGE_BYTES];
        let length = self.0.recv(&mut bytes)?;
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(io::Error::other)
    }
}
