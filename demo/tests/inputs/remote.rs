//! The read interface for programs, and the tokens that stand for a key.

use super::table::Table;
use axum::body::Body;
use axum::http::{Method, Request};
use herd::decide::Rules;
use herd::store::Receipt;

const TOKEN: &str = "/api/remote/auth/token";
/// Each with the same answer to whoever asks wrongly.
const PATHS: [&str; 7] = [
    "/api/remote/status",
    "/api/remote/batches",
    "/api/remote/batches/2",
    "/api/remote/payloads",
    "/api/remote/payloads/2",
    "/api/lora/payloads",
    "/api/lora/buffer-status",
];
/// Changes 2 to 8.
const HEARD: [&str; 7] = [
    "hxb:BATCH001:124000224161433:UHF456",
    "hxb:BATCH001:LF2:UHF2",
    "hxe:EXPORT001:LF2:UHF2",
    "event:hxbind000001|funder:Southwest Cattle Co|lot:LOT2024-001|pen:P1|lid:1|sex:M|tag_color:Red",
    "event:hxbchi000117|weight:267.3|lid:1",
    "event:hxbchi000121|weight:NaN|lid:1",
    "noise",
];

/// A barn that has heard something of every kind, and some of it again.
async fn filled(name: &str) -> Table {
    let table = Table::with_rules(name, Rules::default());
    for payload in HEARD {
        table.barn.hear(payload).await;
    }
    for again in [HEARD[0], HEARD[4], HEARD[6]] {
        assert!(matches!(table.barn.hear(again).await, Receipt::Duplicate { .. }), "{again}");
    }
    table
}

fn asked(method: Method, path: &str, key: Option<&str>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = key.into_iter().fold(request, |request, key| request.header("X-API-Key", key));
    request.body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_question_has_its_answer() {
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
        table.leaves_nothing(path, 200, asked(Method::GET, path, Some(&key))).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_404_and_what_cannot_be_meant_400() {
    let mut table = filled("remote_wrong").await;
    let key = table.barn.read_key.clone();
    let missing =
        ["/api/remote/batches/3", "/api/remote/payloads/1", "/api/remote/payloads/9", "/api/remote/payloads/0"];
    for path in missing {
        table.leaves_nothing(path, 404, asked(Method::GET, path, Some(&key))).await;
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
        table.leaves_nothing(path, 400, asked(Method::GET, path, Some(&key))).await;
    }
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn each_asks_for_a_key_of_scope_read_and_is_only_read() {
    let mut table = filled("remote_keys").await;
    let (ingest, sync, read) =
        (table.barn.ingest_key.clone(), table.barn.sync_key.clone(), table.barn.read_key.clone());
    for path in PATHS {
        table.leaves_nothing(&format!("{path} no key"), 401, asked(Method::GET, path, None)).await;
        for (scope, key) in [("ingest", &ingest), ("sync", &sync)] {
            table.leaves_nothing(&format!("{path} {scope}"), 403, asked(Method::GET, path, Some(key))).await;
        }
        table.leaves_nothing(&format!("DELETE {path}"), 405, asked(Method::DELETE, path, Some(&read))).await;
    }
    table.leaves_nothing("GET a token", 405, asked(Method::GET, TOKEN, Some(&read))).await;
    table.compare();
}

fn for_a_token(secret: &str, body: Option<(&str, &str)>) -> Request<Body> {
    let request = Request::post(TOKEN).header("Authorization", format!("Bearer {secret}"));
    let request = body.into_iter().fold(request, |request, (kind, _)| request.header("Content-Type", kind));
    request.body(body.map_or_else(Body::empty, |(_, text)| text.to_owned().into())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_made_of_a_key_or_a_token_opens_the_same_and_dies_with_its_key() {
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
        table.leaves_nothing(case, status, for_a_token(secret, body)).await;
    }
    let long = format!(r#"{{"user_id":{}}}"#, " ".repeat(service::door::token_route::MAX_TOKEN_BODY_BYTES));
    table.leaves_nothing("too long", 413, for_a_token(&read, Some((json, &long)))).await;
    let mut queried = for_a_token(&read, None);
    *queried.uri_mut() = format!("{TOKEN}?user_id=1").parse().unwrap();
    table.leaves_nothing("a query", 400, queried).await;

    let made = table.appends("of a key", 200, 0, for_a_token(&read, None)).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let next = table.appends("of a token", 200, 0, for_a_token(&token, Some((json, r#"{"user_id":1}"#)))).await;
    let next = next["token"].as_str().unwrap().to_owned();
    table.leaves_nothing("opens", 200, asked(Method::GET, "/api/lora/buffer-status", Some(&token))).await;
    table.leaves_nothing("opens no more", 403, asked(Method::GET, "/api/sync/schema", Some(&next))).await;
    let sender = table.appends("of another key", 200, 0, for_a_token(&ingest, None)).await;
    let sender = sender["token"].as_str().unwrap();
    let mut delivery = table.barn.post(r#"{"payload":"hxb:A:LF1:UHF1"}"#);
    delivery.headers_mut().insert("x-api-key", sender.parse().unwrap());
    table.appends("delivers", 201, 1, delivery).await;

    table.barn.keys.revoke("screen").unwrap();
    for (case, token) in [("after its key", &token), ("after the key of the first", &next)] {
        table.leaves_nothing(case, 401, asked(Method::GET, "/api/lora/buffer-status", Some(token))).await;
        table.leaves_nothing(&format!("a new one {case}"), 401, for_a_token(token, None)).await;
    }
    table.compare();
}
