//! Escapers of the templates. `mirror/askama.toml` names them.
//!
//! | in a template | for | shows hidden characters |
//! |---|---|---|
//! | `{{ text }}` | texts that people read | all, as `\u{202e}` |
//! | `{{ text\|escape("lines") }}` | notes, which have lines | all but line ends |
//! | `{{ text\|escape("exact") }}` | values that a form sends back | none |
//!
//! # Decisions
//!
//! - **Hidden characters are shown by default.** Texts come off the air, and from people. A mark for the direction of text or one
//!   without width makes a tag look like another one. To call a function wherever a text is shown was tried, and every new
//!   template forgot it somewhere.

use askama::filters::{Escaper, Html};
use service::sheet::{is_hidden, visible};
use std::fmt;

/// Escapes for HTML, and shows hidden characters as escapes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, mut to: W, text: &str) -> fmt::Result {
        // ASCII has no hidden characters but controls, and nearly all texts are ASCII.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_hidden) {
            return Html.write_escaped_str(to, text);
        }
        Html.write_escaped_str(&mut to, &visible(text))
    }
}

/// Escapes for HTML, and shows hidden characters but line ends as escapes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VisibleLines;

impl Escaper for VisibleLines {
    fn write_escaped_str<W: fmt::Write>(&self, mut to: W, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            Visible.write_escaped_str(&mut to, line.strip_suffix('\r').unwrap_or(line))?;
            to.write_str(end)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(escaper: impl Escaper, text: &str) -> String {
        let mut to = String::new();
        escaper.write_escaped_str(&mut to, text).unwrap();
        to
    }

    /// Catches a text that looks like another one, or that is markup.
    #[test]
    fn markup_and_hidden_characters_are_escaped_and_lines_stay_where_they_may() {
        for (text, visible, lines) in [
            ("LOT 7 Kälber", "LOT 7 Kälber", "LOT 7 Kälber"),
            ("<b>&\"", "&#60;b&#62;&#38;&#34;", "&#60;b&#62;&#38;&#34;"),
            ("1\u{202e}2\u{200b}", "1\\u{202e}2\\u{200b}", "1\\u{202e}2\\u{200b}"),
            ("a\nb<\r\n\tc", "a\\u{a}b&#60;\\u{d}\\u{a}\\u{9}c", "a\nb&#60;\n\\u{9}c"),
            ("\n", "\\u{a}", "\n"),
            ("", "", ""),
        ] {
            assert_eq!((escaped(Visible, text), escaped(VisibleLines, text)), (visible.to_owned(), lines.to_owned()));
        }
    }
}
