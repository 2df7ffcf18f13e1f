//! Metrics: who may see them, and that they say what happened.

use super::events::TEN;
use super::listener::{Listener, served};
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

/// Asked from the machine itself.
fn near(path: &str) -> Request<Body> {
    from("127.0.0.1:9", path)
}

fn from(peer: &str, path: &str) -> Request<Body> {
    let peer: SocketAddr = peer.parse().unwrap();
    Request::get(path).extension(ConnectInfo(peer)).body(Body::empty()).unwrap()
}

async fn scraped(barn: &Barn) -> Exposition {
    let answer = barn.answer(near(METRICS_PATH)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers().get(header::CONTENT_TYPE).unwrap(),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    Exposition::parse(std::str::from_utf8(answer.body()).unwrap()).unwrap()
}

/// A name without its prefix, its labels, and the value.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

fn assert_values(page: &Exposition, expected: &[Expected<'_>]) {
    for (name, labels, value) in expected {
        assert_eq!(page.value(&format!("herdlinx_{name}"), labels), Some(*value), "{name} {labels:?}");
    }
}

#[tokio::test]
async fn what_happened_is_what_is_counted() {
    let barn = Barn::new(Rules::default());
    let address = served(barn.router.clone()).await;
    let mut listener = Listener::open(address, EVENTS_PATH, &barn.read_key).await;
    listener.event().await;
    for payload in TEN {
        barn.hear(payload).await;
    }
    listener.events_to(9).await;
    let pulled = barn.answer(barn.get("/api/sync/changes")).await;
    assert_eq!(pulled.status(), 200);
    assert_eq!(barn.answer(barn.post(r#"{"payload":"hxb:LOT1:LF1:UHF1"}"#)).await.status(), 409);
    let asked = |route, method, status| [("route", route), ("method", method), ("status", status)];
    let page = scraped(&barn).await;
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
            ("http_request_duration_seconds_count", &asked(RECEIVE, "POST", "4xx"), 1.0),
            ("http_request_duration_seconds_count", &asked("/api/sync/changes", "GET", "2xx"), 1.0),
            ("http_request_duration_seconds_count", &asked(EVENTS_PATH, "GET", "1xx"), 1.0),
        ],
    );
}

#[tokio::test]
async fn a_missed_event_is_seen_and_unseen_again_when_it_arrives_late() {
    let barn = Barn::new(Rules::default());
    for (counter, missed) in [("1", 0.0), ("4", 2.0), ("2", 1.0), ("3", 0.0)] {
        barn.hear(&format!("event:hxbchi00000{counter}|weight:260.5|lid:{counter}")).await;
        assert_values(&scraped(&barn).await, &[("missed_events", &[], missed)]);
    }
}

/// Catches a scrape whose size is in the hands of whoever sends requests.
#[tokio::test]
async fn no_path_and_no_method_of_a_caller_becomes_a_label() {
    let barn = Barn::new(Rules::default());
    for (method, path) in [("GET", "/x\"y"), ("GET", "/api/lora/receive/1"), ("BREW", "/z"), ("PURGE", RECEIVE)] {
        let path = path.replace('"', "%22");
        barn.answer(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
    }
    let page = scraped(&barn).await;
    let labels = page.families.iter().flat_map(|family| &family.samples).flat_map(|sample| &sample.labels);
    let mut requests: Vec<_> =
        labels.filter(|(key, _)| key == "route" || key == "method").map(|(_, value)| value.as_str()).collect();
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests, [RECEIVE, "GET", "none", "other"]);
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_for_keys_of_scope_read() {
    let mut table = Table::new("metrics_refused");
    let (read, sync, ingest) =
        (table.barn.read_key.clone(), table.barn.sync_key.clone(), table.barn.ingest_key.clone());
    let keyed = |key: &str| Request::get(METRICS_PATH).header("X-API-Key", key).body(Body::empty()).unwrap();
    assert_eq!(table.barn.answer(near(METRICS_PATH)).await.status(), 200);
    assert_eq!(table.barn.answer(keyed(&read)).await.status(), 200);
    table.leaves_nothing("from elsewhere without a key", 401, from("192.168.1.5:9", METRICS_PATH)).await;
    table.leaves_nothing("a key of scope sync", 403, keyed(&sync)).await;
    table.leaves_nothing("a key of scope ingest", 403, keyed(&ingest)).await;
    table.leaves_nothing("a query", 400, near("/metrics?name=head")).await;
    let mut passed_on = near(METRICS_PATH);
    passed_on.headers_mut().insert("X-Forwarded-For", "8.8.8.8".parse().unwrap());
    table.leaves_nothing("passed on by a proxy", 401, passed_on).await;
    let mut posted = near(METRICS_PATH);
    *posted.method_mut() = axum::http::Method::POST;
    table.leaves_nothing("a POST", 405, posted).await;
    table.compare();
}
