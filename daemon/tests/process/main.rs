//! The shipped `herdlinxd` as a process: started, used over TLS and by its commands, stopped and killed.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails by a panic")]

mod backups;
mod barn;
mod firstboot;
mod logs;
mod lost_files;
mod process;
mod radios;
mod reads;
mod slots;
mod supervisor;

use barn::{Barn, stderr_text, stdout_text, wait_until};
use daemon::ingest::MAX_PAYLOADS;
use daemon::recorder::QUEUE_PAYLOADS;
use herd::pairing::Pairing;
use serde_json::json;
use service::control::SOCKET_NAME;
use service::harness::Signal;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;

/// Number of callers whose full arrays fill the queue, while another one waits for room.
const FILLING_CALLERS: usize = QUEUE_PAYLOADS / MAX_PAYLOADS + 1;

/// Catches a payload that an ordinary restart loses, and one that the restarted process records a second time.
#[test]
fn a_payload_acknowledged_as_stored_survives_a_shutdown_and_a_restart() {
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
    let (status, duplicate) = process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#);
    assert_eq!((status, &duplicate["payload_id"]), (409, &answer["payload_id"]));
    assert_eq!(process.stop(Signal::INT), Some(0));
    let shown = barn.output(&["show", "batches"]);
    assert!(stdout_text(&shown).contains("TEST001"), "{shown:?}");
}

/// Catches an answer that is sent before the commit is durable, and a file that a kill leaves unreadable.
#[test]
fn payloads_acknowledged_as_stored_survive_a_kill() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let payloads: Vec<_> = (0..300).map(|n| format!("hxb:LOT1:LF{n}:UHF{n}")).collect();
    let (status, answer) = process.post(&key, &json!({ "payloads": payloads }).to_string());
    assert_eq!(status, 200);
    assert!(answer["results"].as_array().unwrap().iter().all(|result| result["status"] == "stored"));
    assert_eq!(process.stop(Signal::KILL), None);

    let verify = barn.output(&["verify"]);
    assert!(verify.status.success() && stdout_text(&verify).contains("301 changes"), "{verify:?}");
    let process = barn.start();
    assert_eq!(process.status().sequence.0, 301);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches `show ... | head` that ends with an error about a broken pipe, and a closed output that passes for success.
#[test]
fn a_closed_output_ends_every_command_without_a_message() {
    let barn = Barn::new();
    barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    assert_eq!(barn.start().stop(Signal::TERM), Some(0));
    for command in [
        &["--help"][..],
        &["config"],
        &["check"],
        &["key", "list"],
        &["key", "add", "chute-2", "--scope", "ingest"],
        &["--listen", "127.0.0.1:5001", "pair"],
        &["show", "payloads"],
        &["show", "batches", "--json"],
        &["doctor", "--json"],
    ] {
        let output = barn.output_into_closed_pipe(command);
        assert_eq!((output.status.code(), stderr_text(&output)), (Some(141), String::new()), "{command:?}");
    }
    let output = barn.output_into_closed_pipe(&["--state-dir", "/nowhere", "show", "batches"]);
    assert_eq!(output.status.code(), Some(1), "other errors stay errors: {output:?}");
    assert!(!stderr_text(&output).is_empty());
}

/// Catches a shutdown that waits for its peers, and one that drops packets that a radio has delivered. The radio writes
/// each line of the ledger before it delivers the packet, so each line must be in the store.
#[test]
fn a_shutdown_does_not_wait_for_hanging_peers_and_loses_no_packet_of_a_radio() {
    let barn = Barn::new();
    let ledger = barn.path("heard");
    let process = barn.start_with_env(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__RATE_PER_S", "500"),
        ("HERDLINX_RADIO__SIMULATED__LEDGER", ledger.to_str().unwrap()),
    ]);
    let _hanging: Vec<_> = (0..5).map(|_| TcpStream::connect(process.address).unwrap()).collect();
    wait_until("more than 50 packets are recorded", || process.status().sequence.0 > 50);
    assert_eq!(process.stop(Signal::TERM), Some(0));

    let store = barn.payloads();
    let received = std::fs::read_to_string(ledger).unwrap();
    let missing: HashSet<&str> = received.lines().filter(|line| !store.contains(*line)).collect();
    assert!(received.lines().count() > 50 && missing.is_empty(), "{missing:?}");
}

/// Catches a shutdown that drops packets of a radio, or an acknowledged array, because callers have filled the queue.
#[test]
fn a_shutdown_while_callers_fill_the_queue_loses_no_packet_of_a_radio() {
    let barn = Barn::new();
    let (writer, reader) = ["ingest", "read"].map(|scope| barn.secret(&["key", "add", scope, "--scope", scope])).into();
    let ledger = barn.path("heard");
    let process = barn.start_with_env(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__RATE_PER_S", "500"),
        ("HERDLINX_RADIO__SIMULATED__LEDGER", ledger.to_str().unwrap()),
    ]);
    let array = |caller, n| {
        let payloads = (0..MAX_PAYLOADS).map(|at| format!("hxb:FULL:LF{caller}-{n}-{at}:UHF{caller}-{n}-{at}"));
        json!({ "payloads": payloads.collect::<Vec<_>>() })
    };
    let is_full = || {
        let (_, answer) = process.get_with_key(&reader, "/api/lora/buffer-status");
        answer["data"]["queued_payloads"].as_u64() > Some((QUEUE_PAYLOADS - MAX_PAYLOADS) as u64)
    };
    wait_until("more than 50 packets are recorded", || process.status().sequence.0 > 50);
    let full = || wait_until("the queue has no room for another array", is_full);
    let answers = process.post_until_shutdown(&writer, FILLING_CALLERS, array, full, Signal::TERM);
    assert_eq!(process.wait(), Some(0));

    let store = barn.payloads();
    let received = std::fs::read_to_string(ledger).unwrap();
    let missing: HashSet<&str> = received.lines().filter(|line| !store.contains(*line)).collect();
    assert!(received.lines().count() > 50 && missing.is_empty(), "{missing:?}");
    let stored =
        answers.iter().filter(|(status, _)| *status == 200).filter_map(|(_, body)| body["payloads"].as_array());
    let lost = stored.flatten().filter(|payload| !store.contains(&hex::encode(payload.as_str().unwrap()))).count();
    assert_eq!(lost, 0);
}

/// Catches a command that writes to the files of a running process, applies a correction twice, or exits with 0
/// although it was refused.
#[test]
fn a_correction_by_command_is_applied_once_whether_or_not_the_process_runs() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let (_, answer) = process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#);
    let animal = answer["payload_id"].to_string();
    let move_pen = |key: &str, pen: &str| {
        let correct = ["correct", "--author", "J. Doe", "--reason", "fence broken", "--idempotency-key", key];
        barn.output(&[&correct[..], &["move_pen", "--animal", &animal, "--pen", pen]].concat())
    };
    for _ in 0..2 {
        let output = move_pen("k1", "P1");
        assert!(output.status.success() && stdout_text(&output).contains("change 3"), "{output:?}");
    }
    assert_eq!(process.status().sequence.0, 3);
    assert_eq!(process.stop(Signal::TERM), Some(0));

    assert!(move_pen("k2", "P2").status.success());
    assert_eq!(move_pen("k2", "P3").status.code(), Some(7));
    let shown = barn.output(&["show", "change", "4", "--json"]);
    let expected = ["fence broken", "J. Doe", "command line", "\"pen\":\"P2\""];
    assert!(expected.iter().all(|text| stdout_text(&shown).contains(text)), "{shown:?}");
    let process = barn.start();
    assert_eq!(process.status().sequence.0, 4);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches an operator who gives an order twice, under two keys: the first one was recorded, and its answer was lost.
#[test]
fn a_correction_without_an_answer_names_its_key_and_is_not_called_refused() {
    let barn = Barn::new();
    std::fs::create_dir_all(barn.state_dir()).unwrap();
    let socket = UnixListener::bind(barn.state_dir().join(SOCKET_NAME)).unwrap();
    let silent = std::thread::spawn(move || {
        let (stream, _) = socket.accept().unwrap();
        BufReader::new(stream).read_line(&mut String::new()).unwrap();
    });
    let correct = ["correct", "--author", "J. Doe", "--reason", "fence broken", "died", "--animal", "2"];
    let output = barn.output(&correct);
    silent.join().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let key = text.split("--idempotency-key ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(key.len() == 32 && hex::decode(key).is_ok(), "{text}");
}

/// Catches an order that leaves payloads in their old era, that does not say what it begins, or whose retry is another order.
#[test]
fn a_new_reader_era_moves_payloads_and_names_its_generated_key() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    assert_eq!(process.post(&key, r#"{"payload":"event:hxbchi000001|lid:1|weight:200"}"#).0, 201);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let correct = ["correct", "--author", "J. Doe", "--reason", "readers were reset"];
    let output = barn.output(&[&correct[..], &["new_reader_era", "--group", "main", "--from", "2"]].concat());
    let text = stdout_text(&output);
    assert!(output.status.success() && text.contains("The payloads from 2 on move into the new era"), "{output:?}");
    let generated = text.lines().find_map(|line| line.strip_prefix("Its idempotency key is ")).unwrap();
    let generated = generated.trim_end_matches('.');
    assert!(generated.len() == 32 && hex::decode(generated).is_ok(), "{generated}");
    let process = barn.start();
    let moves = process.status().reader_era_moves;
    assert!(matches!(moves.as_slice(), [moves] if moves.done && moves.moved == 1), "{moves:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches damage that `verify` misses: the test changes one byte of a payload in the log.
#[test]
fn verify_reports_a_damaged_log_with_its_own_exit_code() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    assert_eq!(process.post(&key, r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#).0, 201);
    assert_eq!(process.stop(Signal::TERM), Some(0));
    let log = barn.state_dir().join("log.redb");
    let mut bytes = std::fs::read(&log).unwrap();
    let offsets: Vec<_> =
        bytes.windows(5).enumerate().filter(|(_, window)| *window == b"LF999").map(|(offset, _)| offset).collect();
    for offset in &offsets {
        bytes[offset + 4] = b'8';
    }
    assert_ne!(offsets.len(), 0);
    std::fs::write(&log, bytes).unwrap();
    let verify = barn.output(&["verify"]);
    assert_eq!(verify.status.code(), Some(3), "{verify:?}");
}

/// Catches a shutdown that answers before the commit: callers post until their connections are closed.
#[test]
fn payloads_acknowledged_during_a_shutdown_are_stored() {
    let barn = Barn::new();
    let key = barn.secret(&["key", "add", "chute-1", "--scope", "ingest"]);
    let process = barn.start();
    let fifty_stored = || wait_until("fifty payloads are stored", || process.status().sequence.0 > 50);
    let call = |caller, n| json!({ "payload": format!("hxb:STORM:LF{caller}-{n}:UHF{caller}-{n}") });
    let answers = process.post_until_shutdown(&key, 8, call, fifty_stored, Signal::TERM);
    assert_eq!(process.wait(), Some(0));
    let stored = barn.payloads();
    let acknowledged: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    assert!(acknowledged.len() >= 50);
    assert!(acknowledged.iter().all(|(_, body)| stored.contains(&hex::encode(body["payload"].as_str().unwrap()))));
    let statuses: HashSet<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert!(statuses.is_subset(&HashSet::from([201, 503])), "{statuses:?}");
}

/// Catches a command that works only with a running process, or only without one, and one whose result differs.
#[test]
fn commands_work_with_and_without_a_running_process() {
    let barn = Barn::new();
    let before: Pairing = barn.secret(&["pair", "--listen", "127.0.0.1:5001"]).parse().unwrap();
    assert_eq!(before.addresses, ["127.0.0.1:5001"]);
    let process = barn.start();
    let during: Pairing = barn.secret(&["pair", "--name", "head-office"]).parse().unwrap();
    assert_eq!((during.store, during.spki_sha256), (before.store, before.spki_sha256));
    assert_eq!(during.addresses, [process.address.to_string()]);
    for pairing in [&before, &during] {
        assert_eq!(process.get_with_key(&pairing.key, "/api/sync/schema").0, 200);
        assert_eq!(process.post(&pairing.key, r#"{"payload":"hxb:A:1:2"}"#).0, 403);
    }
    assert_eq!(process.get("/api/sync/schema").0, 401);
    assert!(barn.output(&["key", "revoke", "office-1"]).status.success());
    assert_eq!(process.get_with_key(&before.key, "/api/sync/schema").0, 401);
    let epoch = stdout_text(&barn.output(&["show", "change", "1", "--json"]));
    assert!(epoch.contains(r#""kind":"epoch""#), "{epoch}");
    let verify = barn.output(&["verify"]);
    assert!(verify.status.success() && stdout_text(&verify).contains("rows hashed again"), "{verify:?}");
    assert_eq!(process.stop(Signal::TERM), Some(0));

    assert_eq!(stdout_text(&barn.output(&["show", "change", "1", "--json"])), epoch);
    let verify_stopped = barn.output(&["verify"]);
    assert_eq!((verify_stopped.status.code(), stdout_text(&verify_stopped)), (Some(0), stdout_text(&verify)));
    assert_eq!(barn.output(&["show", "change", "2"]).status.code(), Some(7));
    let keys = stdout_text(&barn.output(&["key", "list"]));
    assert!(keys.contains("head-office") && !keys.contains("office-1"), "{keys}");
    assert_eq!(barn.output(&["pair"]).status.code(), Some(7), "an office cannot connect to port 0");
}

/// Catches a start on locked files and one on a taken port that exit with the same code.
#[test]
fn a_second_process_on_the_same_files_and_a_taken_port_have_different_exit_codes() {
    let barn = Barn::new();
    let process = barn.start();
    assert_eq!(barn.output(&["run"]).status.code(), Some(6));
    assert_eq!(process.stop(Signal::TERM), Some(0));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(barn.output(&["run", "--listen", &address]).status.code(), Some(4));
}

/// Catches a refused start that leaves files behind.
#[test]
fn settings_are_checked_before_any_file_is_created() {
    let barn = Barn::new();
    let printed = barn.output(&["config"]);
    std::fs::write(barn.path("config.toml"), &printed.stdout).unwrap();
    let file = barn.path("config.toml").to_str().unwrap().to_owned();
    assert!(barn.output(&["check", "--config", &file]).status.success());
    std::fs::write(barn.path("config.toml"), "[[radio]]\nkind = 'sx127x'\nserial = {}\n").unwrap();
    for command in ["check", "run"] {
        let refused = barn.output(&[command, "--config", &file]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr_text(&refused).contains("radio[0].serial"), "{refused:?}");
    }
    assert_eq!(barn.output(&["fly"]).status.code(), Some(2));
    assert!(!barn.state_dir().exists());
    let show = barn.output(&["show", "batches"]);
    assert!(stderr_text(&show).contains("there is no store"), "{show:?}");
}

/// Catches a process that takes the end of a simulated radio for its own.
#[test]
fn a_finished_radio_script_does_not_stop_the_process() {
    let barn = Barn::new();
    std::fs::write(barn.path("script"), "+0 hxb:LOT1:LF1:UHF1\n").unwrap();
    let process = barn.start_with_env(&[
        ("HERDLINX_RADIO__KIND", "simulated"),
        ("HERDLINX_RADIO__SIMULATED__SCRIPT", barn.path("script").to_str().unwrap()),
    ]);
    wait_until("the script ends", || process.status().radios[0].state == "ended");
    assert_eq!(process.status().sequence.0, 2);
    assert_eq!(process.get("/api/remote/health").0, 200);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

/// Catches a status of another process, a secret that other users can read, and a socket that outlives its process.
#[test]
fn status_identifies_the_process_and_secrets_are_readable_by_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let barn = Barn::new();
    let process = barn.start();
    let status = process.status();
    assert_eq!(status.pid, process.pid());
    assert_eq!((status.epoch.0, status.sequence.0, status.folded.0), (1, 1, 1));
    assert_eq!(status.digest.to_string().len(), 64);
    for (file, mode) in [("", 0o700), ("local.redb", 0o600), ("control.sock", 0o600), ("tls/key.pem", 0o600)] {
        let permissions = std::fs::metadata(barn.state_dir().join(file)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{file}");
    }
    let mut hanging = TcpStream::connect(process.address).unwrap();
    assert_eq!(process.stop(Signal::TERM), Some(0));
    assert_eq!(hanging.read(&mut [0; 1]).unwrap_or(0), 0, "the peer's connection is closed");
    assert!(!barn.state_dir().join(SOCKET_NAME).exists());
}
