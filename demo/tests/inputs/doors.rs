//! Keys, paths and methods: which requests a door lets in.
//!
//! Catches: a key that is accepted from a wrong place, by a wrong scope or after its revocation, and a path or method
//! that answers although it is not part of the interface.

use super::router_barn::RECEIVE;
use super::table::Table;
use axum::body::Body;
use axum::http::header::HeaderValue;
use axum::http::{Method, Request};
use herd::decide::Rules;

const BODY: &str = r#"{"payload":"hxb:A:LF1:UHF1"}"#;
const SYNC_PATHS: [&str; 4] = ["/api/sync/schema", "/api/sync/changes", "/api/sync/full-export", "/api/sync/live"];

/// Names and values of headers.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn post_request(path: &str, headers: Headers<'_>) -> Request<Body> {
    let mut request = Request::post(path).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(BODY.into()).unwrap()
}

fn get_request(path: &str, headers: Headers<'_>) -> Request<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_without_one_known_key_in_a_header_is_401_and_without_the_scope_403() {
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
        table.expect_unchanged(case, status, post_request(RECEIVE, headers)).await;
    }
    let unreadable = Request::post(RECEIVE).header("X-API-Key", HeaderValue::from_bytes(b"hxb_\xff").unwrap());
    table.expect_unchanged("a key that is no text", 401, unreadable.body(BODY.into()).unwrap()).await;
    for name in ["api_key", "key", "token", "X-API-Key"] {
        let in_query = post_request(&format!("{RECEIVE}?{name}={key}"), &[]);
        table.expect_unchanged(&format!("a key in the query as {name}"), 401, in_query).await;
    }
    let beside = post_request(&format!("{RECEIVE}?api_key={key}"), &[("X-API-Key", &key)]);
    table.expect_unchanged("a key in the query beside the header", 400, beside).await;

    table.barn.keys.add("gone", [service::door::keys::Scope::Ingest].into()).unwrap();
    table.barn.keys.revoke("gone").unwrap();
    let right = post_request(RECEIVE, &[("Authorization", &bearer)]);
    table.expect_changes("the key as a bearer", 201, 1, right).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_no_longer_accepted() {
    let mut table = Table::new("door_revoked");
    let key = table.barn.ingest_key.clone();
    table.expect_changes("before", 201, 1, post_request(RECEIVE, &[("X-API-Key", &key)])).await;
    table.barn.keys.revoke("chute-1").unwrap();
    table.expect_unchanged("after", 401, post_request(RECEIVE, &[("X-API-Key", &key)])).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn every_path_but_health_requires_its_own_scope() {
    let mut table = Table::new("door_scopes");
    let (ingest, read) = (table.barn.ingest_key.clone(), table.barn.read_key.clone());
    for path in SYNC_PATHS {
        table.expect_unchanged(&format!("{path} no key"), 401, get_request(path, &[])).await;
        let in_query = get_request(&format!("{path}?api_key={}", table.barn.sync_key), &[]);
        table.expect_unchanged(&format!("{path} a key in the query"), 401, in_query).await;
        for (scope, key) in [("ingest", &ingest), ("read", &read)] {
            table.expect_unchanged(&format!("{path} {scope}"), 403, get_request(path, &[("X-API-Key", key)])).await;
        }
    }
    let office = "/office/api/lora/receive";
    table.expect_unchanged(&format!("{office} no key"), 401, post_request(office, &[])).await;
    table.expect_unchanged(&format!("{office} read"), 403, post_request(office, &[("X-API-Key", &read)])).await;
    table.expect_unchanged("health", 200, get_request("/api/remote/health", &[])).await;
    table.expect_unchanged("health with a query", 400, get_request("/api/remote/health?full=1", &[])).await;
    table.compare();
}

#[tokio::test(start_paused = true)]
async fn an_unsupported_method_is_405_and_an_unknown_path_404() {
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
                assert_eq!(table.barn.send(request).await.status(), 405, "{case}");
            } else {
                table.expect_unchanged(&case, 405, request).await;
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
        let request = post_request(path, &[("X-API-Key", &ingest)]);
        table.expect_unchanged(&format!("POST {path}"), 404, request).await;
        assert_eq!(table.barn.send(get_request(path, &[])).await.status(), 404, "GET {path} without a key");
    }
    table.compare();
}
