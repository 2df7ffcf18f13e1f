//! Backups of a barn that runs and of one that does not.
//!
//! Catches: a backup that lacks what was answered as stored, that is taken for whole although it is not, or that costs an
//! older one.

use crate::barn::{Barn, stderr_text, stdout_text};
use herd::pairing::Pairing;
use serde_json::json;
use service::harness::Signal;
use std::fs;
use std::path::PathBuf;

fn record(barn: &Barn, key: &str, payloads: std::ops::Range<u32>) {
    let process = barn.start();
    for n in payloads {
        let (status, answer) = process.post(key, &json!({ "payload": format!("hxb:LOT1:LF{n}:UHF{n}") }).to_string());
        assert_eq!(status, 201, "{answer}");
    }
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Runs a command about a backup, and returns its exit code and what it printed.
fn run(barn: &Barn, args: &[&str]) -> (Option<i32>, String) {
    let output = barn.output(args);
    (output.status.code(), stdout_text(&output) + &stderr_text(&output))
}

#[test]
fn a_running_and_a_stopped_barn_are_backed_up_alike_and_both_files_are_proved() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    record(&barn, &key, 0..3);
    let files = ["stopped.backup", "running.backup"].map(|name| barn.path(name));
    let [stopped, running] = files.each_ref().map(|path| path.to_str().unwrap());
    let (code, text) = run(&barn, &["backup", stopped]);
    assert!(code == Some(0) && text.contains("3 payloads in 4 changes"), "{text}");
    assert!(text.contains("on the same disk"), "{text}");

    let process = barn.start();
    assert_eq!(process.post(&key, r#"{"payload":"hxb:LOT1:LF9:UHF9"}"#).0, 201);
    let (code, text) = run(&barn, &["backup", running]);
    assert!(code == Some(0) && text.contains("4 payloads in 5 changes"), "{text}");
    let digest = process.status().digest.to_string();
    assert!(text.contains(&digest), "{text}");
    assert_eq!(process.stop(Signal::TERM), Some(0));

    for (file, found) in [(stopped, "3 payloads in 4 changes"), (running, "4 payloads in 5 changes")] {
        let (code, text) = run(&barn, &["verify", file]);
        assert!(code == Some(0) && text.contains(found), "{text}");
    }
    let before = fs::read(running).unwrap();
    let (code, text) = run(&barn, &["backup", running]);
    assert!(code == Some(7) && text.contains("--force"), "{text}");
    assert!(fs::read(running).unwrap() == before);
    assert_eq!(run(&barn, &["backup", running, "--force"]).0, Some(0));
}

/// Returns a barn with three payloads, which does not run, and its backup.
fn backed_up() -> (Barn, PathBuf) {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    record(&barn, &key, 0..3);
    let path = barn.path("north.backup");
    assert_eq!(run(&barn, &["backup", path.to_str().unwrap()]).0, Some(0));
    (barn, path)
}

#[test]
fn a_file_that_is_no_whole_backup_is_named_as_what_it_is() {
    let (barn, path) = backed_up();
    let file = path.to_str().unwrap();
    let whole = fs::read(&path).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    let cases = [
        (&whole[..whole.len() - 1], 3, "was cut short"),
        (&altered, 3, "is damaged"),
        (b"some other file", 7, "not a backup"),
        (&[&whole[..8], b"\x02", &whole[9..]].concat(), 7, "version 2"),
    ];
    for (bytes, expected, words) in cases {
        fs::write(&path, bytes).unwrap();
        let (code, text) = run(&barn, &["verify", file]);
        assert!(code == Some(expected) && text.contains(words), "{code:?}: {text}");
    }
    assert_eq!(run(&barn, &["verify", "no-such-file"]).0, Some(1));
}

#[test]
fn there_is_no_backup_of_nothing() {
    let barn = Barn::new();
    let path = barn.path("north.backup");
    let (code, text) = run(&barn, &["backup", path.to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("there is no store"), "{code:?}: {text}");
    assert!(!path.exists() && !barn.path("north.backup.partial").exists());
}

/// Catches a barn that its commands do not bring back, a machine whose own log they replace, and a run over a running one.
#[test]
fn a_barn_is_restored_from_its_backup_and_recovered_from_a_damaged_log() {
    let (barn, path) = backed_up();
    let file = path.to_str().unwrap();
    let (code, text) = run(&barn, &["restore", file]);
    assert!(code == Some(7) && text.contains("already holds everything that the backup holds"), "{text}");

    let machine = Barn::new();
    let restored = machine.output(&["--listen", "127.0.0.1:5001", "restore", file]);
    let text = stdout_text(&restored);
    assert!(restored.status.success() && text.contains("Epoch 2 begins at change 5."), "{restored:?}");
    let pairing: Pairing = text.lines().last().unwrap().parse().unwrap();
    let process = machine.start();
    assert_eq!((process.status().store, process.status().sequence.0), (pairing.store, 5));
    for command in ["restore", "recover"] {
        let (code, text) = run(&machine, &[command, file]);
        assert!(code == Some(7) && text.contains("stop it first"), "{command}: {text}");
    }
    assert_eq!(process.stop(Signal::TERM), Some(0));

    // Nothing was recorded after this one, so nothing is known to be lost.
    let last = machine.path("last.backup");
    assert_eq!(run(&machine, &["backup", last.to_str().unwrap()]).0, Some(0));
    for file in ["log.redb", "log.journal", "tables.redb"] {
        fs::remove_file(machine.state_dir().join(file)).unwrap();
    }
    let (code, text) = run(&machine, &["restore", last.to_str().unwrap()]);
    assert!(code == Some(0) && text.contains("What the barn recorded after change 5, if anything"), "{text}");

    let log = barn.state_dir().join("log.redb");
    let mut damaged = fs::read(&log).unwrap();
    damaged[..4_096].fill(0);
    fs::write(&log, damaged).unwrap();
    let (code, text) = run(&barn, &["recover", "--from", file]);
    assert!(
        code == Some(0) && text.contains("Changes 1 to 4 are whole, and are the new log. Epoch 2 follows."),
        "{text}"
    );
    assert!(text.contains("kept as log.redb.set-aside-1") && barn.state_dir().join("log.redb.set-aside-1").exists());
    assert_eq!(run(&barn, &["verify"]).0, Some(0));
    let (code, text) = run(&barn, &["recover", barn.state_dir().to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("it is no file"), "{text}");
}
