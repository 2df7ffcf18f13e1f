//! The responses of the payload route: one claim for each row of its table.

use super::*;
use crate::disk::{DiskGauge, DiskSpace};
use crate::test_world::World;
use axum::body::Body;
use axum::http::{StatusCode, header};
use herd::decide::Rules;
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use proptest::prelude::*;
use refusals::ReadRefusals;
use serde_json::{Value, json};
use service::door::keys::KeyRing;
use service::door::serve::observer::{AnswerObserver as _, ObservedAnswer};
use service::lifecycle::ShutdownTrigger;
use tower::ServiceExt as _;

/// SHA-256 of `hxb:TEST001:LF999:UHF888`, from sha256sum.
const HASH: &str = "4da47a0322b940378b964cfa248f0e409245bf107a839c48d7d080fd22985fc0";

struct Door {
    world: World,
    router: Router,
    key: String,
    other_key: String,
    shutdown: ShutdownTrigger,
    _directory: tempfile::TempDir,
}

fn door_with(rules: Rules, disk: DiskGauge) -> Door {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(rules, disk);
    let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
    let keys = Arc::new(KeyRing::load(local, world.clock.clone(), SeededRandomness::new(1)).unwrap());
    let add = |name, scope| keys.add(name, [scope].into()).unwrap().reveal().to_owned();
    let (key, other_key) = (add("chute-1", Scope::Ingest), add("office", Scope::Read));
    let shutdown = ShutdownTrigger::default();
    let ingest = world.ingest(shutdown.signal());
    Door { router: router(ingest, keys), world, key, other_key, shutdown, _directory: directory }
}

fn door() -> Door {
    door_with(Rules { rejections_per_hour: 2, ..Rules::default() }, DiskGauge::plenty())
}

impl Door {
    async fn send(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> (u16, Option<String>, Value) {
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let retry_after = response.headers().get(header::RETRY_AFTER).map(|s| s.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, retry_after, serde_json::from_slice(&bytes).unwrap())
    }

    fn request(&self) -> axum::http::request::Builder {
        Request::post("/api/lora/receive").header("X-API-Key", &self.key).header("Content-Type", "application/json")
    }

    async fn post(&self, body: impl Into<Body>) -> (u16, Option<String>, Value) {
        self.send(self.request(), body).await
    }

    async fn payload(&self, text: &str) -> (u16, Option<String>, Value) {
        self.post(json!({ "payload": text }).to_string()).await
    }

    fn head(&self) -> u64 {
        self.world.reader.head().position.sequence.0
    }
}

#[tokio::test]
async fn a_new_payload_gets_201_with_its_sequence_and_hash_and_the_key_is_its_channel() {
    let door = door();
    let (status, retry_after, answer) = door.payload("hxb:TEST001:LF999:UHF888").await;
    assert_eq!((status, retry_after), (201, None));
    let expected = json!({
        "success": true, "status": "stored", "payload_id": 2, "payload_hash": HASH, "message": "recorded as change 2",
    });
    assert_eq!(answer, expected);
    let received = door.world.received(2);
    assert_eq!((received.origin.channel.as_str(), received.origin.reader_group.as_str()), ("chute-1", "main"));
}

#[tokio::test]
async fn the_office_path_is_the_same_route() {
    let door = door();
    let request = Request::post("/office/api/lora/receive")
        .header("Authorization", format!("Bearer {}", door.key))
        .header("Content-Type", "application/json; charset=utf-8");
    assert_eq!(door.send(request, r#"{"payload":"hxb:A:1:2"}"#).await.0, 201);
}

#[tokio::test]
async fn a_duplicate_gets_409_with_the_change_that_it_repeats_and_its_time() {
    let door = door();
    door.payload("hxb:TEST001:LF999:UHF888").await;
    door.world.clock.pass(Duration::from_millis(59_999));
    let (status, _, answer) = door.payload(" hxb:TEST001:LF999:UHF888\r\n").await;
    assert_eq!(status, 409);
    let expected = json!({
        "success": false, "error": "duplicate", "status": "duplicate", "payload_id": 2, "payload_hash": HASH,
        "received_at": "2024-01-15T10:35:20.000Z",
        "message": "already recorded as change 2, received 2024-01-15T10:35:20.000Z",
    });
    assert_eq!(answer, expected);
    door.world.clock.pass(Duration::from_millis(1));
    assert_eq!(door.payload("hxb:TEST001:LF999:UHF888").await.0, 201);
}

#[tokio::test]
async fn a_rejection_gets_422_and_is_recorded_and_over_the_limit_gets_429() {
    let door = door();
    let (status, _, answer) = door.payload("invalid:data").await;
    let expected = json!({
        "success": false, "error": "rejected", "status": "rejected", "payload_id": 2,
        // From sha256sum, as all hashes here.
        "payload_hash": "94bdcfb1bea78df798c070749b8eb06d1a6c26e0cf7bc73548dab6af13f1a89b",
        "reason": "unknown_prefix",
        "message": r#"The payload begins with "invalid", and only hxb, hxe and event are known."#,
    });
    assert_eq!((status, answer), (422, expected));
    assert_eq!(door.world.received(2).raw, b"invalid:data");
    assert_eq!(door.payload("invalid:data 2").await.0, 422);
    let (status, _, answer) = door.payload("invalid:data 3").await;
    let expected = json!({
        "success": false, "error": "rejections_suppressed", "status": "refused",
        "message": "this key has delivered more unreadable payloads this hour than are kept; this one was only counted",
    });
    assert_eq!((status, answer), (429, expected));
    assert_eq!(door.head(), 3);
}

#[tokio::test]
async fn a_body_without_a_payload_gets_400_and_leaves_no_change() {
    let door = door();
    let long = format!(r#"{{"payload":"{}"}}"#, "x".repeat(256));
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"payload\":1}",
        "{\"payload\":null}",
        "{\"payload\":[\"a\"]}",
        "{\"payload\":\"\"}",
        "{\"payload\":\" \\t \"}",
        "{\"payload\":\"\\ud800\"}",
        "{\"payload\":\"a\\udc00b\"}",
        "{\"payload\":\"a\",\"payloads\":[]}",
        "{\"payload\":\"a\"} x",
        "{\"payload\":\"a\",\"payload\":\"b\"}",
        "{\"payloads\":\"a\"}",
        "{\"payloads\":{}}",
        &long,
    ];
    for body in bodies {
        let (status, _, answer) = door.post(body.to_owned()).await;
        assert_eq!((status, &answer["error"]), (400, &json!("bad_request")), "{body}: {answer}");
    }
    let (status, ..) = door.post(&b"{\"payload\":\"\xff\"}"[..]).await;
    assert_eq!(status, 400);
    assert_eq!(door.head(), 1);
}

#[tokio::test]
async fn a_payload_of_255_bytes_is_recorded_and_blanks_do_not_count() {
    let door = door();
    let text = format!("  {}\n", "x".repeat(255));
    assert_eq!(door.payload(&text).await.0, 422);
    assert_eq!(door.world.received(2).raw, text.as_bytes());
}

#[tokio::test]
async fn a_body_over_its_limit_gets_413_with_or_without_a_length() {
    let door = door();
    let padded = |bytes: usize, rest: &str| format!("{rest}{}", " ".repeat(bytes - rest.len()));
    let one = r#"{"payload":"hxb:A:1:2"}"#;
    assert_eq!(door.post(padded(MAX_SINGLE_BODY_BYTES, one)).await.0, 201);
    let (status, _, answer) = door.post(padded(MAX_SINGLE_BODY_BYTES + 1, one)).await;
    assert_eq!((status, &answer["error"]), (413, &json!("payload_too_large")));
    let many = r#"{"payloads":["hxb:A:3:4"]}"#;
    assert_eq!(door.post(padded(MAX_ARRAY_BODY_BYTES, many)).await.0, 200);
    assert_eq!(door.post(padded(MAX_ARRAY_BODY_BYTES + 1, many)).await.0, 413);
    // Without a Content-Length the limit applies while reading.
    let parts = futures::stream::iter(std::iter::repeat_n(Ok::<_, std::convert::Infallible>(" ".repeat(1024)), 1024));
    assert_eq!(door.post(Body::from_stream(parts)).await.0, 413);
}

#[tokio::test]
async fn another_content_type_gets_415() {
    let door = door();
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let request =
            Request::post("/api/lora/receive").header("X-API-Key", &door.key).header("Content-Type", content_type);
        let (status, _, answer) = door.send(request, r#"{"payload":"hxb:A:1:2"}"#).await;
        assert_eq!((status, &answer["error"]), (415, &json!("unsupported_media_type")));
    }
    let request = Request::post("/api/lora/receive").header("X-API-Key", &door.key);
    assert_eq!(door.send(request, r#"{"payload":"hxb:A:1:2"}"#).await.0, 415);
}

#[tokio::test]
async fn a_request_without_a_key_of_scope_ingest_is_refused() {
    let door = door();
    let body = r#"{"payload":"hxb:A:1:2"}"#;
    let plain = || Request::post("/api/lora/receive").header("Content-Type", "application/json");
    assert_eq!(door.send(plain(), body).await.0, 401);
    assert_eq!(door.send(plain().header("X-API-Key", "hxb_wrong"), body).await.0, 401);
    let (status, _, answer) = door.send(plain().header("X-API-Key", &door.other_key), body).await;
    assert_eq!((status, &answer["error"]), (403, &json!("forbidden")));
    assert_eq!(door.head(), 1);
}

#[tokio::test]
async fn an_array_gets_results_in_order_equal_to_those_of_single_calls() {
    let door = door();
    let body = json!({"payloads": ["hxb:A:1:2", 7, "hxb:A:1:2", "noise", "", {"payload": "x"}, "hxb:A:3:4"]});
    let (status, _, answer) = door.post(body.to_string()).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    let words: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|it| (&it["status"], &it["payload_id"])).collect();
    let expected = json!([
        ["stored", 2],
        ["refused", null],
        ["duplicate", 2],
        ["rejected", 3],
        ["refused", null],
        ["refused", null],
        ["stored", 4],
    ]);
    assert_eq!(json!(words), expected);
    let single = door.payload("hxb:A:1:2").await.2;
    assert_eq!(answer["results"][2], single);
    assert_eq!(door.world.recorder.status().borrow().totals.groups, 2);
}

/// Catches payloads of an array of which no event came and that nothing counts: the answer itself is a 200.
#[tokio::test]
async fn refused_payloads_of_an_array_count_one_by_one_and_duplicates_do_not() {
    let (door, refusals) = (door(), ReadRefusals::default());
    let body = json!({"payloads": ["hxb:A:1:2", 7, "hxb:A:1:2", "noise", "", "noise 2", "noise 3"]}).to_string();
    let response = door.router.clone().oneshot(door.request().body(Body::from(body)).unwrap()).await.unwrap();
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    refusals.observe(ObservedAnswer { peer, path: PAYLOAD_PATHS[0], response: &response });
    let counts: Vec<_> = refusals.counts().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [("bad_request", 2), ("rejected", 2), ("rejections_suppressed", 1)]);
}

/// Catches a payload whose blanks make a change longer than a follower accepts. It ended the writer, and the device,
/// which got a 503, sent it again.
#[tokio::test]
async fn a_payload_with_too_many_blanks_is_refused_alone_and_the_writer_goes_on() {
    let door = door();
    let padded = format!("{}hxb:A:LF1:UHF1", " ".repeat(70_000));
    let body = json!({"payloads": [padded, "hxb:A:LF2:UHF2"]}).to_string();
    let (status, _, answer) = door.post(body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["results"][0]["error"], "bad_request", "{answer}");
    assert_eq!(answer["results"][1]["status"], "stored", "{answer}");
    assert!(!door.world.writer.is_finished());
    let incoming = Incoming { raw: vec![b' '; 70_000], origin: Origin::default(), at: door.world.clock.read() };
    let refused = door.world.recorder.record(incoming).await;
    assert!(matches!(refused, Err(RecordError::TooLong { bytes: 70_000 })), "{refused:?}");
    let padded_to = |bytes: usize| format!("{:>bytes$}", "hxb:A:LF3:UHF3");
    let edges = json!({"payloads": [padded_to(MAX_RAW_BYTES + 1), padded_to(MAX_RAW_BYTES)]});
    let results = door.post(edges.to_string()).await.2;
    assert_eq!(
        (&results["results"][0]["error"], &results["results"][1]["status"]),
        (&json!("bad_request"), &json!("stored"))
    );
}

#[tokio::test]
async fn an_array_has_up_to_a_thousand_payloads_and_may_be_empty() {
    let door = door();
    let array = |count: usize| json!({"payloads": (0..count).map(|n| format!("hxb:A:{n}:{n}")).collect::<Vec<_>>()});
    let (status, _, answer) = door.post(array(0).to_string()).await;
    assert_eq!((status, answer), (200, json!({"success": true, "results": []})));
    let (status, _, answer) = door.post(array(MAX_PAYLOADS + 1).to_string()).await;
    assert_eq!((status, &answer["error"]), (400, &json!("bad_request")));
    assert!(answer["message"].as_str().unwrap().contains("1001"), "{answer}");
    assert_eq!(door.head(), 1);
    let (status, _, answer) = door.post(array(MAX_PAYLOADS).to_string()).await;
    assert_eq!((status, answer["results"].as_array().unwrap().len()), (200, MAX_PAYLOADS));
    assert_eq!(door.head(), 1001);
}

#[tokio::test]
async fn a_full_disk_gets_503_with_retry_after_and_records_nothing() {
    let full = DiskGauge::new(|| Ok(DiskSpace { free_bytes: 0, needed_bytes: 1 }));
    let door = door_with(Rules::default(), full);
    for body in [r#"{"payload":"hxb:A:1:2"}"#, r#"{"payloads":["hxb:A:1:2", 5]}"#] {
        let (status, retry_after, answer) = door.post(body).await;
        assert_eq!((status, retry_after.as_deref()), (503, Some("60")));
        let message = "the disk is full; nothing can be stored until there is room";
        assert_eq!(answer, json!({"success": false, "error": "disk_full", "message": message}));
    }
    assert_eq!(door.head(), 1);
}

#[tokio::test]
async fn during_a_shutdown_the_route_answers_503_at_once() {
    let door = door();
    door.shutdown.request();
    let (status, retry_after, answer) = door.payload("hxb:A:1:2").await;
    assert_eq!((status, retry_after.as_deref(), &answer["error"]), (503, Some("5"), &json!("stopping")));
    assert_eq!(door.head(), 1);
}

#[tokio::test]
async fn a_writer_that_has_ended_gets_503() {
    let door = door();
    door.world.writer.abort();
    let request = door.request().body(Body::from(r#"{"payload":"hxb:A:1:2"}"#)).unwrap();
    let response = door.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Catches a caller that waits forever while the disk stalls.
#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_too_long_gets_503() {
    let door = door();
    // All room is taken, as if the writer hung.
    let room = door.world.recorder.take_all_room().await;
    let (status, _, answer) = door.payload("hxb:A:1:2").await;
    assert_eq!((status, &answer["error"]), (503, &json!("busy")));
    drop(room);
    assert_eq!(door.payload("hxb:A:1:2").await.0, 201);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        "(hxb|hxe|event):[a-z0-9:|]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 40, 6, |inner| {
        let object = prop::collection::vec(("(payload|payloads|[a-z]{1,5})", inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            object.prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    // Each case creates a store and a file of keys.
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_body_gets_a_response_of_the_table(
        values in prop::collection::vec(any_json(), 1..4), bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let door = door();
            for value in values {
                for body in [json!({"payload": value}), json!({"payloads": value}), value] {
                    let (status, _, answer) = door.post(body.to_string()).await;
                    assert!([200, 201, 400, 409, 422, 429].contains(&status), "{body}: {status} {answer}");
                    assert_eq!(answer["success"], status < 300, "{answer}");
                }
            }
            assert_eq!(door.post(bytes).await.0, 400);
        });
    }
}
