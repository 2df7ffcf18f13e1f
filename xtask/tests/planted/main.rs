//! Each rule of `cargo xtask tidy` on two tiny checkouts: one that breaks it, and one that does not.
//!
//! A rule that finds nothing in the house may be right or blind. These tests tell the two apart.
//!
//! | module | rules about |
//! |---|---|
//! | `crates` | crates and their dependencies |
//! | `places` | words that may stand in some places only |
//! | `language` | names and comments |
//! | `form` | files, tests, pages and modules |
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod crates;
mod form;
mod language;
mod places;

use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;
use xtask::tidy::rules;
use xtask::tree::Tree;

/// Two checkouts for one rule.
struct Example {
    rule: &'static str,
    /// Files that break the rule.
    bad: Vec<File>,
    /// Places of the findings in them: `path:line`, or `path` for a whole file.
    found: &'static [&'static str],
    /// Files that keep the rule, as close to the bad ones as possible.
    good: Vec<File>,
}

/// A file of a checkout: its path from the root, and its text.
type File = (&'static str, String);

fn file(path: &'static str, text: impl Into<String>) -> File {
    (path, text.into())
}

fn examples() -> Vec<Example> {
    [crates::examples(), places::examples(), language::examples(), form::examples()].into_iter().flatten().collect()
}

fn plant(files: &[File]) -> TempDir {
    let house = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = house.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    house
}

/// Returns the places where a rule finds something in these files.
fn places(rule: &str, files: &[File]) -> Vec<String> {
    let house = plant(files);
    let rule = rules::named(rule).unwrap_or_else(|| panic!("{rule} is not a rule"));
    let findings = (rule.find)(&Tree::load(house.path()).unwrap()).unwrap();
    let place = |line: Option<usize>, path: String| line.map_or(path.clone(), |line| format!("{path}:{line}"));
    findings.into_iter().map(|finding| place(finding.line, finding.path)).collect()
}

fn run_tidy(rule: &str, files: &[File]) -> Output {
    let house = plant(files);
    let mut program = Command::new(env!("CARGO_BIN_EXE_xtask"));
    program.args(["tidy", "--rule", rule, "--root"]).arg(house.path()).output().unwrap()
}

/// Fails if a rule is blind, or if it objects to a file that keeps it.
#[test]
fn each_rule_finds_its_planted_example_and_nothing_else() {
    for Example { rule, bad, found, good } in examples() {
        assert_eq!(places(rule, &bad), found, "{rule} on the bad files");
        assert_eq!(places(rule, &good), [""; 0], "{rule} on the good files");
    }
}

/// Fails if CI would pass in spite of a finding, or if the output does not say what to do about it.
#[test]
fn the_program_fails_on_each_planted_example_and_says_how_to_mend_it() {
    for Example { rule, bad, found, good } in examples() {
        let output = run_tidy(rule, &bad);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{rule}: {text}");
        let mend = rules::named(rule).unwrap().mend;
        assert!(found.iter().all(|place| text.contains(place)) && text.contains(mend), "{rule}: {text}");
        assert_eq!(run_tidy(rule, &good).status.code(), Some(0), "{rule}");
    }
}

/// Fails if somebody adds a rule without showing that it finds anything.
#[test]
fn every_rule_has_an_example() {
    let mut planted: Vec<&str> = examples().iter().map(|example| example.rule).collect();
    let mut all: Vec<&str> = rules::ALL.iter().map(|rule| rule.name).collect();
    planted.sort_unstable();
    all.sort_unstable();
    assert_eq!(planted, all);
}

/// Fails if a rule about a place passes after the place has moved away.
#[test]
fn a_rule_that_has_nothing_to_read_says_so() {
    let files = [file("herd/src/lib.rs", "")];
    for rule in ["pure-fold", "sync-without-time"] {
        assert_eq!(places(rule, &files), ["."], "{rule}");
    }
}
