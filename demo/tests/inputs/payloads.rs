//! Single payloads, one in each call.
//!
//! Catches: a malformed body that is recorded or answered with anything but its documented error, a limit that is off
//! by one, and an outcome that is answered in another form.

use super::table::Table;
use axum::body::{Body, Bytes};
use daemon::ingest::{MAX_ARRAY_BODY_BYTES, MAX_SINGLE_BODY_BYTES};
use futures::stream;
use herd::decide::Rules;
use herd::payload::MAX_PAYLOAD_BYTES;
use serde_json::json;

fn payload(text: &str) -> String {
    json!({ "payload": text }).to_string()
}

/// Pads a body to exactly this many bytes with spaces, which JSON ignores.
fn padded(body: &str, bytes: usize) -> String {
    format!("{body}{}", " ".repeat(bytes - body.len()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_a_json_object_with_one_payload_is_400_and_changes_nothing() {
    let mut table = Table::new("payload_no_object");
    let deep = format!(r#"{{"payload":{}1{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    let cases = [
        ("no body", ""),
        ("only blanks", " \r\n\t "),
        ("an open brace", "{"),
        ("a cut string", r#"{"payload":"hxb:A:1"#),
        ("single quotes", "{'payload':'hxb:A:1:2'}"),
        ("a key without quotes", r#"{payload:"hxb:A:1:2"}"#),
        ("a comma at the end", r#"{"payload":"hxb:A:1:2",}"#),
        ("a comment", r#"{"payload":"hxb:A:1:2"/* why */}"#),
        ("a byte order mark after the first brace", "{\u{feff}\"payload\":\"hxb:A:1:2\"}"),
        ("a line end inside the string", "{\"payload\":\"hxb:A:1\n:2\"}"),
        ("two values", r#"{"payload":"hxb:A:1:2"} {"payload":"hxb:A:3:4"}"#),
        ("a letter after the value", r#"{"payload":"hxb:A:1:2"} x"#),
        ("the payload alone", "hxb:A:1:2"),
        ("a form", "payload=hxb:A:1:2"),
        ("a string", r#""hxb:A:1:2""#),
        ("null", "null"),
        ("true", "true"),
        ("a number", "7"),
        ("an empty array", "[]"),
        ("the payload in an array", r#"["hxb:A:1:2"]"#),
        ("an array in the order of the keys", r#"["hxb:A:1:2", null]"#),
        ("an array of objects", r#"[{"payload":"hxb:A:1:2"}]"#),
        ("an empty object", "{}"),
        ("only unknown keys", r#"{"data":"hxb:A:1:2"}"#),
        ("another case of the key", r#"{"Payload":"hxb:A:1:2"}"#),
        ("the key twice", r#"{"payload":"hxb:A:1:2","payload":"hxb:A:3:4"}"#),
        ("both keys", r#"{"payload":"hxb:A:1:2","payloads":["hxb:A:3:4"]}"#),
        ("both keys, an empty array", r#"{"payload":"hxb:A:1:2","payloads":[]}"#),
        ("nested a thousand deep", deep.as_str()),
    ];
    for (case, body) in cases {
        let request = table.barn.post(body.to_owned());
        table.expect_unchanged(case, 400, request).await;
    }
    let not_utf8 = table.barn.post(&b"{\"payload\":\"hxb:A:\xff:2\"}"[..]);
    table.expect_unchanged("a byte that is no UTF-8", 400, not_utf8).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_not_a_string_of_1_to_255_bytes_is_400_and_changes_nothing() {
    let mut table = Table::new("payload_no_text");
    let one_more = payload(&"x".repeat(MAX_PAYLOAD_BYTES + 1));
    let one_more_in_utf8 = payload(&"é".repeat(128));
    let cases = [
        ("null", r#"{"payload":null}"#),
        ("a number", r#"{"payload":42}"#),
        ("a fraction", r#"{"payload":1e400}"#),
        ("a truth", r#"{"payload":true}"#),
        ("an array", r#"{"payload":["hxb:A:1:2"]}"#),
        ("an object", r#"{"payload":{"text":"hxb:A:1:2"}}"#),
        ("empty", r#"{"payload":""}"#),
        ("only blanks", r#"{"payload":" \t\r\n "}"#),
        ("only blanks of other scripts", r#"{"payload":"\u00a0\u2003\u3000"}"#),
        ("256 bytes", &one_more),
        ("128 letters of two bytes", &one_more_in_utf8),
        ("the first half of a pair", r#"{"payload":"hxb:\ud800:1:2"}"#),
        ("the second half of a pair", r#"{"payload":"hxb:\udc00:1:2"}"#),
        ("a pair the wrong way round", r#"{"payload":"\udc04\ud83d"}"#),
        ("two first halves", r#"{"payload":"\ud83d\ud83d"}"#),
        ("a half at the end", r#"{"payload":"hxb:A:1:\ud83d"}"#),
        ("a cut escape", r#"{"payload":"\u12"}"#),
        ("an unknown escape", r#"{"payload":"\x41"}"#),
    ];
    for (case, body) in cases {
        let request = table.barn.post(body.to_owned());
        table.expect_unchanged(case, 400, request).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn bodies_are_accepted_up_to_their_limit_and_not_a_byte_beyond() {
    let mut table = Table::new("payload_body_limits");
    let one = |n: u32| payload(&format!("hxb:A:LF{n}:UHF{n}"));
    let exactly = table.barn.post(padded(&one(1), MAX_SINGLE_BODY_BYTES));
    table.expect_changes("4 KiB", 201, 1, exactly).await;
    for (case, bytes) in [
        ("4 KiB and one", MAX_SINGLE_BODY_BYTES + 1),
        ("512 KiB", MAX_ARRAY_BODY_BYTES),
        ("512 KiB and one", MAX_ARRAY_BODY_BYTES + 1),
    ] {
        let request = table.barn.post(padded(&one(2), bytes));
        table.expect_unchanged(case, 413, request).await;
    }
    let parts = stream::iter((0..1_000).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096]))));
    let without_length = table.barn.post(Body::from_stream(parts));
    table.expect_unchanged("4 MB without a length", 413, without_length).await;

    let never = table.barn.post(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
    table.expect_unchanged("a body that never comes", 408, never).await;
    let cut = stream::iter([Ok(Bytes::from(one(3))), Err(std::io::Error::other("reset"))]);
    let cut = table.barn.post(Body::from_stream(cut));
    table.expect_unchanged("a body that is cut behind its JSON", 400, cut).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn only_a_json_content_type_is_accepted() {
    let mut table = Table::new("payload_content_types");
    let body = |n: usize| payload(&format!("hxb:A:LF{n}:UHF{n}"));
    let wrong = [
        ("text/plain", "text/plain"),
        ("a form", "application/x-www-form-urlencoded"),
        ("a form in parts", "multipart/form-data; boundary=x"),
        ("bytes", "application/octet-stream"),
        ("json without its kind", "json"),
        ("a longer word", "application/jsonx"),
        ("json as a text", "text/json"),
        ("json as a parameter", "text/plain; application/json"),
        ("empty", ""),
        ("lines of json", "application/x-ndjson"),
    ];
    for (case, content_type) in wrong {
        let request = axum::http::Request::post(super::router_barn::RECEIVE)
            .header("X-API-Key", &table.barn.ingest_key)
            .header("Content-Type", content_type);
        let request = request.body(Body::from(body(0))).unwrap();
        table.expect_unchanged(case, 415, request).await;
    }
    let missing = axum::http::Request::post(super::router_barn::RECEIVE).header("X-API-Key", &table.barn.ingest_key);
    let missing = missing.body(Body::from(body(0))).unwrap();
    table.expect_unchanged("none", 415, missing).await;

    let right =
        ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8", "application/x+json"];
    for (n, content_type) in right.into_iter().enumerate() {
        let request = axum::http::Request::post(super::router_barn::RECEIVE)
            .header("X-API-Key", &table.barn.ingest_key)
            .header("Content-Type", content_type);
        let request = request.body(Body::from(body(n + 1))).unwrap();
        table.expect_changes(content_type, 201, 1, request).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn every_readable_payload_is_answered_with_its_outcome() {
    let mut table = Table::with_rules("payload_right", Rules { rejections_per_hour: 14, ..Rules::default() });
    let longest = "x".repeat(MAX_PAYLOAD_BYTES);
    let kept = [
        ("a barn scan", "hxb:TEST001:LF999:UHF888"),
        ("an export scan", "hxe:EXPORT001:LF789:UHF012"),
        (
            "an induction",
            "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
        ),
        ("a pairing", "event:hxbpai000001|lf:LF_EAR_0001|epc:EPC:30143B7C84D500000000000|lid:1|weight:245.5"),
        ("a check-in", "event:hxbchi000001|weight:267.3|lid:1"),
        ("a repair", "event:hxbrep000001|old_lf:LF_EAR_0001|new_lf:LF_EAR_0099|lid:1|reason:Tag damaged"),
        ("blanks around it", " \thxb:TEST001:LF1000:UHF1000\r\n"),
        ("a cow in the batch", "hxb:LOT\u{1f404}:LF7:UHF7"),
    ];
    for (case, text) in kept {
        let request = table.barn.post(payload(text));
        table.expect_changes(case, 201, 1, request).await;
    }
    let escaped = table.barn.post(r#"{"payload":"hxb:\ud83d\udc04:LF8:UHF8","device":"chute","n":[1,{}]}"#);
    table.expect_changes("a pair of escapes, and keys of the device's own", 201, 1, escaped).await;

    let again = table.barn.post(payload(" hxb:TEST001:LF999:UHF888\n"));
    table.expect_changes("a scan again", 409, 0, again).await;
    let office =
        table.barn.post_to_builder("/office/api/lora/receive").body(payload("event:hxbchi000001|weight:267.3|lid:1"));
    table.expect_changes("an event again, at the office's path", 409, 0, office.unwrap().map(Body::from)).await;

    let rejected = [
        ("an unknown prefix", "invalid:data"),
        ("three fields", "hxb:BATCH001:LF123"),
        ("five fields", "hxb:B:L:U:X"),
        ("a wrong letter", "hxx:B:1:2"),
        ("capitals", "HXB:B:1:2"),
        ("an empty field", "hxb::LF:UHF"),
        ("a blank field", "hxb: :LF1:UHF1"),
        ("a field of 65 letters", &format!("hxb:{}:LF1:UHF1", "x".repeat(65))),
        ("a zero byte", "hxb:A\u{0}:LF1:UHF1"),
        ("an event of no kind", "event:hxbxyz000001|lid:1"),
        ("an event without keys", "event:hxbchi000009"),
        ("an event with a key twice", "event:hxbchi000009|lid:1|lid:2"),
        ("an event id again with other content", "event:hxbchi000001|weight:300.0|lid:1"),
        ("255 bytes of nothing", &longest),
    ];
    for (case, text) in rejected {
        let request = table.barn.post(payload(text));
        table.expect_changes(case, 422, 1, request).await;
    }
    let above = table.barn.post(payload("one rejection too many"));
    table.expect_changes("a rejection above the bound", 429, 0, above).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_barn_that_is_shutting_down_accepts_nothing() {
    let mut table = Table::new("payload_stopping");
    table.barn.shutdown.request();
    let request = table.barn.post(payload("hxb:A:1:2"));
    table.expect_unchanged("one", 503, request).await;
    let request = table.barn.post(r#"{"payloads":["hxb:A:1:2"]}"#);
    table.expect_unchanged("an array", 503, request).await;
    table.compare();
}
