//! Texts of payloads, made visible for terminals and pages.
//!
//! Payloads come off the air. A control character is a command to a terminal, and a mark for the direction of text or
//! one without width makes a line look like another one. Both are shown as escapes.

/// Returns whether a character is invisible, or changes how its neighbors are shown.
pub fn is_hidden(c: char) -> bool {
    let is_mark = matches!(
        c,
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Marks without width, and marks of direction (Unicode Standard Annex 9).
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Byte order mark, annotations, tags.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    is_mark || c.is_control()
}

/// Returns the text with its hidden characters as escapes: `\u{202e}`.
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Returns JSON with the hidden characters of its texts as escapes of JSON. The line ends around them stay.
pub fn visible_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut shown, c| {
        if c != '\n' && is_hidden(c) {
            let mut units = [0; 2];
            shown.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a payload that commands a terminal, or looks like another one.
    #[test]
    fn controls_and_marks_are_escaped_and_other_texts_stay() {
        let text = "a\u{1b}[2J\u{9b}2J \u{202e}evil\u{2066}\u{200b}\u{feff} Kälber 牛";
        let shown = visible(text);
        assert_eq!(shown, r"a\u{1b}[2J\u{9b}2J \u{202e}evil\u{2066}\u{200b}\u{feff} Kälber 牛");
        assert!(!shown.contains(is_hidden));
        let json = serde_json::to_string(&[text, "\u{e0041}"]).unwrap();
        let shown = visible_json(&json);
        assert!(!shown.contains(is_hidden), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text, "\u{e0041}"]);
    }
}
