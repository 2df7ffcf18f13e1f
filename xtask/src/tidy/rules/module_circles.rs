//! Circles between modules.

use crate::modules::{Circle, CrateModules, Link, circles};
use crate::tidy::{Finding, Rule, TidyError};
use crate::tree::Tree;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    name: "module-circles",
    reason: "modules that use each other can only be read, tested and moved together",
    mend: "move what both need into a third module, or pass it as an argument; xtask/src/modules/mod.rs defines a \
           circle",
    find,
};

fn find(tree: &Tree) -> Result<Vec<Finding>, TidyError> {
    let mut findings = Vec::new();
    for name in tree.crates() {
        findings.extend(circles(&CrateModules::of(tree, name)?).iter().filter_map(finding));
    }
    Ok(findings)
}

/// Makes one finding for a circle, at its first link.
fn finding(circle: &Circle) -> Option<Finding> {
    let first = circle.links.first()?;
    let parts: BTreeSet<&str> = circle.links.iter().map(|link| link.from.as_str()).collect();
    let parts: Vec<&str> = parts.into_iter().collect();
    let links: String = circle.links.iter().map(line).collect();
    Some(Finding::at(&first.file, first.line, format!("circle in {}: {}{links}", circle.parent, parts.join(", "))))
}

fn line(link: &Link) -> String {
    format!("\n    {} -> {}: {}:{} uses {}", link.from, link.to, link.file, link.line, link.used)
}
