//! Errors of the parser in plain words.
//!
//! The parser names the character at which it gave up. A person needs the habit behind it, which shows in the line.
//!
//! The parser goes on after most errors, but not after all. So a line that it refused is masked with blanks, and the
//! text is parsed again, until every line is either read or reported. Masking keeps the places of all other values.

use super::keys::{Form, KEYS};
use super::text::line_at;
use super::{CardError, CardMistake};
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Quotes that word processors and phones put in place of straight ones.
const CURLY: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '‚', '‛'];

/// Spaces and marks that copied text brings along, and that look like an ordinary space or like nothing.
const INVISIBLE: [char; 8] =
    ['\u{a0}', '\u{2002}', '\u{2003}', '\u{2009}', '\u{200b}', '\u{200e}', '\u{202f}', '\u{feff}'];

/// Maximum number of times that a text is parsed. A file with more broken lines is no settings file.
const MAX_ROUNDS: usize = 100;

/// A text that the parser reads, and the lines that were masked for that.
#[derive(Default)]
pub(super) struct Masked {
    pub(super) text: String,
    /// One mistake for each masked line.
    pub(super) mistakes: Vec<CardMistake>,
    /// Set if the line of a section is masked. The keys below it then seem to stand in another section.
    pub(super) lacks_section: bool,
}

/// Masks every line that the parser refuses.
pub(super) fn mask(text: &str) -> Masked {
    let mut masked = text.to_owned();
    let mut by_line = BTreeMap::new();
    for _ in 0..MAX_ROUNDS {
        let (_, errors) = DeTable::parse_recoverable(&masked);
        let known = by_line.len();
        for error in &errors {
            let start = error.span().map_or(0, |span| span.start);
            let line = line_at(text.as_bytes(), start);
            // The first error of a line is the mistake; what follows it is the parser finding its way back.
            by_line.entry(line).or_insert_with(|| classify(line_text(text, line), error));
        }
        if by_line.len() == known {
            break;
        }
        masked = without_lines(text, |line| by_line.contains_key(&line));
    }
    let lacks_section = by_line.keys().any(|line| line_text(text, *line).trim_start().starts_with('['));
    let mistakes = by_line.into_iter().map(|(line, error)| CardMistake::at(line, error)).collect();
    Masked { text: masked, mistakes, lacks_section }
}

/// Returns the text with blanks in place of some lines, which are counted from 1. The length stays.
fn without_lines(text: &str, is_masked: impl Fn(usize) -> bool) -> String {
    let mut masked = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\r', '\n']);
        if is_masked(index + 1) {
            masked.extend(std::iter::repeat_n(' ', content.len()));
        } else {
            masked.push_str(content);
        }
        masked.push_str(&line[content.len()..]);
    }
    masked
}

fn line_text(text: &str, line: usize) -> &str {
    text.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r')
}

fn classify(line: &str, error: &toml::de::Error) -> CardError {
    let message = error.message();
    let key = line.split(['=', ':']).next().unwrap_or_default().trim();
    let bare = outside_quotes(line);
    if let Some(quote) = bare.chars().find(|c| CURLY.contains(c)) {
        return CardError::CurlyQuote(quote);
    }
    if bare.contains(INVISIBLE) {
        return CardError::InvisibleCharacter;
    }
    if message.starts_with("duplicate key") {
        return CardError::Duplicate { name: key.trim_matches(['[', ']']).to_owned() };
    }
    if message.contains("escape") || (message.contains("unicode") && line.contains('\\')) {
        return CardError::Backslash;
    }
    if is_plain_key(key) && (message.starts_with("string values must be quoted") || has_bare_value(line)) {
        return without_quotes(key);
    }
    if has_open_quote(line) {
        return CardError::OpenQuote;
    }
    if !line.contains('=') && !line.trim_start().starts_with('[') {
        return CardError::NoEquals;
    }
    CardError::Syntax { parser: message.lines().next().unwrap_or_default().to_owned() }
}

/// Names the mistake in a value that has no quotes and is no number.
fn without_quotes(key: &str) -> CardError {
    match KEYS.iter().find(|known| known.name == key && known.form == Form::Number) {
        Some(known) => CardError::NotNumber { key: known.name },
        None => CardError::Unquoted { key: key.to_owned() },
    }
}

/// Returns whether the value begins like a word. The parser takes some words for a number, a date or a boolean with a
/// mistake: `North` for `nan`, and `192.168.1.1` for a fraction.
fn has_bare_value(line: &str) -> bool {
    line.split_once('=').is_some_and(|(_, value)| value.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn is_plain_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Returns the line without its quoted texts and without its comment.
fn outside_quotes(line: &str) -> String {
    let mut outside = String::new();
    let mut open = None;
    for c in line.chars() {
        match open {
            Some(quote) if quote == c => open = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => open = Some(c),
            None if c == '#' => break,
            None => outside.push(c),
        }
    }
    outside
}

/// Returns whether a straight quote is opened and not closed before the end of the line.
fn has_open_quote(line: &str) -> bool {
    let mut open = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match open {
            Some('"') if c == '\\' => drop(chars.next()),
            Some(quote) if quote == c => open = None,
            None if c == '"' || c == '\'' => open = Some(c),
            None if c == '#' => break,
            _ => {}
        }
    }
    open.is_some()
}
