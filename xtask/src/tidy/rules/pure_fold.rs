//! Inputs of the fold.

use super::words::naming;
use crate::tidy::Rule;
use crate::tree::Source;

/// Words for anything but the tables and the change.
const WORDS: [&str; 11] =
    ["parse", "decide", "Rules", "Clock", "Instant", "HashMap", "HashSet", "f32", "f64", "settings", "randomness"];

pub(super) const RULE: Rule = Rule {
    name: "pure-fold",
    reason: "a replica equals its source only while the fold depends on nothing but the tables and the change",
    mend: "judge in herd/src/decide/ and put the result into the change; use a BTreeMap if order matters",
    find: |tree| Ok(naming(tree, &WORDS, is_fold)),
};

/// Returns whether the rule reads this file.
///
/// `staged/` keeps rows in hash maps and sorts them before their order can be seen.
fn is_fold(source: &Source) -> bool {
    source.path().starts_with("herd/src/fold/") && !source.path().starts_with("herd/src/fold/staged/")
}
