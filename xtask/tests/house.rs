//! The rules of the house on the house itself.

use std::process::Command;
use xtask::tidy::{Report, rules};
use xtask::tree::Tree;

/// Fails if a change breaks a rule.
#[test]
fn the_house_keeps_its_rules() {
    let tree = Tree::load(&Tree::own_root()).unwrap();
    let report = Report::of(&tree, &rules::ALL).unwrap();
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

/// Catches `cargo xtask ... | head` that ends with an error about a broken pipe.
#[test]
fn a_closed_output_ends_a_chore_without_a_message() {
    for chore in [&["tidy", "--list"][..], &["doc-sample"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(chore).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()), "{chore:?}");
    }
}
