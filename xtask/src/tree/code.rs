//! Code without its comments and texts.
//!
//! Rules about words search this form, so that a comment may name what the code must not use. They do not search the
//! syntax tree, because a word inside a macro call counts too.

/// Blanks comments, strings and characters, and keeps line breaks.
pub(super) fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        if end > at {
            code.push(' ');
            code.extend(chars[at..end].iter().filter(|c| **c == '\n'));
            at = end;
        } else {
            code.push(chars[at]);
            at += 1;
        }
    }
    code
}

/// Returns the end of the comment, string or character that starts at `at`; `at` itself if none does.
fn end_of_blank(chars: &[char], at: usize) -> usize {
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => position(chars, at, |rest| rest[0] == '\n'),
        ('/', Some('*')) => end_of_block_comment(chars, at),
        ('"', _) => match hashes_of_raw_string(&chars[..at]) {
            Some(hashes) => (position(chars, at + 1, |rest| closes_raw(rest, hashes)) + 1 + hashes).min(chars.len()),
            None => end_of_quoted(chars, at, '"'),
        },
        ('\'', Some('\\')) => end_of_quoted(chars, at, '\''),
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

/// Returns the first position from `at` whose rest matches, or the end.
fn position(chars: &[char], at: usize, matches: impl Fn(&[char]) -> bool) -> usize {
    (at..chars.len()).find(|place| matches(&chars[*place..])).unwrap_or(chars.len())
}

fn closes_raw(rest: &[char], hashes: usize) -> bool {
    rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes
}

fn end_of_block_comment(chars: &[char], at: usize) -> usize {
    let (mut depth, mut place) = (0, at);
    while place < chars.len() {
        match (chars[place], chars.get(place + 1)) {
            ('/', Some('*')) => (depth, place) = (depth + 1, place + 2),
            ('*', Some('/')) => (depth, place) = (depth - 1, place + 2),
            _ => place += 1,
        }
        if depth == 0 {
            break;
        }
    }
    place.min(chars.len())
}

fn end_of_quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut place = at + 1;
    while place < chars.len() && chars[place] != quote {
        place += if chars[place] == '\\' { 2 } else { 1 };
    }
    (place + 1).min(chars.len())
}

/// Returns the number of `#` between the `r` of a raw string and its quote; `None` if the string is not raw. `before`
/// ends just before the quote.
fn hashes_of_raw_string(before: &[char]) -> Option<usize> {
    let hashes = before.iter().rev().take_while(|c| **c == '#').count();
    let prefix = &before[..before.len() - hashes];
    prefix.ends_with(&['r']).then_some(hashes)
}
