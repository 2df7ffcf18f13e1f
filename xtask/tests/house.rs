//! The rules of the house on the house itself.

use xtask::tidy::{Report, Rule, rules};
use xtask::tree::Tree;

/// Rules that the house does not keep yet. Take a rule off as soon as it has no findings.
const PENDING: [&str; 6] =
    ["module-circles", "doc-openings", "type-names", "error-names", "test-placement", "page-length"];

/// Fails if a change breaks a rule that the house keeps.
#[test]
fn the_house_keeps_its_rules() {
    let tree = Tree::load(&Tree::own_root()).unwrap();
    let rules: Vec<&Rule> = rules::ALL.into_iter().filter(|rule| !PENDING.contains(&rule.name)).collect();
    let report = Report::of(&tree, &rules).unwrap();
    assert_eq!(report.findings(), 0, "\n{report}");
}

/// Fails if the rules pass because they see no files.
#[test]
fn the_rules_see_the_house() {
    let tree = Tree::load(&Tree::own_root()).unwrap();
    assert!(tree.shipped().count() > 200, "hardly any source is seen");
    assert!(tree.rust().filter(|source| source.is_of_tests()).count() > 50, "hardly any test is seen");
    assert!(tree.scripts().count() > 10, "hardly any script is seen");
    assert!(tree.crates().contains("xtask"), "the crates are not seen");
}
