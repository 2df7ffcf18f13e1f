//! First words of doc comments.

use crate::syntax::{DocComment, doc_comments};
use crate::tidy::{Finding, Rule, TidyError};
use crate::tree::Tree;

/// Openings that turn a description into a question, a riddle or a fragment.
const OPENINGS: [&str; 16] = [
    "As", "How", "None", "So long", "So many", "So much", "So often", "That of", "Those", "What", "Where", "Whether",
    "Who", "Whoever", "Whom", "Whose",
];

pub(super) const RULE: Rule = Rule {
    name: "doc-openings",
    reason: "a comment that opens with a question word or a fragment makes the reader complete the sentence",
    mend: "open with a noun phrase (type, field, constant) or with a verb in the third person (function): \
           \"Maximum number of ..\", \"Returns ..\"",
    find,
};

fn find(tree: &Tree) -> Result<Vec<Finding>, TidyError> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let strays = doc_comments(source)?.into_iter().filter_map(|comment| {
            let opening = banned_opening(&comment)?;
            Some(Finding::at(source.path(), comment.line, format!("opens with \"{opening}\"")))
        });
        findings.extend(strays);
    }
    Ok(findings)
}

/// Returns the banned words that the comment opens with.
fn banned_opening(comment: &DocComment) -> Option<&'static str> {
    let text = comment.text.trim_start();
    let opens = |opening: &&str| {
        text.strip_prefix(*opening).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
    };
    OPENINGS.into_iter().find(opens)
}
