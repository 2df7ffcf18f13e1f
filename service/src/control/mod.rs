//! Commands reach the running process through a socket in its state directory: one line of JSON there, one line back.
//!
//! Each program has one enum of requests and one of responses ([`Request::Response`]); both cross the socket as their
//! serde form. One connection carries one of each. The socket has mode 0600: only the process's own user and root can
//! open it, so no further key is needed.
//!
//! If the process does not run, a command works on the files itself. [`ask_or_open`] gives both ways one response
//! type. Another way into running state (signals, watched files) was rejected: it is later, and it cannot answer.

mod client;
mod direct;
mod owner;
mod place;
mod reserve;
mod server;

pub(crate) use client::listening_user;
pub use client::{AskError, ask};
pub use direct::{CommandError, DirectError, FilesError, LOCKED_RETRY, LOCKED_TIMEOUT, ask_or_open};
pub use owner::{OwnerError, become_owner_of, refuse_root_on};
pub use server::{Handler, ListenError, handler, listen};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Name of the socket in the state directory.
pub const SOCKET_NAME: &str = "control.sock";

/// Maximum length of a request, with its newline.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Maximum length of a response, with its newline. A list of all keys fits many times.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Maximum number of connections at one time; more wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 16;

/// Time in which a whole request must arrive.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Time in which the response must be found.
///
/// The handler is dropped then, so work that must not stop half-way belongs on a task or a blocking thread of its own.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time in which the peer must take what is written.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The requests of one program.
pub trait Request: Serialize + DeserializeOwned + Send + 'static {
    /// The responses to them.
    type Response: Serialize + DeserializeOwned + Send + 'static;
}

/// Code of an answer that was not ready in time.
const TIMED_OUT: &str = "timed_out";
/// Code of a request that failed for no fault of its own.
const FAILED: &str = "failed";

/// A request that was refused, or could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ControlError {
    /// Stable word for programs.
    pub code: String,
    /// Sentence for people.
    pub message: String,
}

impl ControlError {
    /// Creates an error from its code and message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// Creates the error of a request that failed for no fault of its own (`failed`).
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::new(FAILED, error.to_string())
    }
}

/// A response as it crosses the socket.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Envelope<R> {
    Ok(R),
    Error(ControlError),
}

/// Encodes a result as one line. A result that is too long becomes an error that says so.
fn encode_response<R: Serialize>(result: Result<R, ControlError>) -> String {
    let envelope = match result {
        Ok(response) => Envelope::Ok(response),
        Err(error) => Envelope::Error(error),
    };
    match serde_json::to_string(&envelope) {
        Ok(line) if line.len() < MAX_RESPONSE_BYTES => line + "\n",
        Ok(_) => {
            let message = format!("the response is longer than {MAX_RESPONSE_BYTES} bytes; ask for less of it");
            encode_response::<()>(Err(ControlError::new("response_too_long", message)))
        }
        Err(error) => encode_response::<()>(Err(ControlError::failed(error))),
    }
}

/// Decodes a line of [`encode_response`]. Returns `None` if it is not one.
fn decode_response<R: DeserializeOwned>(line: &[u8]) -> Option<Result<R, ControlError>> {
    match serde_json::from_slice(line).ok()? {
        Envelope::Ok(response) => Some(Ok(response)),
        Envelope::Error(error) => Some(Err(error)),
    }
}

/// Decodes a request.
///
/// The error does not quote it: a request may hold a key.
fn decode_request<Q: DeserializeOwned>(line: &[u8]) -> Result<Q, ControlError> {
    let bad = |message: String| Err(ControlError::new("bad_request", message));
    if !line.ends_with(b"\n") {
        return bad(format!("a request is one line of at most {MAX_REQUEST_BYTES} bytes"));
    }
    match serde_json::from_slice(line) {
        Ok(request) => Ok(request),
        Err(error) if error.is_data() => {
            bad("the running process does not know this request; is it another version?".to_owned())
        }
        Err(error) => bad(format!("the request is not JSON: line {}, column {}", error.line(), error.column())),
    }
}

#[cfg(test)]
mod tests;
