//! Names that say nothing.

use super::words::{lines_where, words_of};
use crate::tidy::{Finding, Rule};
use crate::tree::Source;

/// Beginnings of function names that fit every function.
const VERBS: [&str; 3] = ["handle_", "process_", "do_"];
/// Words that fit every collection of code.
const DRAWERS: [&str; 7] = ["manager", "helper", "helpers", "util", "utils", "common", "misc"];

pub(super) const RULE: Rule = Rule {
    name: "empty-names",
    reason: "handle, process, do, manager, helper, util, common and misc fit everything and tell nothing",
    mend: "name the thing after what it holds, and the function after what it achieves",
    find: |tree| Ok(tree.rust().filter(|source| source.path().contains("/src/")).flat_map(findings).collect()),
};

fn findings(source: &Source) -> Vec<Finding> {
    lines_where(source, source.code(), |line| empty_name(line).map(|name| format!("`{name}` says nothing")))
}

/// Returns the name that a line declares, if it says nothing.
fn empty_name(line: &str) -> Option<&str> {
    let words: Vec<&str> = words_of(line).collect();
    let declared = words.windows(2).find(|pair| match pair[0] {
        "fn" => VERBS.iter().any(|verb| pair[1].starts_with(verb)) || is_drawer(pair[1]),
        "mod" | "struct" | "enum" | "trait" => is_drawer(pair[1]),
        _ => false,
    });
    declared.map(|pair| pair[1])
}

/// Returns whether one of the words of a name is a drawer for all sorts.
fn is_drawer(name: &str) -> bool {
    let snake = name.split('_').any(|word| DRAWERS.contains(&word));
    let camel = ["Manager", "Helper", "Util", "Common", "Misc"];
    snake || camel.iter().any(|word| name.match_indices(word).any(|(at, _)| ends_word(&name[at + word.len()..])))
}

/// Returns whether a camel-case word ends before `rest`; its plural counts as its end.
fn ends_word(rest: &str) -> bool {
    rest.strip_prefix('s').unwrap_or(rest).chars().next().is_none_or(|c| !c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a ban catches an honest name that only contains the letters, or misses a name that says nothing.
    #[test]
    fn empty_names_are_found_and_full_ones_pass() {
        let bad =
            ["pub fn handle_packet() {", "async fn do_it(", "mod util;", "pub struct SyncManager {", "mod common {"];
        for line in bad {
            assert!(empty_name(line).is_some(), "{line}");
        }
        let good =
            ["fn handover()", "fn domain()", "mod recorder;", "struct Processor", "let helper = 1;", "fn processed()"];
        for line in good {
            assert!(empty_name(line).is_none(), "{line}");
        }
    }
}
