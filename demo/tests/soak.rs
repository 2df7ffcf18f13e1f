//! The command of the soak, for some seconds. `.ci/soak` runs it for an hour.
//!
//! Catches: a soak that cannot start, that finds faults where there are none, or that leaves its files or children behind.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use std::process::Command;

#[test]
fn a_short_soak_finds_that_every_claim_holds_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_herdlinx-soak"));
    command.args(["hour", "--minutes", "0.1", "--seed", "1", "--on"]).arg(directory.path());
    let output = command.output().unwrap();
    let (tables, notices) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && tables.ends_with("Every claim holds.\n"), "{tables}\n{notices}");
    assert!(tables.contains("| barn | memory (RssAnon), MiB |") && tables.contains("| stored (201) |"), "{tables}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "{notices}");
}

#[test]
fn minutes_that_are_no_duration_are_refused() {
    for minutes in ["0", "-1", "NaN", "x"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herdlinx-soak"));
        let output = command.args(["hour", &format!("--minutes={minutes}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{minutes}");
    }
}
