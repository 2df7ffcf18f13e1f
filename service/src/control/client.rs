//! The client side of the socket.

use super::place::Place;
use super::{
    ControlError, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT, RESPONSE_TIMEOUT, Request, TIMED_OUT,
    WRITE_TIMEOUT, decode_response,
};
use crate::lifecycle::Exit;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than all timeouts of the server together, so that the server is the one that says what went wrong.
const ASK_TIMEOUT: Duration = REQUEST_TIMEOUT
    .saturating_add(RESPONSE_TIMEOUT)
    .saturating_add(WRITE_TIMEOUT)
    .saturating_add(Duration::from_secs(1));

/// Reason why a request has no response.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no socket, or nobody listens on it.
    #[error("no process answers at {}: it is not running, or has another state directory", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The process does not answer in time, or not at all.
    #[error("no response at {}: {source}; check whether the process is stuck", path.display())]
    NoResponse {
        /// The socket.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The process has taken the request, and had no response in time. It may yet do what was asked.
    #[error("the process at {} has taken the request, but {reason}", path.display())]
    Late {
        /// The socket.
        path: PathBuf,
        /// The thing that was awaited, and for how long.
        reason: String,
    },
    /// The response cannot be read.
    #[error("the response at {} cannot be read: is the running process another version?", path.display())]
    Unreadable {
        /// The socket.
        path: PathBuf,
    },
    /// The request is too long, or cannot be encoded.
    #[error("the request is longer than {MAX_REQUEST_BYTES} bytes")]
    TooLong,
    /// The process refused the request.
    #[error(transparent)]
    Refused(#[from] ControlError),
}

impl From<&AskError> for Exit {
    fn from(error: &AskError) -> Self {
        match error {
            AskError::Refused(_) => Self::Refused,
            AskError::NotRunning { .. }
            | AskError::NoResponse { .. }
            | AskError::Late { .. }
            | AskError::Unreadable { .. }
            | AskError::TooLong => Self::NoPeer,
        }
    }
}

/// Sends `request` to the process that listens at `path` and waits for its response, at most about 16 s. Blocks.
pub fn ask<Q: Request>(path: &Path, request: &Q) -> Result<Q::Response, AskError> {
    let line = serde_json::to_string(request).map_err(|_| AskError::TooLong)? + "\n";
    if line.len() > MAX_REQUEST_BYTES {
        return Err(AskError::TooLong);
    }
    let no_response = |source| AskError::NoResponse { path: path.into(), source };
    let mut stream = connect(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NotRunning { path: path.into() },
        _ => no_response(source),
    })?;
    stream.write_all(line.as_bytes()).map_err(no_response)?;
    let mut response = Vec::new();
    BufReader::new(stream).take(MAX_RESPONSE_BYTES as u64).read_until(b'\n', &mut response).map_err(no_response)?;
    if response.is_empty() {
        return Err(no_response(ErrorKind::UnexpectedEof.into()));
    }
    let result = decode_response(&response).ok_or_else(|| AskError::Unreadable { path: path.into() })?;
    result.map_err(|error| match error.code.as_str() {
        TIMED_OUT => AskError::Late { path: path.into(), reason: error.message },
        _ => AskError::Refused(error),
    })
}

/// Connects with timeouts that are set beforehand: connecting waits too while the socket's queue is full.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let place = Place::of(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(WRITE_TIMEOUT))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ASK_TIMEOUT))?;
    match rustix::net::connect(&socket, &place.address) {
        Ok(()) => Ok(UnixStream::from(socket)),
        // The kernel's error if the send timeout passes while the queue is full.
        Err(Errno::AGAIN) => Err(ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the user of the process that listens at `path`, or `None` if none does or it cannot be reached.
pub(crate) fn listening_user(path: &Path) -> Option<u32> {
    let stream = connect(path).ok()?;
    socket_peercred(&stream).ok().map(|peer| peer.uid.as_raw())
}

/// Returns true if a process listens at `path`.
pub(super) fn is_listening(path: &Path) -> io::Result<bool> {
    is_answered(connect(path).map(drop))
}

/// Returns true if a process is at the other end of an attempt to connect.
fn is_answered(connected: io::Result<()>) -> io::Result<bool> {
    match connected {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(false),
        // A full queue belongs to a process.
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a process that is pushed off its socket because it is busy, or because nobody may look.
    #[test]
    fn a_socket_that_is_busy_is_listened_on_and_one_that_cannot_be_tried_is_an_error() {
        assert!(is_answered(Ok(())).unwrap());
        for (kind, is_listening) in [
            (ErrorKind::NotFound, Some(false)),
            (ErrorKind::ConnectionRefused, Some(false)),
            (ErrorKind::TimedOut, Some(true)),
            (ErrorKind::PermissionDenied, None),
        ] {
            assert_eq!(is_answered(Err(kind.into())).ok(), is_listening, "{kind}");
        }
    }
}
