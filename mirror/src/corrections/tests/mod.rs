//! Tests of forwarded orders, from the HTTP route over TLS to a fake barn on loopback.

mod refused_copies;
mod reprocess;

use super::reprocess::REPROCESS_PATH;
use super::*;
use crate::follow::FollowSettings;
use crate::link::tests::barn::{Barn, Identity};
use crate::sites::{AddOptions, SiteFiles};
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Builder;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use herd::clock::SystemClock;
use herd::pairing::Pairing;
use herd::position::StoreId;
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use rcgen::KeyPair;
use serde_json::{Value, json};
use service::door::keys::KeyRing;
use service::harness::wait_until;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::time::Duration;
use tower::ServiceExt;

/// An order with odd blanks, an escape and its own order of keys, all of which must arrive unchanged.
const ORDER: &str = r#" {"reason": "seen \u0041gain",  "correction":{"animal":12,"kind":"died"},
 "idempotency_key":"k1","author":" J. Doe "} "#;
const PATH: &str = "/api/corrections";
const NAMED: &str = "/sites/barn/api/corrections";

/// Requests that a barn received: key and body of each.
type RequestLog = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A barn with a given response to corrections, which records the requests that it receives.
struct FakeBarn {
    barn: Barn,
    pin: [u8; 32],
    sent: RequestLog,
}

impl FakeBarn {
    fn with_route(corrections: MethodRouter) -> Self {
        let (identity, sent) = (Identity::self_signed(KeyPair::generate().unwrap()), RequestLog::default());
        let log = sent.clone();
        let recorder = from_fn(move |request: Request, next: Next| record(log.clone(), request, next));
        let router = Router::new().route(PATH, corrections.layer(recorder));
        Self { barn: Barn::start_with(&identity, router), pin: identity.pin(), sent }
    }

    fn line(&self, site: &str, number: u8) -> Pairing {
        Pairing {
            site: site.to_owned(),
            addresses: vec![self.barn.at.to_string()],
            spki_sha256: self.pin,
            store: StoreId([number; 16]),
            key: format!("hxb_{site}"),
        }
    }

    fn sent(&self) -> Vec<(String, Bytes)> {
        self.sent.lock().unwrap().clone()
    }
}

async fn record(sent: RequestLog, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_ORDER_BYTES).await.unwrap();
    let key = head.headers["x-api-key"].to_str().unwrap().to_owned();
    sent.lock().unwrap().push((key, body.clone()));
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// Starts a barn that always gives this response.
fn responding(status: u16, body: &'static str) -> FakeBarn {
    FakeBarn::with_route(post(async move || (StatusCode::from_u16(status).unwrap(), body)))
}

/// Starts a barn that reports every order as applied.
fn applying() -> FakeBarn {
    responding(201, r#"{"success":true,  "status":"corrected","sequence":9,"message":"kept"}"#)
}

/// An office and its paired barns.
struct Office {
    sites: Arc<Sites>,
    keys: Arc<KeyRing>,
    key: String,
    router: Router,
    _directory: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn error(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(body["success"], false, "{}", self.text);
        assert!(body["message"].as_str().is_some_and(|message| message.len() > 20), "{}", self.text);
        body["error"].as_str().unwrap().to_owned()
    }
}

impl Office {
    async fn new(lines: Vec<Pairing>) -> Self {
        Self::prepared(lines, |_| ()).await
    }

    /// Starts an office; `prepare` may change the files before anything is opened.
    async fn prepared(lines: Vec<Pairing>, prepare: impl FnOnce(&SiteFiles)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = KeyRing::load(local.clone(), Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap();
        let key = keys.add("operator", [Scope::Correct].into()).unwrap().reveal().to_owned();
        let files = SiteFiles::new(local, directory.path());
        for line in lines {
            files.add(&line, &AddOptions::default(), 0).unwrap();
        }
        prepare(&files);
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed: 1 };
        let (sites, _failures) = Sites::start(files, settings, Arc::new(SystemClock::default())).await.unwrap();
        let keys = Arc::new(keys);
        let router = router(Forwarder::new(sites.clone()), keys.clone());
        Self { sites, keys, key, router, _directory: directory }
    }

    async fn send(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("X-API-Key", &self.key);
        self.request(request.header(header::CONTENT_TYPE, "application/json"), body).await
    }

    async fn request(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let here = ConnectInfo::<SocketAddr>("127.0.0.1:9".parse().unwrap());
        let request = request.extension(here).body(body.into()).unwrap();
        read_answer(self.router.clone().oneshot(request).await.unwrap()).await
    }
}

async fn read_answer(response: Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    Answer { status, headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn order_and_response_are_forwarded_byte_for_byte() {
    let barn = applying();
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    for path in [PATH, NAMED] {
        let answer = office.send(path, ORDER).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.text, r#"{"success":true,  "status":"corrected","sequence":9,"message":"kept"}"#);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    }
    let once = ("hxb_barn".to_owned(), Bytes::from_static(ORDER.as_bytes()));
    assert_eq!(barn.sent(), [once.clone(), once]);
}

#[tokio::test]
async fn a_refusal_by_the_barn_is_passed_on_unchanged() {
    for (status, body) in [
        (200, r#"{"success":true,"status":"already_corrected","sequence":9,"message":"kept before"}"#),
        (400, r#"{"success":false,"error":"bad_request","message":"..."}"#),
        (404, r#"{"success":false,"error":"unknown_animal","message":"there is no animal 12"}"#),
        (409, r#"{"success":false,"error":"not_on_yard","message":"..."}"#),
        (422, r#"{"success":false,"error":"still_rejected","message":"..."}"#),
        (503, r#"{"success":false,"error":"disk_full","message":"..."}"#),
    ] {
        let barn = responding(status, body);
        let office = Office::new(vec![barn.line("barn", 1)]).await;
        let answer = office.send(PATH, ORDER).await;
        assert_eq!((answer.status, answer.text.as_str(), barn.sent().len()), (status, body, 1));
    }
}

#[tokio::test]
async fn the_barns_retry_after_is_passed_on() {
    let busy = async || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], r#"{"success":false}"#);
    let barn = FakeBarn::with_route(post(busy));
    let answer = Office::new(vec![barn.line("barn", 1)]).await.send(PATH, ORDER).await;
    assert_eq!((answer.status, &answer.headers[header::RETRY_AFTER]), (503, &"7".parse().unwrap()));
}

#[tokio::test]
async fn an_invalid_order_is_rejected_without_asking_the_barn() {
    let barn = applying();
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let order = |key: &str, value: Value| {
        let mut order = json!({"author": "a", "reason": "r", "idempotency_key": "k"});
        order["correction"] = json!({"kind": "died", "animal": 12});
        order[key] = value;
        order.to_string()
    };
    let bad = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        order("author", "".into()),
        order("author", "x".repeat(65).into()),
        order("reason", " ".into()),
        order("reason", 7.into()),
        order("idempotency_key", Value::Null),
        order("more", "x".into()),
        order("correction", json!({"kind": "fly"})),
        order("correction", json!({"kind": "died", "animal": "12"})),
        order("correction", json!({"kind": "weigh", "animal": 12, "weight_kg": "NaN"})),
    ];
    for path in [PATH, NAMED] {
        for body in &bad {
            let answer = office.send(path, body.clone()).await;
            assert_eq!((answer.status, answer.error().as_str()), (400, "bad_request"), "{body}");
        }
        let large = office.send(path, order("reason", "x".repeat(MAX_ORDER_BYTES).into())).await;
        assert_eq!((large.status, large.error().as_str()), (413, "payload_too_large"));
        let untyped = office.request(Request::post(path).header("X-API-Key", &office.key), ORDER).await;
        assert_eq!(untyped.status, 415);
        assert_eq!(office.send(&format!("{path}?dry=1"), ORDER).await.status, 400);
    }
    assert_eq!(barn.sent().len(), 0);
}

#[tokio::test]
async fn the_longest_valid_order_is_forwarded_even_if_fully_escaped() {
    let barn = applying();
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let escaped = |chars: usize| r"\ud83d\udc04".repeat(chars);
    let order = format!(
        r#"{{"author":"{}","reason":"{}","idempotency_key":"{}","correction":{{"kind":"edit_batch","batch":{},"notes":"{}"}}}}"#,
        escaped(64),
        escaped(200),
        escaped(64),
        u64::MAX,
        escaped(1_000)
    );
    assert_eq!(office.send(PATH, order.clone()).await.status, 201);
    assert_eq!(barn.sent()[0].1, order.into_bytes());
}

#[tokio::test]
async fn orders_need_a_key_of_scope_correct_or_admin_even_from_this_machine() {
    let barn = applying();
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let scopes = [Scope::Ingest, Scope::Read, Scope::Sync, Scope::Admin];
    let [ingest, read, sync, admin] =
        scopes.map(|scope| office.keys.add(scope.name(), [scope].into()).unwrap().reveal().to_owned());
    for path in [PATH, NAMED] {
        let typed = || Request::post(path).header(header::CONTENT_TYPE, "application/json");
        assert_eq!(office.request(typed(), ORDER).await.status, 401);
        for key in [&ingest, &read, &sync] {
            assert_eq!(office.request(typed().header("X-API-Key", key), ORDER).await.status, 403);
        }
        assert_eq!(barn.sent().len(), 0);
        assert_eq!(office.request(typed().header("X-API-Key", &admin), ORDER).await.status, 201);
        barn.sent.lock().unwrap().clear();
        let get = office.request(Request::get(path).header("X-API-Key", &office.key), "").await;
        assert_eq!((get.status, get.error().as_str()), (405, "method_not_allowed"));
    }
}

#[tokio::test]
async fn an_order_to_an_unreachable_barn_is_not_stored_and_says_how_to_retry() {
    let barn = applying();
    let line = barn.line("barn", 1);
    drop(barn);
    let office = Office::new(vec![line]).await;
    let answer = office.send(PATH, ORDER).await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "barn_away"));
    assert_eq!(answer.headers[header::RETRY_AFTER], "10");
    assert!(answer.text.contains("nothing is stored here") && answer.text.contains("same idempotency key"));
}

#[tokio::test]
async fn nothing_is_sent_to_a_stranger_at_the_barns_address() {
    let (barn, other) = (applying(), applying());
    let line = Pairing { spki_sha256: other.pin, ..barn.line("barn", 1) };
    let answer = Office::new(vec![line]).await.send(PATH, ORDER).await;
    assert_eq!((answer.status, answer.error().as_str()), (502, "not_the_barn"));
    assert_eq!(barn.sent().len(), 0);
}

#[tokio::test]
async fn a_silent_barn_leaves_the_order_in_doubt() {
    let barn = FakeBarn::with_route(post(std::future::pending::<()>));
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let bounds = PostBounds { response_ms: 200, ..BOUNDS };
    let router = router(Forwarder::with_bounds(office.sites.clone(), bounds), office.keys.clone());
    let request = Request::post(PATH).header("X-API-Key", &office.key).header(header::CONTENT_TYPE, "application/json");
    let answer = read_answer(router.oneshot(request.body(Body::from(ORDER)).unwrap()).await.unwrap()).await;
    assert_eq!((answer.status, answer.error().as_str()), (504, "no_answer"));
    assert!(answer.text.contains("is unknown whether") && answer.text.contains("applies it once"), "{}", answer.text);
    assert_eq!(barn.sent().len(), 1, "an order must not be retried");
}

#[tokio::test]
async fn a_truncated_response_is_no_answer_and_is_not_retried() {
    let cut = async || {
        let pieces = [Ok("{\"success\":"), Err(std::io::Error::other("the barn fell over"))];
        (StatusCode::CREATED, Body::from_stream(futures::stream::iter(pieces)))
    };
    let barn = FakeBarn::with_route(post(cut));
    let answer = Office::new(vec![barn.line("barn", 1)]).await.send(PATH, ORDER).await;
    assert_eq!((answer.status, answer.error().as_str(), barn.sent().len()), (504, "no_answer", 1));
}

#[tokio::test]
async fn a_response_that_is_not_one_to_an_order_is_not_passed_on() {
    for barn in [
        responding(201, "<html>kept</html>"),
        responding(302, r#"{"success":true}"#),
        FakeBarn::with_route(post(async || vec![b' '; BOUNDS.response_bytes + 1].into_response())),
    ] {
        let answer = Office::new(vec![barn.line("barn", 1)]).await.send(PATH, ORDER).await;
        assert_eq!((answer.status, answer.error().as_str()), (502, "bad_answer"));
        assert!(
            answer.text.contains("is unknown whether") && answer.text.contains("same idempotency key"),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_revoked_key_or_missing_scope_says_how_to_pair_again() {
    for status in [401, 403] {
        let barn = responding(status, r#"{"success":false,"error":"forbidden","message":"this call needs ..."}"#);
        let answer = Office::new(vec![barn.line("barn", 1)]).await.send(PATH, ORDER).await;
        assert_eq!((answer.status, answer.error().as_str()), (502, "barn_refused"));
        assert!(answer.text.contains("herdlinxd pair") && answer.text.contains("herdlinx-mirror add"));
    }
}

#[tokio::test]
async fn a_barn_without_corrections_is_reported_as_too_old() {
    let barn = responding(404, r#"{"success":false,"error":"not_found","message":"there is nothing at this path"}"#);
    let answer = Office::new(vec![barn.line("barn", 1)]).await.send(PATH, ORDER).await;
    assert_eq!((answer.status, answer.error().as_str()), (502, "barn_too_old"));
}

#[tokio::test]
async fn the_path_selects_one_of_several_sites() {
    let (north, south) = (applying(), applying());
    let office = Office::new(vec![north.line("north", 1), south.line("south", 2)]).await;
    let bare = office.send(PATH, ORDER).await;
    assert_eq!((bare.status, bare.error().as_str()), (404, "not_found"));
    assert!(bare.text.contains("/sites/north, /sites/south"), "{}", bare.text);
    assert_eq!(office.send("/sites/east/api/corrections", ORDER).await.status, 404);
    assert_eq!(office.send("/sites/%ff/api/corrections", ORDER).await.status, 400);
    assert_eq!(office.send("/sites/south/api/corrections", ORDER).await.status, 201);
    assert_eq!((north.sent().len(), south.sent()[0].0.as_str()), (0, "hxb_south"));
    assert_eq!(Office::new(Vec::new()).await.send(PATH, ORDER).await.status, 404);
}

#[tokio::test]
async fn nothing_is_sent_from_a_copy_that_is_not_followed() {
    let barn = applying();
    let mislead = |files: &SiteFiles| {
        let copy = files.begin_copy("barn").unwrap();
        let path = files.copies(&"barn".parse().unwrap()).unwrap().path(copy);
        symlink("nowhere", path.with_file_name("current")).unwrap();
    };
    let office = Office::prepared(vec![barn.line("barn", 1)], mislead).await;
    let is_stopped = async || office.sites.status("barn").unwrap().stopped_because.map(|_| ());
    wait_until("the office does not know which copy is the current one", is_stopped).await.unwrap();
    let answer = office.send(PATH, ORDER).await;
    assert_eq!((answer.status, answer.error().as_str()), (409, "not_followed"));
    assert_eq!(barn.sent().len(), 0);
}

#[tokio::test]
async fn orders_over_the_limit_are_busy() {
    let barn = FakeBarn::with_route(post(std::future::pending::<()>));
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let pending: Vec<_> = (0..MAX_CONCURRENT_ORDERS).map(|_| Box::pin(office.send(PATH, ORDER))).collect();
    let all = futures::future::select_all(pending);
    let one_more = async {
        let all_sent = async || (barn.sent().len() >= MAX_CONCURRENT_ORDERS).then_some(());
        wait_until("all orders reach the barn", all_sent).await.unwrap();
        office.send(PATH, ORDER).await
    };
    let answer = tokio::select! {
        _ = all => panic!("a silent barn answered an order"),
        answer = one_more => answer,
    };
    assert_eq!((answer.status, answer.error().as_str()), (503, "busy"));
}

/// Catches a form whose order does not reach the barn as it is, and payloads that are reprocessed from another change on.
#[tokio::test]
async fn the_forms_of_users_reach_the_barn() {
    let (identity, log) = (Identity::self_signed(KeyPair::generate().unwrap()), RequestLog::default());
    let seen = log.clone();
    let answer = async move |request: Request| {
        let path = request.uri().to_string();
        let body = to_bytes(request.into_body(), MAX_ORDER_BYTES).await.unwrap();
        seen.lock().unwrap().push((path, body));
        r#"{"success":true}"#
    };
    let routes = Router::new().route(PATH, post(answer.clone())).route(REPROCESS_PATH, post(answer));
    let barn = Barn::start_with(&identity, routes);
    let barn = FakeBarn { barn, pin: identity.pin(), sent: log };
    let office = Office::new(vec![barn.line("barn", 1)]).await;
    let forwarder = Forwarder::new(office.sites.clone());
    let (user, order): (UserName, CorrectionOrder) = ("Ana".parse().unwrap(), serde_json::from_str(ORDER).unwrap());
    assert_eq!(forwarder.send("barn", &user, &order).await.unwrap().status, StatusCode::OK);
    assert_eq!(forwarder.reprocess("barn", &user, Sequence(7)).await.unwrap().body, r#"{"success":true}"#);
    let [(to, sent), again] = barn.sent().try_into().unwrap();
    assert_eq!((to.as_str(), serde_json::from_slice::<CorrectionOrder>(&sent).unwrap()), (PATH, order));
    assert_eq!(again, ("/api/lora/process?after=7".to_owned(), Bytes::new()));
    let unknown = forwarder.reprocess("east", &user, Sequence(7)).await.unwrap_err();
    assert_eq!((unknown.status, barn.sent().len()), (StatusCode::NOT_FOUND, 2));
}
