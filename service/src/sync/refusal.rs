//! The answer of a source that refuses a request, as a follower reads it.

use crate::sheet::visible;
use herd::position::Position;
use serde_json::Value;

/// Maximum number of characters of a refusal that are shown.
const SHOWN_CHARS: usize = 300;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Head of the source's history, if the refusal is about a position.
    pub held: Option<Position>,
    /// The words of the source, shortened. A terminal obeys none of them: hidden characters are escaped.
    pub message: String,
}

impl Refusal {
    /// Reads the body of a response. Whatever it holds, there is a message.
    pub fn of(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let held = body.get("held").and_then(|held| serde_json::from_value(held.clone()).ok());
        let message = body.get("message").and_then(Value::as_str).unwrap_or("no reason given");
        Self { held, message: visible(&message.chars().take(SHOWN_CHARS).collect::<String>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a source that writes to the terminals of its offices, and an answer of something else that has no words.
    #[test]
    fn a_refusal_has_words_that_a_terminal_does_not_obey() {
        let refusal = Refusal::of(br#"{"message":"red: \u001b[31m","held":{"store":"north"}}"#);
        assert_eq!(refusal, Refusal { held: None, message: r"red: \u{1b}[31m".to_owned() });
        assert_eq!(Refusal::of(b"<html>").message, "no reason given");
        let (store, digest) = ("53".repeat(16), "9c".repeat(32));
        let held = format!(r#"{{"store":"{store}","epoch":1,"sequence":61,"digest":"{digest}"}}"#);
        let refusal = Refusal::of(format!(r#"{{"message":"elsewhere","held":{held}}}"#).as_bytes());
        assert_eq!(serde_json::to_string(&refusal.held).unwrap(), held);
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(10 * SHOWN_CHARS));
        assert_eq!(Refusal::of(long.as_bytes()).message.len(), SHOWN_CHARS);
    }
}
