//! Arrows between our crates.

use super::manifest::dependencies;
use crate::tidy::{Finding, Rule};
use crate::tree::{Source, Tree};

/// Our crates, each with those of ours that it may depend on. `ARCHITECTURE.md` draws the same picture.
const ARROWS: [(&str, &[&str]); 8] = [
    ("radio", &[]),
    ("herd", &[]),
    ("service", &["herd"]),
    ("daemon", &["service", "herd", "radio"]),
    ("mirror", &["service", "herd"]),
    ("demo", &["daemon", "herd", "mirror", "radio", "service"]),
    // For the command lines of both programs and their exit codes, which the manual prints.
    ("xtask", &["daemon", "mirror", "service"]),
    // A workspace of its own, for everything that reads bytes from outside.
    ("fuzz", &["daemon", "herd", "mirror", "radio", "service"]),
];
/// Crates of others that only `herd` may use outside tests.
const ONLY_HERD: [&str; 2] = ["redb", "postcard"];

pub(super) const RULE: Rule = Rule {
    name: "crate-arrows",
    reason: "a radio that knew cattle, or a replica that knew the barn, could not be tested or moved alone",
    mend: "move the code to the crate that both sides already use; a new crate gets a line in ARROWS",
    find: |tree| Ok(tree.crates().into_iter().flat_map(|name| strays(tree, name)).collect()),
};

fn strays(tree: &Tree, name: &str) -> Vec<Finding> {
    let path = format!("{name}/Cargo.toml");
    let Some(manifest) = tree.source(&path) else { return Vec::new() };
    match ARROWS.iter().find(|(known, _)| *known == name) {
        Some((_, allowed)) => strays_of(manifest, name, allowed),
        None => vec![Finding::of(&path, "this crate has no line in ARROWS, so nothing bounds what it may use")],
    }
}

fn strays_of(manifest: &Source, name: &str, allowed: &[&str]) -> Vec<Finding> {
    let message = |dependency: &str, section: &str| {
        let is_ours = ARROWS.iter().any(|(known, _)| *known == dependency);
        if is_ours && !allowed.contains(&dependency) {
            return Some(format!("`{name}` must not use `{dependency}`, which stands in [{section}]"));
        }
        let is_kept_for_herd = ONLY_HERD.contains(&dependency) && name != "herd" && section == "dependencies";
        is_kept_for_herd.then(|| format!("only `herd` may use `{dependency}`, which stands in [{section}]"))
    };
    let found = dependencies(manifest).into_iter();
    found.filter_map(|d| Some(Finding::at(manifest.path(), d.line, message(&d.name, &d.section)?))).collect()
}
