//! The read interface for programs, and the tokens that stand for a key.
//!
//! Catches: an answer whose form changed, an invalid query that is answered as if it were valid, and a token that
//! grants more than its key or outlives it.

use super::table::Table;
use axum::body::Body;
use axum::http::{Method, Request};
use herd::decide::Rules;
use herd::store::Receipt;

const TOKEN: &str = "/api/remote/auth/token";
/// Paths that refuse a wrong request with the same answer.
const PATHS: [&str; 7] = [
    "/api/remote/status",
    "/api/remote/batches",
    "/api/remote/batches/2",
    "/api/remote/payloads",
    "/api/remote/payloads/2",
    "/api/lora/payloads",
    "/api/lora/buffer-status",
];
/// Payloads that become changes 2 to 8.
const PAYLOADS: [&str; 7] = [
    "hxb:BATCH001:124000224161433:UHF456",
    "hxb:BATCH001:LF2:UHF2",
    "hxe:EXPORT001:LF2:UHF2",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "event:hxbchi000117|weight:267.3|lid:1",
    "event:hxbchi000121|weight:NaN|lid:1",
    "noise",
];

/// Returns a table whose barn has recorded payloads of every kind, and received some of them again.
async fn filled(name: &str) -> Table {
    let table = Table::with_rules(name, Rules::default());
    for payload in PAYLOADS {
        table.barn.record(payload).await;
    }
    for again in [PAYLOADS[0], PAYLOADS[4], PAYLOADS[6]] {
        assert!(matches!(table.barn.record(again).await, Receipt::Duplicate { .. }), "{again}");
    }
    table
}

fn read_request(method: Method, path: &str, key: Option<&str>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = key.into_iter().fold(request, |request, key| request.header("X-API-Key", key));
    request.body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_valid_query_has_its_golden_answer() {
    let mut table = filled("remote").await;
    let key = table.barn.read_key.clone();
    let queries = [
        "/api/remote/status?limit=1",
        "/api/remote/status?after=main/1/hxbchi/118",
        "/api/remote/batches?limit=1",
        "/api/remote/batches?limit=1&before=4",
        "/api/remote/batches?source_type=hxe",
        "/api/remote/batches/2?limit=1",
        "/api/remote/batches/2?after=2",
        "/api/remote/payloads?limit=2",
        "/api/remote/payloads?limit=2&before=4",
        "/api/remote/payloads?status=received",
        "/api/remote/payloads?status=processing",
        "/api/remote/payloads?status=processed&limit=1",
        "/api/remote/payloads?status=error",
        "/api/remote/payloads?status=duplicate",
        "/api/remote/payloads?status=duplicate&limit=2",
        "/api/lora/payloads?status=duplicate&before=2",
        "/api/remote/payloads/8",
    ];
    for path in PATHS.into_iter().chain(queries) {
        table.expect_unchanged(path, 200, read_request(Method::GET, path, Some(&key))).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_missing_item_is_404_and_an_invalid_query_400() {
    let mut table = filled("remote_wrong").await;
    let key = table.barn.read_key.clone();
    let missing =
        ["/api/remote/batches/3", "/api/remote/payloads/1", "/api/remote/payloads/9", "/api/remote/payloads/0"];
    for path in missing {
        table.expect_unchanged(path, 404, read_request(Method::GET, path, Some(&key))).await;
    }
    let wrong = [
        "/api/remote/batches?offset=50",
        "/api/remote/batches?limit=0",
        "/api/remote/batches?limit=-1",
        "/api/remote/batches?limit=1001",
        "/api/remote/batches?limit=18446744073709551616",
        "/api/remote/batches?limit=abc",
        "/api/remote/batches?limit=1.0",
        "/api/remote/batches?limit=%2B5",
        "/api/remote/batches?limit=",
        "/api/remote/batches?limit=5&limit=5",
        "/api/remote/batches?before=BATCH001",
        "/api/remote/batches?source_type=HXB",
        "/api/remote/batches?status=open",
        "/api/remote/batches/BATCH001",
        "/api/remote/batches/-1",
        "/api/remote/batches/%ff",
        "/api/remote/batches/18446744073709551616",
        "/api/remote/batches/2?before=1",
        "/api/remote/payloads?status=kept",
        "/api/remote/payloads?status=Error",
        "/api/remote/payloads?status=",
        "/api/remote/payloads?since=2024-01-15",
        "/api/remote/payloads?status=received&before=x",
        "/api/remote/payloads/2?x=1",
        "/api/remote/payloads/two",
        "/api/remote/status?after=main",
        "/api/remote/status?after=main/1/hxbchi/x",
        "/api/remote/status?full=1",
        "/api/lora/buffer-status?status=error",
        "/api/lora/payloads?offset=0",
    ];
    for path in wrong {
        table.expect_unchanged(path, 400, read_request(Method::GET, path, Some(&key))).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn every_path_requires_a_key_of_scope_read_and_cannot_be_deleted() {
    let mut table = filled("remote_keys").await;
    let (ingest, sync, read) =
        (table.barn.ingest_key.clone(), table.barn.sync_key.clone(), table.barn.read_key.clone());
    for path in PATHS {
        table.expect_unchanged(&format!("{path} no key"), 401, read_request(Method::GET, path, None)).await;
        for (scope, key) in [("ingest", &ingest), ("sync", &sync)] {
            table.expect_unchanged(&format!("{path} {scope}"), 403, read_request(Method::GET, path, Some(key))).await;
        }
        table.expect_unchanged(&format!("DELETE {path}"), 405, read_request(Method::DELETE, path, Some(&read))).await;
    }
    table.expect_unchanged("GET a token", 405, read_request(Method::GET, TOKEN, Some(&read))).await;
    table.compare();
}

fn token_request(secret: &str, body: Option<(&str, &str)>) -> Request<Body> {
    let request = Request::post(TOKEN).header("Authorization", format!("Bearer {secret}"));
    let request = body.into_iter().fold(request, |request, (kind, _)| request.header("Content-Type", kind));
    request.body(body.map_or_else(Body::empty, |(_, text)| text.to_owned().into())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_comes_from_a_key_or_a_token_has_the_same_access_and_ends_with_its_key() {
    let mut table = filled("remote_token").await;
    let (ingest, read) = (table.barn.ingest_key.clone(), table.barn.read_key.clone());
    let json = "application/json";
    let no_token = "hxt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wrong = [
        ("nobody", 401, "", None),
        ("an unknown key", 401, "hxb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", None),
        ("an unknown token", 401, no_token, None),
        ("a form", 415, read.as_str(), Some(("application/x-www-form-urlencoded", "user_id=1"))),
        ("no object", 400, &read, Some((json, "[1]"))),
        ("no number", 400, &read, Some((json, r#"{"user_id":"me"}"#))),
        ("a key of its own", 400, &read, Some((json, r#"{"scopes":["admin"]}"#))),
        ("not closed", 400, &read, Some((json, r#"{"user_id":1"#))),
    ];
    for (case, status, secret, body) in wrong {
        table.expect_unchanged(case, status, token_request(secret, body)).await;
    }
    let long = format!(r#"{{"user_id":{}}}"#, " ".repeat(service::door::token_route::MAX_TOKEN_BODY_BYTES));
    table.expect_unchanged("too long", 413, token_request(&read, Some((json, &long)))).await;
    let mut queried = token_request(&read, None);
    *queried.uri_mut() = format!("{TOKEN}?user_id=1").parse().unwrap();
    table.expect_unchanged("a query", 400, queried).await;

    let made = table.expect_changes("of a key", 200, 0, token_request(&read, None)).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let next =
        table.expect_changes("of a token", 200, 0, token_request(&token, Some((json, r#"{"user_id":1}"#)))).await;
    let next = next["token"].as_str().unwrap().to_owned();
    table.expect_unchanged("opens", 200, read_request(Method::GET, "/api/lora/buffer-status", Some(&token))).await;
    table.expect_unchanged("opens no more", 403, read_request(Method::GET, "/api/sync/schema", Some(&next))).await;
    let sender = table.expect_changes("of another key", 200, 0, token_request(&ingest, None)).await;
    let sender = sender["token"].as_str().unwrap();
    let mut delivery = table.barn.post(r#"{"payload":"hxb:A:LF1:UHF1"}"#);
    delivery.headers_mut().insert("x-api-key", sender.parse().unwrap());
    table.expect_changes("delivers", 201, 1, delivery).await;

    table.barn.keys.revoke("screen").unwrap();
    for (case, token) in [("after its key", &token), ("after the key of the first", &next)] {
        table.expect_unchanged(case, 401, read_request(Method::GET, "/api/lora/buffer-status", Some(token))).await;
        table.expect_unchanged(&format!("a new one {case}"), 401, token_request(token, None)).await;
    }
    table.compare();
}
