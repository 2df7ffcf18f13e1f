//! The guard in front of routes.

use super::access::{Access, Authenticator};
use crate::door::keys::{KeyInfo, Scope};
use crate::door::reply::ApiError;
use crate::door::secret::TOKEN_PREFIX;
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

/// The header for keys and tokens. `Authorization: Bearer` is accepted, too.
pub const KEY_HEADER: &str = "x-api-key";

/// The caller of a request; an extractor for routes behind a [`Guard`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The holder of a key.
    Key(Arc<KeyInfo>),
    /// A process on this machine, without a key, if the guard allows that.
    Loopback,
}

impl Caller {
    /// Returns the key's name, or `loopback`.
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
        // Only a guard inserts a caller: without one the request is rejected.
        ready(parts.extensions.get::<Self>().cloned().ok_or_else(missing_key))
    }
}

/// Lets requests through to routes if their key has one of the guard's scopes.
#[derive(Clone)]
pub struct Guard {
    authenticator: Arc<dyn Authenticator>,
    any_of: Vec<Scope>,
    allow_loopback: bool,
}

/// Creates a guard that requires a key with `scope`.
pub fn require(authenticator: Arc<dyn Authenticator>, scope: Scope) -> Guard {
    Guard { authenticator, any_of: vec![scope], allow_loopback: false }
}

/// Creates a guard that requires a key with any scope.
pub fn require_any(authenticator: Arc<dyn Authenticator>) -> Guard {
    Guard { authenticator, any_of: Scope::value_variants().to_vec(), allow_loopback: false }
}

impl Guard {
    /// Accepts keys with `scope`, too.
    #[must_use]
    pub fn or(mut self, scope: Scope) -> Self {
        self.any_of.push(scope);
        self
    }

    /// Accepts requests from this machine without a key.
    ///
    /// The peer's address decides. The server must provide it (`ConnectInfo<SocketAddr>`); without it no request is
    /// exempt. A request that a proxy forwarded is not exempt, because its peer is the proxy.
    #[must_use]
    pub fn or_loopback(mut self) -> Self {
        self.allow_loopback = true;
        self
    }

    /// Puts the guard in front of the routes that `router` has so far, but not in front of its fallbacks.
    pub fn protect<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router.route_layer(from_fn_with_state(self, let_in))
    }

    /// Authorizes one request by its headers and its peer, for code that is not a route.
    pub fn authorize(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, ApiError> {
        match presented(headers)? {
            // A presented key must be valid, even from this machine.
            Some(text) => self.authorize_key(text),
            None if self.allow_loopback && is_loopback(headers, extensions) => Ok(Caller::Loopback),
            None => Err(missing_key()),
        }
    }

    fn authorize_key(&self, presented: &str) -> Result<Caller, ApiError> {
        let key = self.authenticator.authenticate(presented).ok_or_else(|| unknown_key(presented))?;
        if self.any_of.iter().any(|scope| key.has(*scope)) {
            return Ok(Caller::Key(Arc::new(key)));
        }
        let needed = self.any_of.iter().map(|scope| scope.name()).collect::<Vec<_>>().join("` or `");
        Err(ApiError::forbidden(format!("this call needs a key of scope `{needed}`")))
    }
}

async fn let_in(State(guard): State<Guard>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = guard.authorize(request.headers(), request.extensions())?;
    if let Caller::Key(key) = &caller {
        request.extensions_mut().insert(Access::new(guard.authenticator.clone(), key.clone()));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn missing_key() -> ApiError {
    ApiError::unauthorized("this call needs a key, in the header `X-API-Key` or as `Authorization: Bearer`")
}

fn unknown_key(presented: &str) -> ApiError {
    ApiError::unauthorized(if presented.starts_with(TOKEN_PREFIX) {
        "this token is not known here, or it has ended: get a new one with a key, by POST /api/remote/auth/token"
    } else {
        "this key is not known here"
    })
}

/// Returns the one key in the headers. Two are an error, because it is unknown which one is meant.
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

/// Returns whether a request comes from this machine, and not through a proxy on it.
pub(super) fn is_loopback(headers: &HeaderMap, extensions: &Extensions) -> bool {
    let forwarded = headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for");
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    !forwarded && peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
}
