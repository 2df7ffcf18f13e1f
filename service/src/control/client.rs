//! The command's side of the socket.

use super::place::Place;
use super::{
    ANSWER_TIMEOUT, Answer, ControlError, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, REQUEST_TIMEOUT, WRITE_TIMEOUT,
    read_answer,
};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than the other side may take for all it does, so that it is the other side that says what went wrong.
const ASK_TIMEOUT: Duration =
    REQUEST_TIMEOUT.saturating_add(ANSWER_TIMEOUT).saturating_add(WRITE_TIMEOUT).saturating_add(Duration::from_secs(1));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no socket, or nobody listens on it: the process does not run.
    #[error("nobody answers at {}; the process does not run, or has another state directory", path.display())]
    NobodyHome {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody is there and does not answer in time, or not at all.
    #[error("asking at {}: {source}; look whether the process is stuck", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What came back is no answer.
    #[error("asking at {}: what came back is no answer; is the process of another version?", path.display())]
    NotAnAnswer {
        /// The socket.
        path: PathBuf,
    },
    /// The request is too long to send.
    #[error("the request is longer than {MAX_REQUEST_BYTES} bytes")]
    TooLong,
    /// The process said no.
    #[error(transparent)]
    Refused(#[from] ControlError),
}

/// Sends `request` to the process that listens at `path` and waits for its answer, at most about 16 s. Blocks.
pub fn ask(path: &Path, request: &Value) -> Result<Answer, AskError> {
    let line = format!("{request}\n");
    if line.len() > MAX_REQUEST_BYTES {
        return Err(AskError::TooLong);
    }
    let no_answer = |source| AskError::NoAnswer { path: path.into(), source };
    let mut stream = connect(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NobodyHome { path: path.into() },
        _ => no_answer(source),
    })?;
    stream.write_all(line.as_bytes()).map_err(no_answer)?;
    let mut answer = Vec::new();
    let bound = MAX_ANSWER_BYTES as u64 + 1;
    BufReader::new(stream).take(bound).read_until(b'\n', &mut answer).map_err(no_answer)?;
    if answer.is_empty() {
        return Err(no_answer(ErrorKind::UnexpectedEof.into()));
    }
    let result = read_answer(&answer).ok_or_else(|| AskError::NotAnAnswer { path: path.into() })?;
    Ok(result?)
}

/// Connects with time-outs set beforehand: connecting to a socket whose queue is full waits, too.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let place = Place::of(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(WRITE_TIMEOUT))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ASK_TIMEOUT))?;
    match rustix::net::connect(&socket, &place.address) {
        Ok(()) => Ok(UnixStream::from(socket)),
        // What the kernel says when the time-out for sending passes while the queue stays full.
        Err(Errno::AGAIN) => Err(ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody listens at `path`.
pub(super) fn is_answered(path: &Path) -> io::Result<bool> {
    match connect(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(false),
        // A full queue is somebody's.
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(true),
        Err(error) => Err(error),
    }
}
