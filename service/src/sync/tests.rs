//! The calls of sync, as followers and other programs make them.

use super::link::{BLOB_TYPE, CHANGES_PATH, LIVE_PATH, SCHEMA_PATH};
use super::query::position_text;
use super::serve::router;
use super::*;
use crate::harness::web_socket::{next_text, open_socket};
use crate::lifecycle::ShutdownTrigger;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use futures::{SinkExt as _, StreamExt as _};
use herd::position::{Digest, Position, Sequence};
use herd::testing::TestBarn;
use herd::wire::{Acknowledgment, Heartbeat, Page, Schema, WIRE_VERSION, from_blob, to_blob};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt as _;

/// A barn whose log is served.
struct Source {
    barn: TestBarn,
    served: Arc<OwnStore<fn() -> u64>>,
    shutdown: ShutdownTrigger,
}

impl Source {
    fn new() -> Self {
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1", "hxb:A:LF2:UHF2"]);
        let three_duplicates: fn() -> u64 = || 3;
        let served = Arc::new(OwnStore::new(barn.reader(), three_duplicates));
        Self { barn, served, shutdown: ShutdownTrigger::default() }
    }

    fn routes(&self) -> Router {
        router(self.served.clone(), self.shutdown.signal())
    }

    fn at(&self, sequence: u64) -> Position {
        self.barn.reader().position_at(Sequence(sequence)).unwrap().unwrap()
    }
}

/// Returns status, media type and body of a response.
async fn request(routes: Router, path_and_query: &str, accept: &str) -> (u16, String, Vec<u8>) {
    let request = Request::get(path_and_query).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let response = routes.oneshot(request).await.unwrap();
    let (status, media_type) = (response.status().as_u16(), response.headers()[header::CONTENT_TYPE].to_str().unwrap());
    let media_type = media_type.to_owned();
    (status, media_type, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

async fn request_json(routes: Router, path_and_query: &str) -> (u16, Value) {
    let (status, media_type, body) = request(routes, path_and_query, "*/*").await;
    assert_eq!(media_type, "application/json", "{path_and_query}");
    (status, serde_json::from_slice(&body).unwrap())
}

async fn request_page(routes: Router, query: &str) -> Page {
    let (status, media_type, body) = request(routes, &format!("{CHANGES_PATH}{query}"), BLOB_TYPE).await;
    assert_eq!((status, media_type.as_str()), (200, BLOB_TYPE), "{query}");
    from_blob(&body).unwrap()
}

/// Catches a follower that cannot tell which version and how much the source has.
#[tokio::test]
async fn the_schema_has_the_version_and_the_head_in_both_forms() {
    let source = Source::new();
    let (status, shown) = request_json(source.routes(), SCHEMA_PATH).await;
    assert_eq!((status, &shown["success"], &shown["data"]["wire_version"]), (200, &json!(true), &json!(WIRE_VERSION)));
    let (status, media_type, body) = request(source.routes(), SCHEMA_PATH, BLOB_TYPE).await;
    assert_eq!((status, media_type.as_str()), (200, BLOB_TYPE));
    let schema: Schema = from_blob(&body).unwrap();
    let barn = BarnHead { head: Sequence(3), age_ms: Some(0), duplicates: 3 };
    assert_eq!(schema.state, Heartbeat::new(&source.barn.reader().head(), barn));
}

/// Catches changes that are left out, sent twice, or not counted, and a follower of another history that is fed.
#[tokio::test]
async fn changes_follow_the_position_of_the_query_up_to_its_limit() {
    let source = Source::new();
    let all = request_page(source.routes(), "").await;
    assert_eq!((all.after, all.end.end, all.changes.len()), (source.at(0), source.at(3), 3));
    let one = request_page(source.routes(), &format!("?{}&limit=1", position_text(&source.at(1)))).await;
    assert_eq!((one.after, one.end.end, one.end.head), (source.at(1), source.at(2), Sequence(3)));
    let counts = source.served.sync_stats().counts();
    assert_eq!((counts.pages, counts.changes), (2, 4));
    let (status, shown) =
        request_json(source.routes(), &format!("{CHANGES_PATH}?{}", position_text(&source.at(2)))).await;
    assert_eq!((status, &shown["changes"][0]["sequence"], &shown["head"]), (200, &json!(3), &json!(3)));

    let other = Position { digest: Digest([9; 32]), ..source.at(2) };
    for accept in ["*/*", BLOB_TYPE] {
        let path_and_query = format!("{CHANGES_PATH}?{}", position_text(&other));
        let (status, media_type, body) = request(source.routes(), &path_and_query, accept).await;
        let refusal: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, media_type.as_str(), &refusal["error"]), (409, "application/json", &json!("diverged")));
        assert_eq!((&refusal["asked"], &refusal["held"]), (&json!(other), &json!(source.at(3))));
    }
}

/// Catches a follower that asks again and again, one that hears of a change late, and a wait that delays a shutdown.
#[tokio::test(start_paused = true)]
async fn a_request_at_the_head_waits_for_a_change_as_long_as_it_says() {
    let mut source = Source::new();
    let query = format!("?{}&wait=30", position_text(&source.at(3)));
    let start = Instant::now();
    assert_eq!(request_page(source.routes(), &query).await.changes.len(), 0);
    assert_eq!(start.elapsed(), Duration::from_secs(30));

    let (start, routes) = (Instant::now(), source.routes());
    let (page, ()) = tokio::join!(request_page(routes, &query), async {
        sleep(Duration::from_secs(7)).await;
        source.barn.record("hxb:A:LF3:UHF3");
    });
    assert_eq!((page.changes.len(), start.elapsed()), (1, Duration::from_secs(7)));
    let start = Instant::now();
    assert_eq!(request_page(source.routes(), &query).await.changes.len(), 1);
    source.shutdown.request();
    let query = format!("?{}&wait=30", position_text(&source.at(4)));
    assert_eq!(request_page(source.routes(), &query).await.changes.len(), 0);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A process that has no store at the moment.
struct NoStore(SyncStats);

impl Served for NoStore {
    fn reader(&self) -> Result<Reader, NotServedError> {
        Err(NotServedError::NoCopy)
    }

    fn barn_head(&self) -> BarnHead {
        BarnHead::default()
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.0
    }
}

#[tokio::test]
async fn without_a_store_each_call_says_so() {
    let shutdown = ShutdownTrigger::default().signal();
    let routes = router(Arc::new(NoStore(SyncStats::default())), shutdown);
    for path in [SCHEMA_PATH, CHANGES_PATH, serve::FULL_EXPORT_PATH] {
        let (status, refusal) = request_json(routes.clone(), path).await;
        assert_eq!((status, &refusal["error"]), (503, &json!("no_copy_yet")), "{path}");
    }
}

/// Catches a live connection that ends at a ping, or goes on after what no follower sends.
#[tokio::test(start_paused = true)]
async fn a_live_connection_carries_blobs_and_ends_at_anything_else() {
    let mut source = Source::new();
    let mut follower = open_socket(source.routes(), LIVE_PATH).await;
    let Some(Ok(Message::Binary(blob))) = follower.next().await else { panic!("a page") };
    let page: Page = from_blob(&blob).unwrap();
    assert_eq!((page.after, page.end.end), (source.at(0), source.at(3)));
    follower.send(Message::Ping(Vec::new().into())).await.unwrap();
    follower.send(Message::Binary(to_blob(&Acknowledgment { durable: page.end.end }).into())).await.unwrap();
    source.barn.record("hxb:A:LF3:UHF3");
    let mut found = Vec::new();
    while found.len() < 3 {
        found.push(next_text(&mut follower).await);
    }
    found.sort();
    assert_eq!(found, ["Heartbeat", "Page", "pong"]);
    assert_eq!(source.served.sync_stats().counts().followers, 1);
    follower.send(Message::text("no blob")).await.unwrap();
    assert_eq!(next_text(&mut follower).await, "close");
    assert_eq!(source.served.sync_stats().counts().followers, 0);
}
