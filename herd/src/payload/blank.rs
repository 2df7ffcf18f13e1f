//! Blanks around texts, and texts that say nothing.
//!
//! # Decisions
//!
//! - **A field that a reader fills for want of a value is absent.** Readers write `None`, `NOREAD`, zeros or blanks if an
//!   antenna is dead. If such a text were a tag, many animals would become one.
//! - **The list is fixed, not a setting.** Two yards that judge the same text in different ways could not be compared. No yard
//!   is known to use one of these texts as a tag or label.

use crate::text::Text;

/// Texts that say nothing, in lower case, without blanks, hyphens and underscores.
const FILLERS: [&str; 10] = ["?", "none", "null", "nil", "nan", "n/a", "na", "undefined", "noread", "notag"];
/// Minimum number of `F` digits in an empty register. Fewer are a short hexadecimal number.
const MIN_EMPTY_REGISTER: usize = 8;

/// Returns whether a character belongs to no text: whitespace, NUL, a byte order mark, or a zero-width mark.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\0' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Removes blanks at both ends.
pub(super) fn trimmed(text: &str) -> &str {
    // Nearly every text begins and ends with a visible ASCII character, so that no character need be decoded.
    let is_sign = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_sign(bytes.first()) && is_sign(bytes.last()) { text } else { text.trim_matches(is_blank) }
}

/// Returns a label as labels are compared: without blanks, and with ASCII letters in lower case.
///
/// The fold depends on it, so a change of it needs a new [`FOLD_VERSION`](crate::tables::FOLD_VERSION).
pub(crate) fn compared_label(text: &str) -> Text {
    let mut label = if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Text::from(text)
    } else {
        text.chars().filter(|c| !is_blank(*c)).collect()
    };
    label.make_ascii_lowercase();
    label
}

/// Returns whether a text says nothing: it is blank, a filler, only zeros, or an empty register.
///
/// Blanks, hyphens and underscores within it, and the case of ASCII letters, do not matter.
pub(super) fn says_nothing(text: &str) -> bool {
    let signs = || text.chars().filter(|c| !is_blank(*c) && !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase());
    let Some(first) = signs().next() else { return true };
    match first {
        '0' => signs().all(|c| c == '0'),
        'f' => signs().all(|c| c == 'f') && signs().count() >= MIN_EMPTY_REGISTER,
        '?' | 'n' | 'u' => FILLERS.iter().any(|filler| signs().eq(filler.chars())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a filler that becomes a tag, and then one animal out of many.
    #[test]
    fn fillers_of_readers_say_nothing() {
        let fillers = [
            "",
            " ",
            "\u{a0}",
            "\u{200b}",
            "-",
            "--",
            "_",
            "?",
            "0",
            "000000000000000",
            "0 00-0",
            "FFFFFFFF",
            "ffff ffff ffff",
            "None",
            "NULL",
            "nil",
            "NaN",
            "n/a",
            "N/A",
            "na",
            "undefined",
            "NOREAD",
            "no read",
            "No_Read",
            "no-read",
            "notag",
            "NO TAG",
        ];
        for text in fillers {
            assert!(says_nothing(text), "{text:?}");
        }
    }

    #[test]
    fn tags_and_labels_say_something() {
        let labels = [
            "1",
            "10",
            "00a",
            "F",
            "FFFFFFF",
            "FFFFFFFE",
            "P0",
            "Nancy",
            "nonesuch",
            "nul",
            "nonex",
            "N",
            "U1",
            "unknown",
            "undefinedx",
            "??",
            "-1",
            "LF_0",
        ];
        for text in labels {
            assert!(!says_nothing(text), "{text:?}");
        }
    }

    #[test]
    fn blanks_are_removed_at_both_ends_only() {
        assert_eq!(trimmed("\u{feff}\0 \u{a0}a\u{200b}b\u{2060}\r\n\0"), "a\u{200b}b");
    }
}
