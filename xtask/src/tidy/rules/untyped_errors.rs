//! Untyped errors.

use super::words::naming;
use crate::tidy::Rule;
use crate::tree::Source;

pub(super) const RULE: Rule = Rule {
    name: "typed-errors",
    reason: "an untyped error cannot be matched, only shown, so it belongs at the edge: a main file or a command line",
    mend: "return an enum that derives `thiserror::Error`",
    find: |tree| Ok(naming(tree, &["anyhow"], |source| !is_edge(source))),
};

/// Returns whether errors of this file only reach people. A failed bench is read by the person who started it.
fn is_edge(source: &Source) -> bool {
    let path = source.path();
    source.is_main() || path.ends_with("/cli.rs") || path.contains("/cli/") || path.starts_with("demo/src/bench/")
}
