//! Lengths of pages.

use crate::tidy::{Finding, Rule};
use crate::tree::Tree;

/// Pages and the number of words that each may have, as `wc -w` counts them.
const MAX_WORDS: [(&str, usize); 2] = [("README.md", 1200), ("ARCHITECTURE.md", 2500)];

pub(super) const RULE: Rule = Rule {
    name: "page-length",
    reason: "the first two pages are read whole only while they are short",
    mend: "move the details to docs/, or to the top of the module that a decision shaped; `wc -w` counts the words",
    find: |tree| Ok(MAX_WORDS.into_iter().filter_map(|(page, max)| stray(tree, page, max)).collect()),
};

fn stray(tree: &Tree, page: &str, max: usize) -> Option<Finding> {
    let Some(source) = tree.source(page) else { return Some(Finding::of(page, "this page is missing")) };
    let words = source.text().split_whitespace().count();
    (words > max).then(|| Finding::of(page, format!("{words} words; at most {max} are allowed")))
}
