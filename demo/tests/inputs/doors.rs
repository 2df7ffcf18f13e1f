//! Who is let in, and by which path and method.

use super::router_barn::RECEIVE;
use super::table::Table;
use axum::body::Body;
use axum::http::header::HeaderValue;
use axum::http::{Method, Request};
use herd::decide::Rules;

const BODY: &str = r#"{"payload":"hxb:A:LF1:UHF1"}"#;
const SYNC_PATHS: [&str; 4] = ["/api/sync/schema", "/api/sync/changes", "/api/sync/full-export", "/api/sync/live"];

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn sent(path: &str, headers: Headers<'_>) -> Request<Body> {
    let mut request = Request::post(path).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(BODY.into()).unwrap()
}

fn asked(path: &str, headers: Headers<'_>) -> Request<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn without_one_known_key_in_a_header_it_is_401_and_without_its_scope_403() {
    let mut table = Table::new("door_keys");
    let (key, sync, read) = (table.barn.ingest_key.clone(), table.barn.sync_key.clone(), table.barn.read_key.clone());
    let (bearer, cut) = (format!("Bearer {key}"), key[..key.len() - 1].to_owned());
    let (longer, other_case) = (format!("{key}A"), key.to_uppercase());
    let (basic, no_scheme) = (format!("Basic {key}"), key.clone());
    let wrong: [(&str, u16, Headers<'_>); 15] = [
        ("no key", 401, &[]),
        ("an empty key", 401, &[("X-API-Key", "")]),
        ("a wrong key", 401, &[("X-API-Key", "hxb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]),
        ("a key cut by a letter", 401, &[("X-API-Key", &cut)]),
        ("a key with a letter more", 401, &[("X-API-Key", &longer)]),
        ("a key in capitals", 401, &[("X-API-Key", &other_case)]),
        ("the key twice", 401, &[("X-API-Key", &key), ("X-API-Key", &key)]),
        ("two keys", 401, &[("X-API-Key", &key), ("X-API-Key", &sync)]),
        ("a key and a bearer", 401, &[("X-API-Key", &key), ("Authorization", &bearer)]),
        ("a bearer without its word", 401, &[("Authorization", &no_scheme)]),
        ("basic", 401, &[("Authorization", &basic)]),
        ("a bearer of nothing", 401, &[("Authorization", "Bearer ")]),
        ("a cookie", 401, &[("Cookie", &key)]),
        ("a key of scope sync", 403, &[("X-API-Key", &sync)]),
        ("a key of scope read", 403, &[("X-API-Key", &read)]),
    ];
    for (case, status, headers) in wrong {
        table.leaves_nothing(case, status, sent(RECEIVE, headers)).await;
    }
    let unreadable = Request::post(RECEIVE).header("X-API-Key", HeaderValue::from_bytes(b"hxb_\xff").unwrap());
    table.leaves_nothing("a key that is no text", 401, unreadable.body(BODY.into()).unwrap()).await;
    for name in ["api_key", "key", "token", "X-API-Key"] {
        let in_query = sent(&format!("{RECEIVE}?{name}={key}"), &[]);
        table.leaves_nothing(&format!("a key in the query as {name}"), 401, in_query).await;
    }
    let beside = sent(&format!("{RECEIVE}?api_key={key}"), &[("X-API-Key", &key)]);
    table.leaves_nothing("a key in the query beside the header", 400, beside).await;

    table.barn.keys.add("gone", [service::door::keys::Scope::Ingest].into()).unwrap();
    table.barn.keys.revoke("gone").unwrap();
    let right = sent(RECEIVE, &[("Authorization", &bearer)]);
    table.appends("the key as a bearer", 201, 1, right).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_opens_nothing_any_more() {
    let mut table = Table::new("door_revoked");
    let key = table.barn.ingest_key.clone();
    table.appends("before", 201, 1, sent(RECEIVE, &[("X-API-Key", &key)])).await;
    table.barn.keys.revoke("chute-1").unwrap();
    table.leaves_nothing("after", 401, sent(RECEIVE, &[("X-API-Key", &key)])).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn every_path_but_health_asks_for_its_own_scope() {
    let mut table = Table::new("door_scopes");
    let (ingest, read) = (table.barn.ingest_key.clone(), table.barn.read_key.clone());
    for path in SYNC_PATHS {
        table.leaves_nothing(&format!("{path} no key"), 401, asked(path, &[])).await;
        let in_query = asked(&format!("{path}?api_key={}", table.barn.sync_key), &[]);
        table.leaves_nothing(&format!("{path} a key in the query"), 401, in_query).await;
        for (scope, key) in [("ingest", &ingest), ("read", &read)] {
            table.leaves_nothing(&format!("{path} {scope}"), 403, asked(path, &[("X-API-Key", key)])).await;
        }
    }
    let office = "/office/api/lora/receive";
    table.leaves_nothing(&format!("{office} no key"), 401, sent(office, &[])).await;
    table.leaves_nothing(&format!("{office} read"), 403, sent(office, &[("X-API-Key", &read)])).await;
    table.leaves_nothing("health", 200, asked("/api/remote/health", &[])).await;
    table.leaves_nothing("health with a query", 400, asked("/api/remote/health?full=1", &[])).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn another_method_is_405_and_another_path_404() {
    let mut table = Table::with_rules("door_paths", Rules::default());
    let (ingest, sync) = (table.barn.ingest_key.clone(), table.barn.sync_key.clone());
    let other_methods = [
        (RECEIVE, &ingest, vec![Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]),
        ("/office/api/lora/receive", &ingest, vec![Method::GET, Method::HEAD]),
        ("/api/sync/changes", &sync, vec![Method::POST, Method::DELETE]),
        ("/api/sync/schema", &sync, vec![Method::POST]),
        ("/api/sync/full-export", &sync, vec![Method::POST]),
        ("/api/sync/live", &sync, vec![Method::POST, Method::CONNECT]),
        ("/api/remote/health", &sync, vec![Method::POST]),
    ];
    for (path, key, methods) in other_methods {
        for method in methods {
            let case = format!("{method} {path}");
            let request = Request::builder().method(method).uri(path).header("X-API-Key", key);
            let request = request.header("Content-Type", "application/json").body(BODY.into()).unwrap();
            if case.starts_with("HEAD") {
                // An answer to HEAD has no body to compare.
                assert_eq!(table.barn.answer(request).await.status(), 405, "{case}");
            } else {
                table.leaves_nothing(&case, 405, request).await;
            }
        }
    }
    let nowhere = [
        "/",
        "/nowhere",
        "/api/lora",
        "/api/lora/receive/",
        "/api/lora/receive/1",
        "/api//lora/receive",
        "/api/lora/RECEIVE",
        "/api/lora/%72eceive",
        "/api/lora/../lora/receive",
        "/api/sync/../../etc/passwd",
        "/api/sync/changes%00",
        "/api/sync/%ff",
    ];
    for path in nowhere {
        let request = sent(path, &[("X-API-Key", &ingest)]);
        table.leaves_nothing(&format!("POST {path}"), 404, request).await;
        assert_eq!(table.barn.answer(asked(path, &[])).await.status(), 404, "GET {path} without a key");
    }
    table.compare();
}
