//! Reads over HTTPS that the shipped process refuses, and their traces in log, status and metrics.

use crate::barn::{Barn, wait_until};
use serde_json::{Value, json};
use service::harness::Signal;
use std::fs::read_to_string;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Catches a reader in the field whose reads are refused while nobody learns of it: each kind of refusal has a line with
/// sender, reason and remedy, and a number.
#[test]
fn refused_reads_leave_a_line_of_each_kind_and_are_counted() {
    let barn = Barn::new();
    let [key, office] = [["chute-1", "ingest"], ["office-1", "read"]]
        .map(|[name, scope]| barn.secret(&["key", "add", name, "--scope", scope]));
    let process = barn.start();
    let payload = r#"{"payload":"hxb:LOT1:LF1:UHF1"}"#;
    assert_eq!(process.post(&key, payload).0, 201);
    for _ in 0..3 {
        assert_eq!(process.post("hxb_wrong", payload).0, 401);
    }
    assert_eq!(process.post(&office, payload).0, 403);
    assert_eq!(process.post(&key, "{").0, 400);
    assert_eq!(process.post(&key, &json!({ "payload": "x".repeat(5_000) }).to_string()).0, 413);
    assert_eq!(process.post(&key, r#"{"payload":"nonsense"}"#).0, 422);
    assert_eq!(process.post(&key, &json!({ "payloads": ["hxb:LOT1:LF2:UHF2", 7] }).to_string()).0, 200);
    assert_eq!(process.post(&key, payload).0, 409, "which is no refusal");

    let mut sender = TcpStream::connect(process.address).unwrap();
    let plain = "POST /api/lora/receive HTTP/1.1\r\nHost: barn.local:5001\r\nContent-Length: 0\r\n\r\n";
    sender.write_all(plain.as_bytes()).unwrap();
    let mut answer = String::new();
    sender.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let log = || read_to_string(barn.stderr_file()).unwrap();
    let wanted = [
        ["unauthorized", "127.0.0.1", "this key is not known here", "herdlinxd key add"],
        ["forbidden", "office-1", "needs a key of scope `ingest`", "herdlinxd key add"],
        ["https_only", "127.0.0.1", "https://barn.local:5001", "without TLS"],
        ["bad_request", "chute-1", "no valid JSON", "correct what the sender sends"],
        ["payload_too_large", "chute-1", "at most 4096 bytes", "fewer payloads"],
        ["rejected", "chute-1", "nonsense", "show payloads --status error"],
    ];
    for parts in wanted {
        let has_line = || log().lines().any(|line| parts.iter().all(|part| line.contains(part)));
        wait_until(&format!("a line with {parts:?}"), has_line);
    }
    let counts = json!({
        "unauthorized": 3, "forbidden": 1, "https_only": 1, "bad_request": 2, "payload_too_large": 1, "rejected": 1,
    });
    assert_eq!(refused_reads(&process.get_with_key(&office, "/api/remote/status").1), counts);
    assert_eq!(process.stop(Signal::TERM), Some(0));
}

fn refused_reads(status: &Value) -> Value {
    status["data"]["refused_reads"].clone()
}
