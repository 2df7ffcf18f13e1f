//! The supervisor's end of `NOTIFY_SOCKET`.

use super::{HarnessError, TIMEOUT};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Maximum number of messages that one wait reads. A process sends several a second, and an endless stream of them must
/// not keep a failing test alive.
const MAX_MESSAGES: usize = 1_000;
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
    /// [`TIMEOUT`]. Blocks the thread.
    pub fn receive_until(&self, text: &str) -> Result<Vec<String>, HarnessError> {
        let mut received = Vec::new();
        while received.len() < MAX_MESSAGES {
            match self.receive() {
                Ok(message) => received.push(message),
                Err(source) => return Err(HarnessError::Notify { text: text.to_owned(), received, source }),
            }
            if received.last().is_some_and(|message| message.contains(text)) {
                return Ok(received);
            }
        }
        let source = io::Error::other(format!("gave up after {MAX_MESSAGES} messages"));
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
