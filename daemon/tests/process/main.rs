//! The real process: started, spoken to over TLS and by its commands, stopped and killed.
#![allow(clippy::unwrap_used, reason = "what should not fail in a test fails the test")]

mod barn;
mod logs;
mod radios;
mod supervised;

use barn::{Barn, text_of};
use herd::pairing::Pairing;
use rustix::process::Signal;
use serde_json::json;
use service::control::SOCKET_NAME;
use std::collections::HashSet;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};

/// The path that the field knows: a key, a payload, a stop, a restart, and it is still there.
#[test]
fn what_was_answered_as_stored_is_there_after_a_stop_and_a_restart() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let (status, answer) = process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#);
    assert_eq!((status, &answer["status"]), (201, &json!("stored")));
    assert_eq!(process.get("/api/remote/health").0, 200);
    assert_eq!(process.get("/nowhere").0, 404);
    assert_eq!(process.post("hxb_wrong", r#"{"payload":"x"}"#).0, 401);
    assert_eq!(process.stop(Signal::TERM), Some(0));

    let process = barn.start();
    let (status, again) = process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#);
    assert_eq!((status, &again["payload_id"]), (409, &answer["payload_id"]));
    assert_eq!(process.stop(Signal::INT), Some(0));
    let shown = barn.output(&["show", "batches"]);
    assert!(text_of(&shown).contains("TEST001"), "{shown:?}");
}

/// Catches a receipt that is given before the commit is durable, and a file that a kill leaves unreadable.
#[test]
fn what_was_answered_as_stored_is_there_after_a_kill() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let payloads: Vec<_> = (0..300).map(|n| format!("hxb:LOT1:LF{n}:UHF{n}")).collect();
    let (status, answer) = process.post(&key, &json!({ "payloads": payloads }).to_string());
    assert_eq!(status, 200);
    assert!(answer["results"].as_array().unwrap().iter().all(|result| result["status"] == "stored"));
    assert_eq!(process.stop(Signal::KILL), None);

    let proved = barn.output(&["verify"]);
    assert!(proved.status.success() && text_of(&proved).contains("301 changes"), "{proved:?}");
    let process = barn.start();
    assert_eq!(process.status().sequence.0, 301);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a stop that waits for its peers, and one that drops what a radio handed over: each line of the ledger was
/// written before the packet was delivered, so each must be in the store.
#[test]
fn a_stop_ends_the_process_although_peers_hang_and_loses_nothing_that_a_radio_heard() {
    let barn = Barn::new();
    let ledger = barn.path("heard");
    let process = barn.start_with(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__RATE_PER_S", "500"),
        ("HERDLINX_RADIO__SIMULATED__LEDGER", ledger.to_str().unwrap()),
    ]);
    let _hanging: Vec<_> = (0..5).map(|_| TcpStream::connect(process.addr).unwrap()).collect();
    barn::until("some packets are recorded", || process.status().sequence.0 > 50);
    assert_eq!(process.stop(Signal::TERM), Some(0));

    let store = barn.payloads();
    let heard = std::fs::read_to_string(ledger).unwrap();
    let missing: HashSet<&str> = heard.lines().filter(|line| !store.contains(*line)).collect();
    assert!(heard.lines().count() > 50 && missing.is_empty(), "{missing:?}");
}

/// Catches a command that writes beside a running process, that corrects twice, or whose refusal looks like success.
#[test]
fn a_correction_by_command_is_made_once_whether_or_not_the_process_runs() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let (_, answer) = process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#);
    let animal = answer["payload_id"].to_string();
    let moves = |key: &str, pen: &str| {
        let who = ["correct", "--author", "J. Doe", "--reason", "fence broken", "--idempotency-key", key];
        barn.output(&[&who[..], &["move_pen", "--animal", &animal, "--pen", pen]].concat())
    };
    for _ in 0..2 {
        let made = moves("k1", "P1");
        assert!(made.status.success() && text_of(&made).contains("change 3"), "{made:?}");
    }
    assert_eq!(process.status().sequence.0, 3);
    assert_eq!(process.stop(Signal::TERM), Some(0));

    assert!(moves("k2", "P2").status.success());
    assert_eq!(moves("k2", "P3").status.code(), Some(7));
    let shown = barn.output(&["show", "change", "4", "--json"]);
    let told = ["fence broken", "J. Doe", "command line", "\"pen\":\"P2\""];
    assert!(told.iter().all(|told| text_of(&shown).contains(told)), "{shown:?}");
    let process = barn.start();
    assert_eq!(process.status().sequence.0, 4);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches damage that is not found: one byte of a payload in the log is another one.
#[test]
fn a_damaged_log_is_found_and_has_a_number_of_its_own() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    assert_eq!(process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#).0, 201);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let log = barn.state_dir().join("log.redb");
    let mut bytes = std::fs::read(&log).unwrap();
    let places: Vec<_> =
        bytes.windows(5).enumerate().filter(|(_, found)| *found == b"LF999").map(|(at, _)| at).collect();
    for at in &places {
        bytes[at + 4] = b'8';
    }
    assert_ne!(places.len(), 0);
    std::fs::write(&log, bytes).unwrap();
    let proved = barn.output(&["verify"]);
    assert_eq!(proved.status.code(), Some(3), "{proved:?}");
}

/// Catches a stop between the commit and the answer that loses what was answered: callers post until they are cut off.
#[test]
fn whatever_was_answered_as_stored_while_the_process_was_stopping_is_stored() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let answered =
        process.storm(&key, 8, || barn::until("fifty are stored", || process.status().sequence.0 > 50), Signal::TERM);
    assert_eq!(process.ended(), Some(0));
    let stored = barn.payloads();
    let kept: Vec<_> = answered.iter().filter(|(status, _)| *status == 201).collect();
    assert!(kept.len() >= 50);
    assert!(kept.iter().all(|(_, payload)| stored.contains(&hex::encode(payload))));
    let others: HashSet<u16> = answered.iter().map(|(status, _)| *status).collect();
    assert!(others.is_subset(&HashSet::from([201, 503])), "{others:?}");
}

#[test]
fn commands_work_on_the_process_and_without_it() {
    let barn = Barn::new();
    let before: Pairing = barn.secret(&["pair", "--listen", "127.0.0.1:5001"]).parse().unwrap();
    assert_eq!(before.addresses, ["127.0.0.1:5001"]);
    let process = barn.start();
    let during: Pairing = barn.secret(&["pair", "--name", "head-office"]).parse().unwrap();
    assert_eq!((during.store, during.spki_sha256), (before.store, before.spki_sha256));
    assert_eq!(during.addresses, [process.addr.to_string()]);
    for paired in [&before, &during] {
        assert_eq!(process.get_with(&paired.key, "/api/sync/schema").0, 200);
        assert_eq!(process.post(&paired.key, r#"{"payload":"hxb:A:1:2"}"#).0, 403);
    }
    assert_eq!(process.get("/api/sync/schema").0, 401);
    assert!(barn.output(&["key", "revoke", "office-1"]).status.success());
    assert_eq!(process.get_with(&before.key, "/api/sync/schema").0, 401);
    let epoch = text_of(&barn.output(&["show", "change", "1", "--json"]));
    assert!(epoch.contains(r#""kind":"epoch""#), "{epoch}");
    let proved = barn.output(&["verify"]);
    assert!(proved.status.success() && text_of(&proved).contains("equal, row by row"), "{proved:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));

    assert_eq!(text_of(&barn.output(&["show", "change", "1", "--json"])), epoch);
    let again = barn.output(&["verify"]);
    assert_eq!((again.status.code(), text_of(&again)), (Some(0), text_of(&proved)));
    assert_eq!(barn.output(&["show", "change", "2"]).status.code(), Some(7));
    let keys = text_of(&barn.output(&["key", "list"]));
    assert!(keys.contains("head-office") && !keys.contains("office-1"), "{keys}");
    assert_eq!(barn.output(&["pair"]).status.code(), Some(7), "port 0 is no address to pair with");
}

#[test]
fn a_second_process_on_the_same_files_and_a_taken_port_are_told_apart() {
    let barn = Barn::new();
    let process = barn.start();
    assert_eq!(barn.output(&["run"]).status.code(), Some(6));
    assert_eq!(process.stop(Signal::TERM), Some(0));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(barn.output(&["run", "--listen", &address]).status.code(), Some(4));
}

#[test]
fn settings_are_checked_before_anything_is_made() {
    let barn = Barn::new();
    let printed = barn.output(&["config"]);
    std::fs::write(barn.path("config.toml"), &printed.stdout).unwrap();
    let file = barn.path("config.toml").to_str().unwrap().to_owned();
    assert!(barn.output(&["check", "--config", &file]).status.success());
    std::fs::write(barn.path("config.toml"), "[[radio]]\nkind = 'sx127x'\nserial = {}\n").unwrap();
    for command in ["check", "run"] {
        let refused = barn.output(&[command, "--config", &file]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("radio[0].serial"), "{refused:?}");
    }
    assert_eq!(barn.output(&["fly"]).status.code(), Some(2));
    assert!(!barn.state_dir().exists());
    let nothing = barn.output(&["show", "batches"]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no store"), "{nothing:?}");
}

#[test]
fn a_radio_whose_script_is_over_does_not_end_the_process() {
    let barn = Barn::new();
    std::fs::write(barn.path("script"), "+0 hxb:LOT1:LF1:UHF1\n").unwrap();
    let process = barn.start_with(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__SCRIPT", barn.path("script").to_str().unwrap()),
    ]);
    barn::until("the script is over", || process.status().radios[0].state == "ended");
    assert_eq!(process.status().sequence.0, 2);
    assert_eq!(process.get("/api/remote/health").0, 200);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

#[test]
fn the_status_says_who_and_where_the_process_is_and_secrets_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let barn = Barn::new();
    let process = barn.start();
    let status = process.status();
    assert_eq!(status.pid, process.pid());
    assert_eq!((status.epoch.0, status.sequence.0, status.folded.0), (1, 1, 1));
    assert_eq!(status.digest.to_string().len(), 64);
    for (file, mode) in [("", 0o700), ("local.redb", 0o600), ("control.sock", 0o600), ("tls/key.pem", 0o600)] {
        let found = std::fs::metadata(barn.state_dir().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
    let mut hanging = TcpStream::connect(process.addr).unwrap();
    assert_eq!(process.stop(Signal::TERM), Some(0));
    assert_eq!(hanging.read(&mut [0; 1]).unwrap_or(0), 0, "the peer's connection is closed");
    assert!(!barn.state_dir().join(SOCKET_NAME).exists());
}
