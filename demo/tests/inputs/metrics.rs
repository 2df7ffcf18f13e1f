//! Metrics: their values, and the requests that may read them.
//!
//! Catches: a counter that does not match what happened, a label that a caller can choose, and a page that a stranger
//! can read.

use super::events::TEN;
use super::listener::{Listener, spawn_server};
use super::openmetrics::Exposition;
use super::router_barn::{Barn, RECEIVE};
use super::table::Table;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use herd::decide::Rules;
use service::events::EVENTS_PATH;
use service::metrics::METRICS_PATH;
use std::net::SocketAddr;

fn with_key(key: &str, path: &str) -> Request<Body> {
    Request::get(path).header("X-API-Key", key).body(Body::empty()).unwrap()
}

fn from(peer: &str, path: &str) -> Request<Body> {
    let peer: SocketAddr = peer.parse().unwrap();
    Request::get(path).extension(ConnectInfo(peer)).body(Body::empty()).unwrap()
}

async fn scrape(barn: &Barn) -> Exposition {
    let answer = barn.send(with_key(&barn.read_key, METRICS_PATH)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers().get(header::CONTENT_TYPE).unwrap(),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    Exposition::parse(std::str::from_utf8(answer.body()).unwrap()).unwrap()
}

/// Name of a sample without its prefix, its labels, and its value.
type ExpectedSample<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

fn assert_values(page: &Exposition, expected: &[ExpectedSample<'_>]) {
    for (name, labels, value) in expected {
        assert_eq!(page.value(&format!("herdlinx_{name}"), labels), Some(*value), "{name} {labels:?}");
    }
}

#[tokio::test]
async fn the_counters_match_what_happened() {
    let barn = Barn::new(Rules::default());
    let address = spawn_server(barn.router.clone()).await;
    let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    listener.event().await;
    for payload in TEN {
        barn.record(payload).await;
    }
    listener.events_to(9).await;
    let pulled = barn.send(barn.get("/api/sync/changes")).await;
    assert_eq!(pulled.status(), 200);
    assert_eq!(barn.send(barn.post(r#"{"payload":"hxb:LOT1:LF1:UHF1"}"#)).await.status(), 409);
    let labels = |route, method, status| [("route", route), ("method", method), ("status", status)];
    let page = scrape(&barn).await;
    assert_values(
        &page,
        &[
            ("boot", &[], 1.0),
            ("head_sequence", &[], 9.0),
            ("folded_sequence", &[], 9.0),
            ("missed_events", &[], 0.0),
            ("commits_total", &[], 11.0),
            ("commit_group_payloads_count", &[], 11.0),
            ("commit_group_payloads_sum", &[], 11.0),
            ("commit_duration_seconds_count", &[], 11.0),
            ("queue_payloads", &[], 0.0),
            ("judged_payloads_total", &[("outcome", "kept")], 7.0),
            ("judged_payloads_total", &[("outcome", "rejected")], 1.0),
            ("judged_payloads_total", &[("outcome", "duplicate")], 3.0),
            ("judged_payloads_total", &[("outcome", "suppressed")], 0.0),
            ("rejections_total", &[("reason", "field_count")], 1.0),
            ("duplicates_total", &[("channel", "radio1")], 2.0),
            ("duplicates_total", &[("channel", "chute-1")], 1.0),
            ("sync_pages_total", &[], 1.0),
            ("sync_changes_total", &[], 9.0),
            ("sync_followers", &[], 0.0),
            ("event_listeners", &[], 1.0),
            ("events_told_total", &[], 19.0),
            ("http_request_duration_seconds_count", &labels(RECEIVE, "POST", "4xx"), 1.0),
            ("http_request_duration_seconds_count", &labels("/api/sync/changes", "GET", "2xx"), 1.0),
            ("http_request_duration_seconds_count", &labels(EVENTS_PATH, "GET", "1xx"), 1.0),
        ],
    );
}

#[tokio::test]
async fn a_missed_event_is_counted_until_it_arrives_late() {
    let barn = Barn::new(Rules::default());
    for (counter, missed) in [("1", 0.0), ("4", 2.0), ("2", 1.0), ("3", 0.0)] {
        barn.record(&format!("event:hxbchi00000{counter}|weight:260.5|lid:{counter}")).await;
        assert_values(&scrape(&barn).await, &[("missed_events", &[], missed)]);
    }
}

/// Catches a page whose size a caller can drive up.
#[tokio::test]
async fn a_path_or_method_chosen_by_a_caller_never_becomes_a_label() {
    let barn = Barn::new(Rules::default());
    for (method, path) in [("GET", "/x\"y"), ("GET", "/api/lora/receive/1"), ("BREW", "/z"), ("PURGE", RECEIVE)] {
        let path = path.replace('"', "%22");
        barn.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
    }
    let page = scrape(&barn).await;
    let labels = page.families.iter().flat_map(|family| &family.samples).flat_map(|sample| &sample.labels);
    let mut requests: Vec<_> =
        labels.filter(|(key, _)| key == "route" || key == "method").map(|(_, value)| value.as_str()).collect();
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests, [RECEIVE, "GET", "none", "other"]);
}

#[tokio::test]
async fn metrics_are_open_to_keys_of_scope_read_alone() {
    let mut table = Table::new("metrics_refused");
    let (read, sync, ingest) =
        (table.barn.read_key.clone(), table.barn.sync_key.clone(), table.barn.ingest_key.clone());
    assert_eq!(table.barn.send(with_key(&read, METRICS_PATH)).await.status(), 200);
    table.expect_unchanged("from elsewhere without a key", 401, from("192.168.1.5:9", METRICS_PATH)).await;
    table.expect_unchanged("from this machine without a key", 401, from("127.0.0.1:9", METRICS_PATH)).await;
    table.expect_unchanged("a key of scope sync", 403, with_key(&sync, METRICS_PATH)).await;
    table.expect_unchanged("a key of scope ingest", 403, with_key(&ingest, METRICS_PATH)).await;
    table.expect_unchanged("a query", 400, with_key(&read, "/metrics?name=head")).await;
    let mut posted = with_key(&read, METRICS_PATH);
    *posted.method_mut() = axum::http::Method::POST;
    table.expect_unchanged("a POST", 405, posted).await;
    table.compare();
}
