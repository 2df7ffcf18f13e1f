//! Length limits of fields, and the texts that rejections quote.

use super::{MAX_FIELD_CHARS, Rejection};

/// Checks that a value has 1 to [`MAX_FIELD_CHARS`] characters.
pub(super) fn check_value(name: &str, value: &str) -> Result<(), Rejection> {
    if value.is_empty() {
        return Err(Rejection::EmptyField { field: name.to_owned() });
    }
    check_length(name, value)
}

/// Checks that a text has at most [`MAX_FIELD_CHARS`] characters. A rejection calls it `name`.
pub(super) fn check_length(name: &str, text: &str) -> Result<(), Rejection> {
    // A text has no more characters than bytes.
    if text.len() <= MAX_FIELD_CHARS {
        return Ok(());
    }
    match text.chars().count() {
        ..=MAX_FIELD_CHARS => Ok(()),
        chars => Err(Rejection::FieldTooLong { field: shortened(name), chars: count(chars) }),
    }
}

/// Returns the first [`MAX_FIELD_CHARS`] characters, for a rejection that quotes a text of any length.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_FIELD_CHARS).collect()
}

/// Converts a count for a rejection. Saturates, because a payload over HTTP may have any length.
pub(super) fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
