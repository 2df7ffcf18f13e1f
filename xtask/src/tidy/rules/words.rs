//! Words in code that ships.

use crate::tidy::Finding;
use crate::tree::{Source, Tree};

/// Returns the words of a line of code.
pub(super) fn words_of(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Returns the lines of shipped code that contain one of `words`, in the files that `place` selects.
///
/// A rule that selects no file would pass without looking at anything, so that is a finding too.
pub(super) fn naming(tree: &Tree, words: &[&str], place: impl Fn(&Source) -> bool) -> Vec<Finding> {
    let mut sources = tree.shipped().filter(|source| place(source)).peekable();
    if sources.peek().is_none() {
        return vec![Finding::of(".", "no file is left for this rule to read; has the place moved? Correct the rule")];
    }
    sources.flat_map(|source| lines_naming(source, words)).collect()
}

fn lines_naming(source: &Source, words: &[&str]) -> Vec<Finding> {
    let found = |line: &str| words.iter().find(|word| words_of(line).any(|other| other == **word)).copied();
    lines_where(source, source.shipped_code(), |line| found(line).map(|word| format!("names `{word}`")))
}

/// Returns a finding for each line of `code` that `judge` has a message for.
pub(super) fn lines_where(source: &Source, code: &str, judge: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let lines = code.lines().enumerate();
    lines.filter_map(|(index, line)| Some(Finding::at(source.path(), index + 1, judge(line)?))).collect()
}
