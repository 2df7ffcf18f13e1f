//! Some cases of the tables against the real process over TLS, and inputs that only a network can send.
//!
//! Catches: a process that answers differently from its router in memory, and one that oversized or meaningless bytes
//! can stop or change.

use super::router_barn::RECEIVE;
use super::router_barn::golden::{PROCESS_KEYS, golden_answer, mask};
use bytes::Bytes;
use demo::processes::{Barn, BarnSettings, Programs};
use herd::position::{Position, Sequence};
use herd::wire::{Acknowledgment, to_blob};
use mirror::link::{HttpsLink, Trust};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use service::harness::TIMEOUT;
use service::sync::link::{LIVE_PATH, Link as _, LiveChannel as _, LiveResponse};
use service::sync::query::position_text;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Timeout for opening a live connection.
const OPEN_TIMEOUT_MS: u64 = 10_000;

/// A barn's process, and a client that pins its key.
struct RealBarn {
    barn: Barn,
    http: Client,
    ingest_key: String,
    sync_key: String,
    _directory: tempfile::TempDir,
}

impl RealBarn {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = Programs::Own(env!("CARGO_BIN_EXE_herdlinx-demo").into());
        let mut barn = Barn::new(&programs, &directory.path().join("barn"), &BarnSettings::default()).unwrap();
        barn.start().await.unwrap();
        let http = mirror::link::client(&Trust::Pin(barn.spki_sha256().unwrap())).unwrap();
        let (ingest_key, sync_key) =
            (barn.key("chute-1", &["ingest"]).unwrap(), barn.key("office", &["sync"]).unwrap());
        Self { barn, http, ingest_key, sync_key, _directory: directory }
    }

    /// Returns everything that a request can change: the position of log and tables, the counts, and the keys.
    fn state(&self) -> Vec<String> {
        let status = serde_json::to_value(self.barn.status().unwrap()).unwrap();
        let of_status = ["sequence", "digest", "folded", "fold_digest", "epoch", "counts", "duplicates", "failing"];
        let mut state: Vec<String> = of_status.iter().map(|name| format!("{name}: {}", status[*name])).collect();
        state.push(self.barn.run(&["key", "list"]).unwrap());
        state
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        let url: Url = format!("https://{}{path}", self.barn.address()).parse().unwrap();
        let mut request = self.http.request(method, url).header("Content-Type", "application/json").timeout(TIMEOUT);
        if let Some(key) = key {
            request = request.header("X-API-Key", key);
        }
        let response = request.body(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    fn link(&self) -> HttpsLink {
        let trust = Trust::Pin(self.barn.spki_sha256().unwrap());
        HttpsLink::new(vec![self.barn.address().to_string().parse().unwrap()], &trust, &self.sync_key).unwrap()
    }

    async fn head(&self) -> Position {
        let (_, schema) = self.send(Method::GET, "/api/sync/schema", Some(&self.sync_key), "").await;
        serde_json::from_value(schema["data"]["state"]["position"].clone()).unwrap()
    }
}

#[tokio::test]
async fn the_real_process_answers_as_the_tables_say_and_wrong_requests_change_nothing() {
    let real = RealBarn::start().await;
    let (ingest, sync) = (Some(real.ingest_key.as_str()), Some(real.sync_key.as_str()));
    let scan = r#"{"payload":"hxb:TEST001:LF999:UHF888"}"#;
    let stored = real.send(Method::POST, RECEIVE, ingest, scan).await;
    assert_eq!(stored.1, golden_answer("payload_right", "a barn scan")["body"]);
    let padded = |bytes: usize| format!("{scan}{}", " ".repeat(bytes - scan.len()));
    let wrong = [
        ("door_keys", "no key", real.send(Method::POST, RECEIVE, None, scan).await),
        ("door_keys", "an empty key", real.send(Method::POST, RECEIVE, Some(""), scan).await),
        ("door_keys", "a key of scope sync", real.send(Method::POST, RECEIVE, sync, scan).await),
        ("payload_no_object", "a string", real.send(Method::POST, RECEIVE, ingest, r#""hxb:A:1:2""#).await),
        ("payload_no_object", "no body", real.send(Method::POST, RECEIVE, ingest, "").await),
        ("payload_body_limits", "4 KiB and one", real.send(Method::POST, RECEIVE, ingest, padded(4_097)).await),
        ("payload_body_limits", "512 KiB and one", real.send(Method::POST, RECEIVE, ingest, padded(524_289)).await),
        ("door_paths", "GET /api/lora/receive", real.send(Method::GET, RECEIVE, ingest, "").await),
        ("door_paths", "POST /nowhere", real.send(Method::POST, "/nowhere", ingest, scan).await),
        ("changes_query_wrong", "limit=0", real.send(Method::GET, "/api/sync/changes?limit=0", sync, "").await),
        ("full_export_tables", "a limit", real.send(Method::GET, "/api/sync/full-export?limit=5", sync, "").await),
        ("live", "no upgrade", real.send(Method::GET, "/api/sync/live", sync, "").await),
    ];
    let before = real.state();
    for (table, case, (status, body)) in wrong {
        let golden = golden_answer(table, case);
        assert_eq!((&json!(status), &body), (&golden["status"], &golden["body"]), "{table}: {case}");
    }
    let beyond = Position { sequence: Sequence(99), ..real.head().await };
    let path = format!("/api/sync/changes?{}", position_text(&beyond));
    let (status, body) = real.send(Method::GET, &path, sync, "").await;
    assert_eq!((status, &body["held"]["sequence"], &body["asked"]["sequence"]), (409, &json!(2), &json!(99)));
    let golden = &golden_answer("changes_diverged", "one beyond the head")["body"];
    assert_eq!(mask(&body, &PROCESS_KEYS), mask(golden, &PROCESS_KEYS));
    assert_eq!(real.state(), before);
    assert_eq!(real.head().await.sequence, Sequence(2));
}

#[tokio::test]
async fn oversized_requests_and_bytes_without_tls_are_refused_and_the_process_keeps_serving() {
    let real = RealBarn::start().await;
    let before = real.state();
    let sync = Some(real.sync_key.as_str());
    let long = |chars: usize| format!("/api/sync/changes?digest={}", "a".repeat(chars));
    let (status, body) = real.send(Method::GET, &long(10_000), sync, "").await;
    assert!(status == 400 && body["message"].as_str().is_some_and(|message| message.len() < 1_000), "{status}: {body}");
    assert_eq!(real.send(Method::GET, &long(60_000), sync, "").await.0, 431, "the head is above the buffer");
    let wide = real.http.get(format!("https://{}/api/sync/schema", real.barn.address()));
    let wide = wide.header("X-API-Key", "x".repeat(1_000_000)).timeout(TIMEOUT).send().await;
    assert!(wide.is_err() || wide.is_ok_and(|answer| answer.status() == 431), "a header of a megabyte was accepted");
    let no_tls = [
        (&b"GET /api/remote/health HTTP/1.1\r\nHost: barn\r\n\r\n"[..], true),
        (&b"HERDLINX"[..], true),
        (&b"\x16\x03\x01\xff\xff"[..], false),
        (&b"\0\0\0\0\0\0\0\0"[..], false),
    ];
    for (bytes, may_be_http) in no_tls {
        let mut stream = TcpStream::connect(real.barn.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is a refusal as well.
        let _end = timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("use https://"), may_be_http, "{answer:?}");
        assert!(!answer.contains("healthy"), "answered without TLS: {answer:?}");
    }
    assert_eq!(real.state(), before);
    assert_eq!(real.send(Method::GET, "/api/remote/health", None, "").await.0, 200);
}

#[tokio::test]
async fn nonsense_from_a_follower_ends_its_live_connection_and_a_new_one_opens() {
    let real = RealBarn::start().await;
    let (link, head) = (real.link(), real.head().await);
    let before = real.state();
    let beyond = Position { sequence: Sequence(99), ..head };
    let refused = link.open_live(&format!("{LIVE_PATH}?{}", position_text(&beyond)), OPEN_TIMEOUT_MS).await.unwrap();
    assert!(matches!(&refused, LiveResponse::Refused(answer) if answer.status == 409), "{refused:?}");

    let here = format!("{LIVE_PATH}?{}", position_text(&head));
    let nonsense = [
        ("an empty blob", Bytes::new()),
        ("a text", Bytes::from_static(b"hello")),
        ("a page", empty_page(head)),
        ("an acknowledgment of what was never sent", to_blob(&Acknowledgment { durable: beyond }).into()),
        ("more than a follower may send", vec![0; 5_000].into()),
    ];
    for (case, blob) in nonsense {
        let LiveResponse::Open(mut channel) = link.open_live(&here, OPEN_TIMEOUT_MS).await.unwrap() else {
            panic!("`{case}`: not opened")
        };
        channel.send(blob).await.unwrap();
        let ended = async { while let Ok(Some(_)) = channel.receive().await {} };
        timeout(TIMEOUT, ended).await.unwrap_or_else(|_| panic!("`{case}` did not end the connection"));
    }
    assert_eq!(real.state(), before);
    let opened = link.open_live(&here, OPEN_TIMEOUT_MS).await.unwrap();
    assert!(matches!(opened, LiveResponse::Open(_)));
}

fn empty_page(at: Position) -> Bytes {
    let end = herd::wire::PageEnd { end: at, head: at.sequence, barn: herd::wire::BarnHead::default() };
    to_blob(&herd::wire::Page { after: at, end, changes: herd::store::Changes::default() }).into()
}
