use super::*;
use crate::door::keys::{KeyRing, Scope};
use crate::door::reply::ApiError;
use crate::door::serve::connection::Permission;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::request::Builder;
use axum::routing::get;
use herd::clock::SystemClock;
use herd::randomness::SeededRandomness;
use herd::store::LocalFile;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

struct Yard {
    _dir: tempfile::TempDir,
    keys: Arc<KeyRing>,
    reader: String,
    sender: String,
}

fn yard() -> Yard {
    let dir = tempfile::tempdir().unwrap();
    let file = LocalFile::open(dir.path().join("local.redb")).unwrap();
    let keys = KeyRing::load(file, Arc::new(SystemClock::default()), SeededRandomness::new(1)).unwrap();
    let add = |name, scope| keys.add(name, [scope].into()).unwrap().reveal().to_owned();
    let (reader, sender) = (add("reader", Scope::Read), add("sender", Scope::Ingest));
    Yard { _dir: dir, keys: Arc::new(keys), reader, sender }
}

async fn status(guard: &Guard, request: Builder) -> (u16, String) {
    let routes = Router::new().route("/", get(|caller: Caller| async move { caller.name().to_owned() }));
    let response = guard.clone().protect(routes).oneshot(request.uri("/").body(Body::empty()).unwrap()).await;
    let (head, body) = response.unwrap().into_parts();
    let text = axum::body::to_bytes(body, 1000).await.unwrap();
    (head.status.as_u16(), String::from_utf8(text.to_vec()).unwrap())
}

/// Catches a guard that rejects a valid key in one of the two headers, or passes on another name.
#[tokio::test]
async fn a_key_with_the_scope_is_let_in_by_either_header() {
    let yard = yard();
    let guard = require(yard.keys.clone(), Scope::Read);
    for (name, value) in [
        ("X-API-Key", yard.reader.clone()),
        ("Authorization", format!("Bearer {}", yard.reader)),
        ("Authorization", format!("bearer {}", yard.reader)),
        ("Sec-WebSocket-Protocol", format!("herdlinx, {}", yard.reader)),
    ] {
        let got = status(&guard, Request::builder().header(name, value)).await;
        assert_eq!(got, (200, "reader".to_owned()), "{name}");
    }
}

/// Catches a request that is let in without exactly one known key of the right scope.
#[tokio::test]
async fn missing_unknown_and_double_keys_are_401_and_another_scope_is_403() {
    let yard = yard();
    let guard = require(yard.keys.clone(), Scope::Read);
    assert_eq!(status(&guard, Request::builder()).await.0, 401);
    let reader = yard.reader.as_str();
    for (name, value) in [("X-API-Key", "hxb_no"), ("X-API-Key", ""), ("Authorization", reader)] {
        assert_eq!(status(&guard, Request::builder().header(name, value)).await.0, 401, "{name}: {value}");
    }
    let twice = Request::builder().header("X-API-Key", reader).header("Authorization", format!("Bearer {reader}"));
    assert_eq!(status(&guard, twice).await.0, 401);
    let twice = Request::builder().header("X-API-Key", reader).header("Sec-WebSocket-Protocol", reader);
    assert_eq!(status(&guard, twice).await.0, 401);
    for (key, reason) in
        [("hxb_no", "this key is not known"), ("hxt_no", "this token is not known"), ("\u{e4}", "cannot be read")]
    {
        let (code, body) = status(&guard, Request::builder().header("X-API-Key", key)).await;
        assert!(code == 401 && body.contains(reason), "{key}: {body}");
    }
    let (code, body) = status(&guard, Request::builder().header("X-API-Key", &yard.sender)).await;
    assert!(code == 403 && body.contains("scope `read`"), "{body}");
    let either = guard.or(Scope::Ingest);
    assert_eq!(status(&either, Request::builder().header("X-API-Key", &yard.sender)).await.0, 200);
}

/// Catches keys that are accepted where they end up in logs.
#[tokio::test]
async fn a_key_in_the_url_is_ignored() {
    let yard = yard();
    let routes = require(yard.keys.clone(), Scope::Read).protect(Router::new().route("/", get(|| async { "in" })));
    let request = Request::get(format!("/?api_key={0}&key={0}", yard.reader)).body(Body::empty()).unwrap();
    assert_eq!(routes.oneshot(request).await.unwrap().status(), 401);
}

/// Catches a guard that caches keys.
#[tokio::test]
async fn a_revoked_key_is_rejected_from_the_next_request_on() {
    let yard = yard();
    let guard = require(yard.keys.clone(), Scope::Read);
    let request = || Request::builder().header("X-API-Key", &yard.reader);
    assert_eq!(status(&guard, request()).await.0, 200);
    yard.keys.revoke("reader").unwrap();
    assert_eq!(status(&guard, request()).await.0, 401);
}

/// Catches an exemption for callers on the machine itself: a proxy or a web page there calls as one, too.
#[tokio::test]
async fn callers_on_this_machine_need_a_key_as_all_others() {
    let yard = yard();
    let guard = require(yard.keys.clone(), Scope::Read);
    let from = |peer: &str| Request::builder().extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
    for peer in ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9", "192.168.1.5:9"] {
        assert_eq!(status(&guard, from(peer)).await.0, 401, "{peer}");
        assert_eq!(status(&guard, from(peer).header("X-API-Key", "hxb_no")).await.0, 401, "{peer}");
        assert_eq!(status(&guard, from(peer).header("X-API-Key", &yard.sender)).await.0, 403, "{peer}");
        assert_eq!(status(&guard, from(peer).header("X-API-Key", &yard.reader)).await.0, 200, "{peer}");
    }
}

/// Catches a route that lost its guard and serves everybody.
#[tokio::test]
async fn a_route_without_a_guard_has_no_caller() {
    let routes: Router = Router::new().route("/", get(|caller: Caller| async move { caller.name().to_owned() }));
    let response = routes.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 401);
}

/// Catches a follower that is still fed over a connection from before its key was revoked.
#[tokio::test]
async fn access_ends_when_its_key_is_revoked() {
    let yard = yard();
    let reader = yard.keys.check(&yard.reader).unwrap();
    assert_eq!(Authenticator::remaining(yard.keys.as_ref(), &reader), None, "a key does not end by itself");
    let access = Access::new(yard.keys.clone(), Arc::new(reader));
    yard.keys.revoke("sender").unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), access.ended()).await.is_err());
    yard.keys.revoke("reader").unwrap();
    access.ended().await;
}

/// Catches a sender that is told "revoked" of a payload which is stored, and a call that writes with a revoked key.
#[tokio::test]
async fn a_call_that_writes_is_answered_although_its_key_is_revoked_meanwhile() {
    let yard = yard();
    let (keys, keys_too) = (yard.keys.clone(), yard.keys.clone());
    let writes = move |access: Access| async move {
        access.begin_write()?;
        keys.revoke("reader").unwrap();
        tokio::task::yield_now().await;
        Ok::<_, ApiError>("written")
    };
    let comes_too_late = move |access: Access| async move {
        keys_too.revoke("sender").unwrap();
        access.begin_write()?;
        Ok::<_, ApiError>("written")
    };
    let only_reads = |_: Access| std::future::pending::<&'static str>();
    let guard = require(yard.keys.clone(), Scope::Read).or(Scope::Ingest);
    let routes = Router::new().route("/reads", get(only_reads));
    let routes = routes.route("/writes", get(writes)).route("/late", get(comes_too_late));
    let routes = guard.protect(routes);
    let status = async |path: &str, key: &str| {
        let request = Request::get(path).header("X-API-Key", key).body(Body::empty()).unwrap();
        routes.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    let (reading, writing) = tokio::join!(status("/reads", &yard.reader), status("/writes", &yard.reader));
    assert_eq!((reading, writing), (401, 200));
    assert_eq!(status("/late", &yard.sender).await, 401);
}

/// Catches an export that goes on with a revoked key, and an answer about a write that is cut.
#[tokio::test]
async fn an_answer_ends_with_its_key_unless_it_tells_of_a_write() {
    let yard = yard();
    let write = async |access: Access| access.begin_write().map(|()| "written");
    let routes = Router::new().route("/read", get(async || "read")).route("/write", get(write));
    let routes = require(yard.keys.clone(), Scope::Read).protect(routes);
    for (path, ends) in [("/read", true), ("/write", false)] {
        let request = Request::get(path).header("X-API-Key", &yard.reader).body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.extensions().get::<Permission>().is_some(), ends, "{path}");
    }
}

/// Returns the status and the body of the answer to a peer.
async fn answer(router: &Router, peer: &str, request: Builder) -> (u16, serde_json::Value) {
    let request = request.extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap())).body(Body::empty()).unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 1000).await.unwrap();
    (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Catches a fresh machine that shows the network, or whatever passes on its calls, what it serves.
#[tokio::test]
async fn without_a_key_nobody_is_answered_until_the_first_key_and_after_the_last() {
    let yard = yard();
    let guarded = crate::door::reply::with_fallbacks(Router::new().route("/", get(|| async { "in" })));
    let guarded = KeylessGuard::new(yard.keys.clone(), "run `key add`").protect(guarded);
    let router = guarded.merge(Router::new().route("/health", get(|| async { "well" })));
    let closed = (403, serde_json::json!({"success": false, "error": "no_keys", "message": "run `key add`"}));
    let from_elsewhere = || async {
        let mut answers = Vec::new();
        for request in [Request::get("/"), Request::post("/"), Request::get("/nowhere")] {
            answers.push(answer(&router, "192.168.1.5:9", request).await);
        }
        answers
    };
    let codes = |answers: &[(u16, serde_json::Value)]| answers.iter().map(|(code, _)| *code).collect::<Vec<_>>();
    assert_eq!(codes(&from_elsewhere().await), [200, 405, 404]);

    yard.keys.revoke("reader").unwrap();
    assert_eq!(codes(&from_elsewhere().await), [200, 405, 404], "one key is left");
    yard.keys.revoke("sender").unwrap();
    assert_eq!(from_elsewhere().await, [closed.clone(), closed.clone(), closed.clone()]);
    let with_key = Request::get("/").header("X-API-Key", &yard.reader);
    assert_eq!(answer(&router, "[fe80::1]:9", with_key).await, closed);
    assert_eq!(router.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap().status(), 403);
    assert_eq!(answer(&router, "192.168.1.5:9", Request::get("/health")).await.0, 200);
    for local in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
        assert_eq!(answer(&router, local, Request::get("/")).await, closed, "{local}");
    }

    yard.keys.add("chute-1", [Scope::Ingest].into()).unwrap();
    assert_eq!(codes(&from_elsewhere().await), [200, 405, 404]);
}

/// Catches an exemption that outlives its reason.
#[tokio::test]
async fn an_exempt_route_answers_only_while_the_exemption_holds() {
    let yard = yard();
    for name in ["reader", "sender"] {
        yard.keys.revoke(name).unwrap();
    }
    let pending = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_pending = pending.clone();
    let guard = KeylessGuard::new(yard.keys.clone(), "run `key add`")
        .unless(move |_| is_pending.load(std::sync::atomic::Ordering::Relaxed));
    let router = guard.protect(Router::new().route("/pair", get(|| async { "paired" })));
    assert_eq!(answer(&router, "192.168.1.5:9", Request::get("/pair")).await.0, 200);
    pending.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(answer(&router, "192.168.1.5:9", Request::get("/pair")).await.0, 403);
}
