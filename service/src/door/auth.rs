//! The check at the door: who asks, and whether the key is good for what is asked.
//!
//! Keys come in headers only, never in a URL, where they would end in logs.

use super::keys::{KeyInfo, KeyRing, Scope};
use super::reply::ApiError;
use super::tokens::TOKEN_PREFIX;
use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use clap::ValueEnum as _;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The header that keys come in; `Authorization: Bearer` is the other one.
pub const KEY_HEADER: &str = "x-api-key";

/// Whoever can tell whose secret or token a text is.
pub trait Admits: Send + Sync {
    /// The key that `presented` is, or stands for.
    fn admit(&self, presented: &str) -> Option<KeyInfo>;

    /// Whether a key that was let in would be let in still.
    fn still_admits(&self, key: &KeyInfo) -> bool;

    /// So long the right of a key that was let in lasts at most, by what it showed; none for no end.
    fn ends_within(&self, key: &KeyInfo) -> Option<Duration>;

    /// Changes whenever some key may have lost its right.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl Admits for KeyRing {
    fn admit(&self, presented: &str) -> Option<KeyInfo> {
        self.check(presented)
    }

    fn still_admits(&self, key: &KeyInfo) -> bool {
        self.still_holds(key)
    }

    fn ends_within(&self, _: &KeyInfo) -> Option<Duration> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Self::changes(self)
    }
}

/// How long somebody who was let in may stay: a connection that outlives its request ends with its key. In the
/// extensions of every request that a [`Guard`] let in with a key.
#[derive(Clone)]
pub struct Stay {
    admits: Arc<dyn Admits>,
    key: Arc<KeyInfo>,
}

impl Stay {
    /// The stay of whoever `admits` has let in as `key`.
    pub fn of(admits: Arc<dyn Admits>, key: KeyInfo) -> Self {
        Self { admits, key: Arc::new(key) }
    }

    /// Returns when the key is revoked, or when the token ends that was shown in its place. Cancel-safe.
    pub async fn ended(&self) {
        let mut changes = self.admits.changes();
        while self.admits.still_admits(&self.key) {
            tokio::select! {
                news = changes.changed() => if news.is_err() {
                    // Nobody is left who could revoke a key.
                    std::future::pending::<()>().await;
                },
                () = so_long(self.admits.ends_within(&self.key)) => {}
            }
        }
    }
}

async fn so_long(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Who was let in; an extractor for what stands behind a [`Guard`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The holder of a key.
    Key(Arc<KeyInfo>),
    /// Somebody on the machine itself, without a key, where the guard allows it.
    Loopback,
}

impl Caller {
    /// The key's name, or `loopback`.
    pub fn name(&self) -> &str {
        match self {
            Self::Key(key) => &key.name,
            Self::Loopback => "loopback",
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Result<Self, ApiError>> + Send {
        // Without a guard in front nobody was let in.
        ready(parts.extensions.get::<Self>().cloned().ok_or_else(no_key))
    }
}

/// Stands before routes and lets in keys of a scope.
#[derive(Clone)]
pub struct Guard {
    admits: Arc<dyn Admits>,
    any_of: Vec<Scope>,
    loopback_free: bool,
}

/// A guard that asks for a key with `scope`.
pub fn require(admits: Arc<dyn Admits>, scope: Scope) -> Guard {
    Guard { admits, any_of: vec![scope], loopback_free: false }
}

/// A guard that asks for a key, whatever it is good for.
pub fn require_any(admits: Arc<dyn Admits>) -> Guard {
    Guard { admits, any_of: Scope::value_variants().to_vec(), loopback_free: false }
}

impl Guard {
    /// A key with `scope` is let in, too.
    #[must_use]
    pub fn or(mut self, scope: Scope) -> Self {
        self.any_of.push(scope);
        self
    }

    /// Who comes from this machine needs no key. The peer's address decides, which the server must provide
    /// (`ConnectInfo<SocketAddr>`): without it nobody is exempt. A request that a proxy passed on is not exempt: its
    /// peer is the proxy.
    #[must_use]
    pub fn or_loopback(mut self) -> Self {
        self.loopback_free = true;
        self
    }

    /// Puts the guard before the routes that `router` has by now; not before its fallbacks.
    pub fn protect<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router.route_layer(from_fn_with_state(self, let_in))
    }

    /// Judges one request by its headers and its peer; for callers that are no routes.
    pub fn judge(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, ApiError> {
        match presented(headers)? {
            // A key that is presented is judged, wherever it comes from.
            Some(text) => self.judge_key(text),
            None if self.loopback_free && is_loopback(headers, extensions) => Ok(Caller::Loopback),
            None => Err(no_key()),
        }
    }

    fn judge_key(&self, presented: &str) -> Result<Caller, ApiError> {
        let key = self.admits.admit(presented).ok_or_else(|| not_known(presented))?;
        if self.any_of.iter().any(|scope| key.has(*scope)) {
            return Ok(Caller::Key(Arc::new(key)));
        }
        let needed = self.any_of.iter().map(|scope| scope.name()).collect::<Vec<_>>().join("` or `");
        Err(ApiError::forbidden(format!("this call needs a key of scope `{needed}`")))
    }
}

async fn let_in(State(guard): State<Guard>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = guard.judge(request.headers(), request.extensions())?;
    if let Caller::Key(key) = &caller {
        request.extensions_mut().insert(Stay { admits: guard.admits.clone(), key: key.clone() });
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn no_key() -> ApiError {
    ApiError::unauthorized("this call needs a key, in the header `X-API-Key` or as `Authorization: Bearer`")
}

fn not_known(presented: &str) -> ApiError {
    ApiError::unauthorized(if presented.starts_with(TOKEN_PREFIX) {
        "this token is not known here, or it has ended: get a new one with a key, by POST /api/remote/auth/token"
    } else {
        "this key is not known here"
    })
}

/// The one key in the headers. Two of them are refused: which one is meant cannot be known.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let by_name = headers.get_all(KEY_HEADER).iter().map(|value| value.to_str().ok());
    let by_bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.to_str().ok().and_then(bearer));
    let mut keys = by_name.chain(by_bearer);
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(Some(key)), None) => Ok(Some(key.trim())),
        (Some(None), None) => Err(ApiError::unauthorized("the key in the headers cannot be read")),
        (Some(_), Some(_)) => Err(ApiError::unauthorized("there is more than one key in the headers")),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn is_loopback(headers: &HeaderMap, extensions: &Extensions) -> bool {
    let forwarded = headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for");
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    !forwarded && peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::request::Builder;
    use axum::routing::get;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use herd::store::LocalFile;
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

    #[tokio::test]
    async fn the_right_key_is_let_in_by_its_name_in_either_header() {
        let yard = yard();
        let guard = require(yard.keys.clone(), Scope::Read);
        for (name, value) in [
            ("X-API-Key", yard.reader.clone()),
            ("Authorization", format!("Bearer {}", yard.reader)),
            ("Authorization", format!("bearer {}", yard.reader)),
        ] {
            let got = status(&guard, Request::builder().header(name, value)).await;
            assert_eq!(got, (200, "reader".to_owned()), "{name}");
        }
    }

    #[tokio::test]
    async fn no_key_unknown_keys_and_two_keys_are_401_and_another_scope_is_403() {
        let yard = yard();
        let guard = require(yard.keys.clone(), Scope::Read);
        assert_eq!(status(&guard, Request::builder()).await.0, 401);
        let reader = yard.reader.as_str();
        for (name, value) in [("X-API-Key", "hxb_no"), ("X-API-Key", ""), ("Authorization", reader)] {
            assert_eq!(status(&guard, Request::builder().header(name, value)).await.0, 401, "{name}: {value}");
        }
        let twice = Request::builder().header("X-API-Key", reader).header("Authorization", format!("Bearer {reader}"));
        assert_eq!(status(&guard, twice).await.0, 401);
        let (code, body) = status(&guard, Request::builder().header("X-API-Key", &yard.sender)).await;
        assert!(code == 403 && body.contains("scope `read`"), "{body}");
        let either = guard.or(Scope::Ingest);
        assert_eq!(status(&either, Request::builder().header("X-API-Key", &yard.sender)).await.0, 200);
    }

    #[tokio::test]
    async fn a_key_in_the_url_is_no_key() {
        let yard = yard();
        let routes = require(yard.keys.clone(), Scope::Read).protect(Router::new().route("/", get(|| async { "in" })));
        let request = Request::get(format!("/?api_key={0}&key={0}", yard.reader)).body(Body::empty()).unwrap();
        assert_eq!(routes.oneshot(request).await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_from_the_next_request_on() {
        let yard = yard();
        let guard = require(yard.keys.clone(), Scope::Read);
        let ask = || Request::builder().header("X-API-Key", &yard.reader);
        assert_eq!(status(&guard, ask()).await.0, 200);
        yard.keys.revoke("reader").unwrap();
        assert_eq!(status(&guard, ask()).await.0, 401);
    }

    #[tokio::test]
    async fn only_a_peer_on_this_machine_is_exempt_and_only_where_that_is_allowed() {
        let yard = yard();
        let strict = require(yard.keys.clone(), Scope::Read);
        let open = strict.clone().or_loopback();
        let from = |peer: &str| Request::builder().extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        for near in ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(status(&open, from(near)).await, (200, "loopback".to_owned()), "{near}");
            assert_eq!(status(&strict, from(near)).await.0, 401, "{near}");
        }
        assert_eq!(status(&open, from("192.168.1.5:9")).await.0, 401);
        assert_eq!(status(&open, Request::builder()).await.0, 401, "the peer is not known");
        assert_eq!(status(&open, from("127.0.0.1:9").header("X-Forwarded-For", "8.8.8.8")).await.0, 401);
        assert_eq!(status(&open, from("127.0.0.1:9").header("X-API-Key", "hxb_no")).await.0, 401);
        assert_eq!(status(&open, from("127.0.0.1:9").header("X-API-Key", &yard.sender)).await.0, 403);
    }

    #[tokio::test]
    async fn without_a_guard_nobody_is_taken_for_a_caller() {
        let routes: Router = Router::new().route("/", get(|caller: Caller| async move { caller.name().to_owned() }));
        let response = routes.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 401);
    }

    /// Catches a follower that goes on being fed over the connection it opened before its key was revoked.
    #[tokio::test]
    async fn a_stay_lasts_as_long_as_its_key() {
        let yard = yard();
        let stay = Stay::of(yard.keys.clone(), yard.keys.check(&yard.reader).unwrap());
        yard.keys.revoke("sender").unwrap();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), stay.ended()).await.is_err());
        yard.keys.revoke("reader").unwrap();
        stay.ended().await;
    }
}
