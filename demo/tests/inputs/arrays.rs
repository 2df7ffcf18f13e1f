//! Arrays of payloads in one call.
//!
//! Catches: a malformed array that is recorded in part, a wrong entry that affects its neighbors, and a limit that is
//! off by one.

use super::table::Table;
use daemon::ingest::{MAX_ARRAY_BODY_BYTES, MAX_PAYLOADS};
use serde_json::{Value, json};

fn scans(count: usize) -> Value {
    json!({"payloads": (0..count).map(|n| format!("hxb:A:LF{n}:UHF{n}")).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn a_malformed_array_or_one_of_over_a_thousand_entries_changes_nothing() {
    let mut table = Table::new("array_wrong");
    let too_many = scans(MAX_PAYLOADS + 1).to_string();
    let cases = [
        ("a string", r#"{"payloads":"hxb:A:1:2"}"#),
        ("an object", r#"{"payloads":{"0":"hxb:A:1:2"}}"#),
        ("null", r#"{"payloads":null}"#),
        ("a number", r#"{"payloads":1000}"#),
        ("1001 entries", &too_many),
        ("not closed", r#"{"payloads":["hxb:A:1:2""#),
        ("a comma at its end", r#"{"payloads":["hxb:A:1:2",]}"#),
        ("bad JSON behind a good entry", r#"{"payloads":["hxb:A:1:2",nope]}"#),
        ("half a pair behind a good entry", r#"{"payloads":["hxb:A:1:2","\ud800"]}"#),
        ("the key twice", r#"{"payloads":["hxb:A:1:2"],"payloads":["hxb:A:3:4"]}"#),
    ];
    for (case, body) in cases {
        let request = table.barn.post(body.to_owned());
        table.expect_unchanged(case, 400, request).await;
    }
    let empty = table.barn.post(r#"{"payloads":[]}"#);
    table.expect_unchanged("no entry", 200, empty).await;
    let nothing_good = table.barn.post(r#"{"payloads":[1,null,"  ",[["hxb:A:1:2"]],{"payload":"hxb:A:1:2"}]}"#);
    table.expect_unchanged("only wrong entries", 200, nothing_good).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn entries_are_answered_in_order_and_a_wrong_one_holds_back_no_other() {
    let mut table = Table::new("array_right");
    let one = table.barn.post(r#"{"payloads":["hxb:A:1:2"]}"#);
    table.expect_changes("one entry", 200, 1, one).await;
    let long = "x".repeat(256);
    let mixed = json!({"payloads": [
        "hxb:A:1:2", 7, "hxb:A:3:4", -1, "hxb:A:3:4", 0.5, "noise", null, "", true, {"payload": "hxb:A:9:9"}, ["hxb:A:8:8"],
        long, "hxb:A:5:6",
    ]});
    let mixed = table.barn.post(mixed.to_string());
    table.expect_changes("right and wrong entries", 200, 3, mixed).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_entries_in_512_kib_are_accepted_and_one_more_byte_is_not() {
    let mut table = Table::new("array_limits");
    let body = scans(MAX_PAYLOADS).to_string();
    let too_long = format!("{body}{}", " ".repeat(MAX_ARRAY_BODY_BYTES + 1 - body.len()));
    let request = table.barn.post(too_long.clone());
    table.expect_unchanged("512 KiB and one", 413, request).await;
    let request = table.barn.post(too_long[..MAX_ARRAY_BODY_BYTES].to_owned());
    let answer = table.expect_changes("1000 entries in 512 KiB", 200, 1_000, request).await;
    let ids = answer["results"].as_array().unwrap().iter().map(|result| result["payload_id"].as_u64().unwrap());
    assert!(ids.eq(2..=1_001), "{answer}");

    let request = table.barn.post(body);
    let again = table.expect_changes("the same again", 200, 0, request).await;
    let words = again["results"].as_array().unwrap().iter().map(|result| &result["status"]);
    assert!(words.clone().all(|word| word == "duplicate") && words.count() == 1_000, "{again}");
    table.compare();
}
