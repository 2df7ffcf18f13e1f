//! Every rule, and what several rules need.
//!
//! | subject | rules |
//! |---|---|
//! | crates | `crate_arrows`, `herd_dependencies`, `workspace_lints` |
//! | places of words | `database`, `hardware`, `encodings`, `wall_clock` |
//! | habits | `untyped_errors`, `exits`, `unsafe_code`, `peer_verification` |
//! | invariants | `pure_fold`, `sync_without_time`, `module_circles` |
//! | language | `doc_openings`, `type_names`, `empty_names`, `error_names` |
//! | form | `file_length`, `test_placement`, `page_length`, `page_paths` |
//!
//! To add a rule, write a file with a `RULE`, name it in [`ALL`], and plant an example in `tests/planted`.

mod crate_arrows;
mod database;
mod doc_openings;
mod empty_names;
mod encodings;
mod error_names;
mod exits;
mod file_length;
mod hardware;
mod herd_dependencies;
mod manifest;
mod module_circles;
mod page_length;
mod page_paths;
mod peer_verification;
mod pure_fold;
mod sync_without_time;
mod test_placement;
mod type_names;
mod unsafe_code;
mod untyped_errors;
mod wall_clock;
mod words;
mod workspace_lints;

use super::Rule;
use std::io::{self, Write};

/// Every rule, in the order in which they are checked.
pub const ALL: [&Rule; 22] = [
    &crate_arrows::RULE,
    &herd_dependencies::RULE,
    &workspace_lints::RULE,
    &database::RULE,
    &hardware::RULE,
    &encodings::RULE,
    &untyped_errors::RULE,
    &exits::RULE,
    &wall_clock::RULE,
    &unsafe_code::RULE,
    &peer_verification::RULE,
    &pure_fold::RULE,
    &sync_without_time::RULE,
    &module_circles::RULE,
    &doc_openings::RULE,
    &type_names::RULE,
    &empty_names::RULE,
    &error_names::RULE,
    &file_length::RULE,
    &test_placement::RULE,
    &page_length::RULE,
    &page_paths::RULE,
];

/// Returns the rule of this name.
pub fn named(name: &str) -> Option<&'static Rule> {
    ALL.into_iter().find(|rule| rule.name == name)
}

/// Prints each rule with its reason.
pub fn write_list(rules: &[&Rule], out: &mut dyn Write) -> io::Result<()> {
    rules.iter().try_for_each(|rule| writeln!(out, "{:<20} {}", rule.name, rule.reason))
}
