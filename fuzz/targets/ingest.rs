//! Fuzzes the JSON bodies of the payload route, through the route itself and into a store.
//!
//! Every body gets an answer of the documented statuses, in JSON, whose `success` agrees with the status. What is answered
//! as stored or rejected is in the log with the text that an independent reading of the JSON finds, in that order. A body
//! that is refused adds nothing to the log, and one good payload is never refused.
#![no_main]

use axum::body::Body;
use axum::http::Request;
use daemon::disk::DiskGauge;
use daemon::ingest::{Ingest, LineLimit, MAX_SINGLE_BODY_BYTES, router};
use daemon::recorder::{Recorder, RecorderSeams};
use fuzz::seeds;
use fuzz::source::{open_barn, reading};
use herd::change::Change;
use herd::payload::{MAX_PAYLOAD_BYTES, trimmed};
use herd::position::Sequence;
use herd::randomness::SystemRandomness;
use herd::store::{LocalFile, MemoryDisk, Reader};
use herd::testing::ManualClock;
use serde_json::{Value, json};
use service::door::keys::{KeyRing, Scope};
use service::lifecycle::ShutdownTrigger;
use std::sync::{Arc, OnceLock};
use tower::ServiceExt as _;

libfuzzer_sys::fuzz_target!(init: seeds::write(seeds()), |body: &[u8]| check(body));

/// Bodies that are answered with an error of their own.
const WRONG: [&str; 9] = [
    r#"{"payload":5}"#,
    r#"{"payload":"\ud800"}"#,
    r#"{"payload":"a","payloads":["b"]}"#,
    r#"{"payload":"a","payload":"b"}"#,
    r#"{"payloads":{"0":"a"}}"#,
    r#"[{"payload":"a"}]"#,
    r#"{"payload":"a"} 5"#,
    r#"{"payloads":["hxb:A:1:2",null,-7.5e300,[[]],{"a":{}},"",true]}"#,
    "",
];

fn seeds() -> Vec<Vec<u8>> {
    let single = |text: &&str| json!({ "payload": text, "device": {"battery": 3.9} }).to_string();
    let singles = seeds::payloads().iter().map(single).collect::<Vec<_>>();
    let array = json!({ "payloads": seeds::payloads() }).to_string();
    singles.into_iter().chain([array]).chain(WRONG.map(str::to_owned)).map(String::into_bytes).collect()
}

fn clock() -> ManualClock {
    ManualClock::at(reading(1_000))
}

/// The keys of the door, with a secret that may deliver payloads.
fn keys() -> &'static (Arc<KeyRing>, String) {
    static KEYS: OnceLock<(Arc<KeyRing>, String)> = OnceLock::new();
    KEYS.get_or_init(|| make_keys().unwrap_or_else(|error| panic!("cannot make a key: {error}")))
}

fn make_keys() -> Result<(Arc<KeyRing>, String), Box<dyn std::error::Error>> {
    let local = LocalFile::open_in(&MemoryDisk::default())?;
    let keys = KeyRing::load(local, Arc::new(clock()), SystemRandomness)?;
    let secret = keys.add("chute-1", [Scope::Ingest].into())?.reveal().to_owned();
    Ok((Arc::new(keys), secret))
}

fn check(body: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let store = open_barn(&MemoryDisk::default());
    let reader = store.reader();
    let (status, answer) = runtime.block_on(async {
        let seams = RecorderSeams { disk: DiskGauge::plenty(), local: None };
        let (recorder, writer) = Recorder::on_this_task(store, seams).unwrap_or_else(|error| panic!("{error}"));
        tokio::spawn(writer);
        post(recorder, reader.clone(), body).await
    });
    check_answer(status, &answer, &reader, body);
}

async fn post(recorder: Recorder, reader: Reader, body: &[u8]) -> (u16, Value) {
    let (authenticator, secret) = keys();
    let shutdown = ShutdownTrigger::default();
    let ingest = Ingest {
        recorder,
        reader,
        clock: Arc::new(clock()),
        reader_group: "main".into(),
        lines: LineLimit::default(),
        shutdown: shutdown.signal(),
    };
    let request =
        Request::post("/api/lora/receive").header("x-api-key", secret).header("content-type", "application/json");
    let request = request.body(Body::from(body.to_vec())).unwrap_or_else(|error| panic!("no request: {error}"));
    let response = router(ingest, authenticator.clone()).oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let answer = serde_json::from_slice(&bytes.unwrap_or_else(|error| panic!("the answer is cut: {error}")));
    (status, answer.unwrap_or_else(|error| panic!("the answer is not JSON: {error}")))
}

fn check_answer(status: u16, answer: &Value, reader: &Reader, body: &[u8]) {
    assert!([200, 201, 400, 409, 413, 422].contains(&status), "{status} {answer}");
    assert_eq!(answer["success"], status < 300, "{status} {answer}");
    let recorded = recorded_texts(reader);
    let results = match answer["results"].as_array() {
        Some(results) => results.as_slice(),
        None => std::slice::from_ref(answer),
    };
    let numbers = results.iter().filter(|result| is_recorded(result)).map(|result| result["payload_id"].as_u64());
    assert!(numbers.eq((2..).map(Some).take(recorded.len())), "{recorded:?} recorded, and {answer} answered");
    check_against_json(status, results, &recorded, body);
}

fn is_recorded(result: &Value) -> bool {
    ["stored", "rejected"].contains(&result["status"].as_str().unwrap_or_default())
}

/// Returns the payloads in the log, in order. The first change is the epoch.
fn recorded_texts(reader: &Reader) -> Vec<Vec<u8>> {
    let changes = (2..).map_while(|n| reader.change(Sequence(n)).unwrap_or_else(|error| panic!("change {n}: {error}")));
    let raw = |bytes: Vec<u8>| match Change::from_bytes(&bytes) {
        Ok(Change::Received(received)) => received.raw,
        other => panic!("a payload made {other:?}"),
    };
    changes.map(raw).collect()
}

/// Compares what was recorded with another reading of the body.
fn check_against_json(status: u16, results: &[Value], recorded: &[Vec<u8>], body: &[u8]) {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        // Values that are skipped may be what this reading refuses: numbers out of range, or a hundred brackets.
        return;
    };
    let texts: Vec<Option<&str>> = match (&object.get("payload"), &object.get("payloads")) {
        (Some(Value::String(text)), _) => vec![Some(text)],
        (_, Some(Value::Array(items))) => items.iter().map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if matches!(status, 200 | 201 | 409 | 422) {
        assert_eq!(results.len(), texts.len());
        let expected = texts.iter().zip(results).filter(|(_, result)| is_recorded(result));
        let expected: Vec<_> = expected.map(|(text, _)| text.unwrap_or_default().as_bytes()).collect();
        assert_eq!(recorded, expected);
    } else {
        assert!(recorded.is_empty(), "a refused body is recorded");
    }
    if let ([Some(text)], 400) = (texts.as_slice(), status) {
        let is_good = (1..=MAX_PAYLOAD_BYTES).contains(&trimmed(text.as_bytes()).len());
        // A key that is there twice is one here.
        assert!(!is_good || !is_canonical(text, body), "a good payload is refused: {results:?}");
    }
}

/// Returns whether a body is the plainest one with this payload.
fn is_canonical(text: &str, body: &[u8]) -> bool {
    body.len() <= MAX_SINGLE_BODY_BYTES && json!({ "payload": text }).to_string().as_bytes() == body
}
