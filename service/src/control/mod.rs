//! How a command reaches the process that runs: one JSON line to a socket in its state directory, one line back.
//!
//! A request is `{"command":"...", ...}`, at most [`MAX_REQUEST_BYTES`]; an answer is `{"ok":true, ...}` or
//! `{"ok":false,"error":"<code>","message":"..."}`. One connection carries one of each. The socket has mode 0600:
//! who can open it is the process's own user or root, and needs no further key.
//!
//! A command whose process does not run works on the files itself, which is why [`or_direct`] gives both ways one
//! form of answer.

mod client;
mod direct;
mod owner;
mod place;
mod server;

pub use client::{AskError, ask};
pub use direct::{CommandError, DirectError, LOCKED_PATIENCE, LOCKED_RETRY, or_direct};
pub use owner::{OwnerError, refuse_root_on};
pub use server::{Answerer, ListenError, answerer, listen};

use serde_json::{Map, Value};
use std::time::Duration;

/// The socket's name in the state directory.
pub const SOCKET_NAME: &str = "control.sock";

/// Longest request, its newline included.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Longest answer, its newline included: a list of all keys fits many times.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Connections at one time; more wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 16;

/// A whole request must be there by then.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The answer must be found by then. What is under way is dropped, so work that must not stop half-way belongs on a
/// task or a blocking thread of its own.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The answer must be taken by then.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What an answer holds beside `ok`.
pub type Answer = Map<String, Value>;

/// A request that was understood and refused, or not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// The word programs decide on.
    pub error: String,
    /// The sentence people read.
    pub message: String,
}

impl ControlError {
    /// With both texts.
    pub fn new(error: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error: error.into(), message: message.into() }
    }

    /// `unknown_command`: nobody here knows the request's command.
    pub fn unknown_command(request: &Value) -> Self {
        let command = request.get("command").and_then(Value::as_str).unwrap_or_default();
        let shown: String = command.chars().take(64).collect();
        Self::new("unknown_command", format!("this process has no command `{shown}`; is it of the same version?"))
    }
}

/// The line that tells of a result.
fn answer_line(result: Result<Answer, ControlError>) -> String {
    let body = match result {
        Ok(mut answer) => {
            answer.insert("ok".into(), true.into());
            answer
        }
        Err(ControlError { error, message }) => Map::from_iter([
            ("ok".to_owned(), false.into()),
            ("error".to_owned(), error.into()),
            ("message".to_owned(), message.into()),
        ]),
    };
    let line = format!("{}\n", Value::Object(body));
    if line.len() <= MAX_ANSWER_BYTES {
        return line;
    }
    let message = format!("the answer is longer than {MAX_ANSWER_BYTES} bytes; ask for less of it");
    answer_line(Err(ControlError::new("answer_too_long", message)))
}

/// The result that a line tells of; `None` if it is no answer.
fn read_answer(line: &[u8]) -> Option<Result<Answer, ControlError>> {
    let Value::Object(mut body) = serde_json::from_slice(line).ok()? else { return None };
    if body.remove("ok")?.as_bool()? {
        return Some(Ok(body));
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Err(ControlError::new(text("error")?, text("message")?)))
}

/// The request on a line: an object with a command.
fn read_request(line: &[u8]) -> Result<Value, ControlError> {
    let bad = |message: String| ControlError::new("bad_request", message);
    if !line.ends_with(b"\n") {
        return Err(bad(format!("a request is one line of at most {MAX_REQUEST_BYTES} bytes")));
    }
    let request: Value = serde_json::from_slice(line).map_err(|error| bad(format!("a request is JSON: {error}")))?;
    if request.get("command").is_none_or(|command| !command.is_string()) {
        return Err(bad("a request is an object with a text `command`".to_owned()));
    }
    Ok(request)
}

#[cfg(test)]
mod tests;
