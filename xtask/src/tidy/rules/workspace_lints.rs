//! Lints.

use crate::tidy::{Finding, Rule};
use crate::tree::Tree;

pub(super) const RULE: Rule = Rule {
    name: "workspace-lints",
    reason: "one list of lints holds everywhere, or it holds nowhere",
    mend: "write `[lints]` and below it `workspace = true` into the manifest",
    find: |tree| Ok(tree.crates().into_iter().filter_map(|name| stray(tree, name)).collect()),
};

fn stray(tree: &Tree, name: &str) -> Option<Finding> {
    let manifest = tree.source(&format!("{name}/Cargo.toml"))?;
    let takes = manifest.text().contains("[lints]\nworkspace = true");
    (!takes).then(|| Finding::of(manifest.path(), "does not take the lints of the workspace"))
}
