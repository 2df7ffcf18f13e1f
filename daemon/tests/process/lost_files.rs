//! Files that were lost, put back, or damaged while the process did not run.
//!
//! Catches: a start that gives numbers again, that goes on without its keys as if there were none, or that hides damage.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails by a panic")]

use crate::barn::{Barn, stderr_text, stdout_text, wait_until};
use serde_json::json;
use service::harness::Signal;
use std::fs;

const FILES: [&str; 3] = ["log.redb", "log.journal", "tables.redb"];

fn record(barn: &Barn, key: &str, payloads: std::ops::Range<u32>) {
    let process = barn.start();
    for n in payloads {
        let (status, answer) = process.post(key, &format!(r#"{{"payload":"hxb:LOT1:LF{n}:UHF{n}"}}"#));
        assert_eq!(status, 201, "{answer}");
    }
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Checks that no start gets through, and that it says what to do.
fn is_refused(barn: &Barn) {
    for _ in 0..2 {
        let run = barn.output(&["run"]);
        assert_eq!(run.status.code(), Some(3), "{run:?}");
        assert!(stderr_text(&run).contains("accept-log"), "{run:?}");
    }
}

fn accept(barn: &Barn) -> std::process::Output {
    barn.output(&["accept-log", "--author", "J. Doe", "--reason", "card died"])
}

#[test]
fn a_log_that_vanished_ends_the_start_until_a_person_accepts_it() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    record(&barn, &key, 0..3);
    assert_eq!(accept(&barn).status.code(), Some(7), "there is nothing to accept");
    for file in FILES {
        fs::remove_file(barn.state_dir().join(file)).unwrap();
    }
    is_refused(&barn);
    fs::write(barn.state_dir().join("log.redb"), b"").unwrap();
    is_refused(&barn);
    assert_eq!(fs::metadata(barn.state_dir().join("log.redb")).unwrap().len(), 0, "nothing is written");

    let accepted = accept(&barn);
    assert!(accepted.status.success() && stdout_text(&accepted).contains("epoch 2"), "{accepted:?}");
    record(&barn, &key, 3..4);
    let epoch = stdout_text(&barn.output(&["show", "change", "1", "--json"]));
    assert!(epoch.contains("card died") && epoch.contains("J. Doe"), "{epoch}");
}

#[test]
fn an_older_log_ends_the_start_until_a_person_accepts_it() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    record(&barn, &key, 0..2);
    fs::create_dir(barn.path("copy")).unwrap();
    for file in FILES {
        fs::copy(barn.state_dir().join(file), barn.path("copy").join(file)).unwrap();
    }
    record(&barn, &key, 2..5);
    for file in FILES {
        fs::copy(barn.path("copy").join(file), barn.state_dir().join(file)).unwrap();
    }
    is_refused(&barn);
    let accepted = accept(&barn);
    assert!(accepted.status.success() && stdout_text(&accepted).contains("change 4"), "{accepted:?}");
    record(&barn, &key, 2..5);
    assert_eq!(barn.output(&["verify"]).status.code(), Some(0));
}

/// Checks a barn whose `local.redb` is unusable: it hears, says so, and lets nobody in.
fn is_closed_and_hears(barn: &Barn, key: &str) {
    let local = barn.state_dir().join("local.redb");
    let before = fs::read(&local).unwrap();
    fs::write(barn.path("script"), "+0 hxb:LOT9:LF900:UHF900\n").unwrap();
    let process = barn.start_with_env(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__SCRIPT", barn.path("script").to_str().unwrap()),
    ]);
    wait_until("the radio is recorded", || process.status().sequence.0 == 3);
    let (status, health) = process.get("/api/remote/health");
    assert_eq!((status, &health["failing"]), (503, &json!(["keys"])));
    for path in ["/api/remote/status", "/api/sync/schema", "/metrics", "/nowhere"] {
        assert_eq!(process.get_with_key(key, path).0, 503, "{path}");
        assert_eq!(process.get(path).1["error"], "keys_damaged", "{path}");
    }
    assert_eq!(process.post(key, r#"{"payload":"hxb:LOT1:LF7:UHF7"}"#).0, 503);
    assert_ne!(barn.output(&["key", "add", "new", "--scope", "ingest"]).status.code(), Some(0));
    assert_eq!(process.stop(Signal::TERM), Some(0));
    assert!(fs::read(&local).unwrap() == before, "the file is left as it is");
}

#[test]
fn damaged_keys_close_the_doors_and_the_radio_is_recorded() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    record(&barn, &key, 0..1);
    fs::write(barn.state_dir().join("local.redb"), [0x5a; 9_000]).unwrap();
    is_closed_and_hears(&barn, &key);
}

/// Catches an empty file that passes for that of a new barn.
#[test]
fn an_empty_file_of_keys_is_a_damaged_one() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    record(&barn, &key, 0..1);
    fs::write(barn.state_dir().join("local.redb"), b"").unwrap();
    is_closed_and_hears(&barn, &key);
}

/// Changes the last digit of a text wherever `log.redb` has it.
fn damage_log(barn: &Barn, text: &[u8]) {
    let log = barn.state_dir().join("log.redb");
    let mut bytes = fs::read(&log).unwrap();
    let places: Vec<_> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert_ne!(places.len(), 0);
    for at in places {
        bytes[at + text.len() - 1] ^= 1;
    }
    fs::write(&log, bytes).unwrap();
}

#[test]
fn a_damaged_row_is_named_in_health_and_to_the_office_and_the_barn_goes_on() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let office = barn.secret(&["key", "add", "office-1", "--scope", "sync"]);
    // A row for each run of the process: it is laid at the clean stop.
    for n in 0..3 {
        record(&barn, &key, n * 10..n * 10 + 3);
    }
    damage_log(&barn, b"LF11");
    let process = barn.start();
    assert_eq!(process.get("/api/remote/health").0, 200, "nobody has read it");
    let (status, page) = process.get_with_key(&office, "/api/sync/changes?limit=100");
    assert_eq!((status, page["changes"].as_array().map(Vec::len)), (200, Some(4)), "{page}");
    let text = |key: &str| page["end"][key].as_str().map_or_else(|| page["end"][key].to_string(), str::to_owned);
    let names = [("store", "store"), ("epoch", "epoch"), ("after", "sequence"), ("digest", "digest")];
    let position = names.map(|(name, key)| format!("{name}={}", text(key))).join("&");
    let (status, refused) = process.get_with_key(&office, &format!("/api/sync/changes?{position}"));
    assert_eq!((status, &refused["error"]), (503, &json!("log_damaged")), "{refused}");
    let row = json!({"first": 5, "last": 7});
    assert_eq!((&refused["first"], &refused["last"]), (&row["first"], &row["last"]));
    let (status, health) = process.get("/api/remote/health");
    assert_eq!((status, &health["failing"], &health["damaged"]), (503, &json!(["log"]), &json!([row])));
    assert_eq!(process.post(&key, r#"{"payload":"hxb:LOT1:LF77:UHF77"}"#).0, 201);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let verify = barn.output(&["verify"]);
    assert_eq!(verify.status.code(), Some(3));
    assert!(stdout_text(&verify).contains("changes 5 to 7"), "{verify:?}");
}
