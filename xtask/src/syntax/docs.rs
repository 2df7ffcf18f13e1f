//! Doc comments.

use crate::tree::{Source, TreeError};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeMap;

/// A doc comment: the adjacent lines that document one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocComment {
    /// Its first line, from 1.
    pub line: usize,
    /// Its marker, which tells an item's comment (`///`) from a module's (`//!`).
    pub marker: &'static str,
    /// Its text without markers. Lines are joined by line breaks.
    pub text: String,
}

/// Markers of doc comments.
const MARKERS: [&str; 4] = ["///", "//!", "/**", "/*!"];

/// Returns the doc comments of a file, in order.
///
/// They are found in the tokens, where the lexer has turned them into `#[doc]` attributes. This way text in strings
/// does not count, and comments inside macro calls do. A written `#[doc = ".."]` attribute is left out.
pub fn doc_comments(source: &Source) -> Result<Vec<DocComment>, TreeError> {
    let mut places = BTreeMap::new();
    collect(source.tokens()?, &mut places);
    let lines: Vec<&str> = source.text().lines().collect();
    let mut comments = Vec::new();
    let mut next_line = 0;
    for (first, last) in places {
        if let Some((marker, text)) = comment_at(&lines[first - 1..last]) {
            add(&mut comments, DocComment { line: first, marker, text }, next_line);
            next_line = last + 1;
        }
    }
    Ok(comments)
}

/// Appends the comment, or joins it to the previous one if that ends on the line above and has the same marker.
fn add(comments: &mut Vec<DocComment>, comment: DocComment, next_line: usize) {
    match comments.last_mut() {
        Some(previous) if next_line == comment.line && previous.marker == comment.marker => {
            previous.text.push('\n');
            previous.text.push_str(&comment.text);
        }
        _ => comments.push(comment),
    }
}

/// Adds first and last line of every `#[doc = ".."]` attribute.
fn collect(tokens: TokenStream, places: &mut BTreeMap<usize, usize>) {
    let mut after_pound = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                if after_pound && group.delimiter() == Delimiter::Bracket && is_doc(group.stream()) {
                    places.insert(group.span().start().line, group.span().end().line);
                } else {
                    collect(group.stream(), places);
                }
                after_pound = false;
            }
            TokenTree::Punct(punct) => after_pound = punct.as_char() == '#' || (after_pound && punct.as_char() == '!'),
            _ => after_pound = false,
        }
    }
}

fn is_doc(attribute: TokenStream) -> bool {
    let mut tokens = attribute.into_iter();
    matches!(tokens.next(), Some(TokenTree::Ident(name)) if name == "doc")
        && matches!(tokens.next(), Some(TokenTree::Punct(equals)) if equals.as_char() == '=')
}

/// Returns marker and text of the comment on these lines; `None` if they hold a written attribute.
fn comment_at(lines: &[&str]) -> Option<(&'static str, String)> {
    let text = lines.join("\n");
    let (at, marker) = MARKERS.iter().filter_map(|marker| Some((text.find(marker)?, *marker))).min()?;
    if text[..at].contains("#[") {
        return None;
    }
    let body = text[at + marker.len()..].trim_end_matches("*/");
    Some((marker, body.strip_prefix(' ').unwrap_or(body).trim_end().to_owned()))
}
