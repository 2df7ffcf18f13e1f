//! The guard in front of routes.

use super::access::{Access, Authenticator, missing_key};
use crate::door::keys::{KeyInfo, Scope};
use crate::door::reply::ApiError;
use crate::door::secret::{KEY_PREFIX, TOKEN_PREFIX};
use crate::door::serve::connection::{Connection, Permission};
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use clap::ValueEnum as _;
use std::future::ready;
use std::sync::Arc;

/// The header for keys and tokens. `Authorization: Bearer` is accepted, too.
pub const KEY_HEADER: &str = "x-api-key";

/// The caller of a request, who holds this key; an extractor for routes behind a [`Guard`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub Arc<KeyInfo>);

impl Caller {
    /// Returns the key's name.
    pub fn name(&self) -> &str {
        &self.0.name
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
}

/// Creates a guard that requires a key with `scope`.
pub fn require(authenticator: Arc<dyn Authenticator>, scope: Scope) -> Guard {
    Guard { authenticator, any_of: vec![scope] }
}

/// Creates a guard that requires a key with any scope.
pub fn require_any(authenticator: Arc<dyn Authenticator>) -> Guard {
    Guard { authenticator, any_of: Scope::value_variants().to_vec() }
}

impl Guard {
    /// Accepts keys with `scope`, too.
    #[must_use]
    pub fn or(mut self, scope: Scope) -> Self {
        self.any_of.push(scope);
        self
    }

    /// Puts the guard in front of the routes that `router` has so far, but not in front of its fallbacks.
    pub fn protect<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router.route_layer(from_fn_with_state(self, let_in))
    }

    /// Lets a request in, and names its caller in the extensions of request and answer. For a door that others pass as well.
    pub async fn let_in(&self, mut request: Request, next: Next) -> Result<Response, ApiError> {
        let caller = self.authorize(request.headers(), request.extensions())?;
        request.extensions_mut().insert(caller.clone());
        let access = Access::new(self.authenticator.clone(), caller.0.clone());
        request.extensions_mut().insert(access.clone());
        let answer = access.run(next.run(request)).await;
        let mut answer = answer.map(|answer| ending_with(access, answer)).into_response();
        answer.extensions_mut().insert(caller);
        Ok(answer)
    }

    /// Authorizes one request by its headers and its peer, for code that is not a route.
    pub fn authorize(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, ApiError> {
        let caller = self.authorize_key(presented(headers)?.ok_or_else(missing_key)?)?;
        if let Some(connection) = extensions.get::<Connection>() {
            connection.authenticate();
        }
        Ok(caller)
    }

    fn authorize_key(&self, presented: &str) -> Result<Caller, ApiError> {
        let key = self.authenticator.authenticate(presented).ok_or_else(|| unknown_key(presented))?;
        if self.any_of.iter().any(|scope| key.has(*scope)) {
            return Ok(Caller(Arc::new(key)));
        }
        let needed = self.any_of.iter().map(|scope| scope.name()).collect::<Vec<_>>().join("` or `");
        Err(ApiError::forbidden(format!("this call needs a key of scope `{needed}`")).of_key(&key.name))
    }
}

async fn let_in(State(guard): State<Guard>, request: Request, next: Next) -> Result<Response, ApiError> {
    guard.let_in(request, next).await
}

/// Has an answer end with the access of its caller, also while it is being sent. What was written is told to the end.
fn ending_with(access: Access, mut answer: Response) -> Response {
    if !access.has_begun_to_write() {
        answer.extensions_mut().insert(Permission::new(move || access.is_valid()));
    }
    answer
}

fn unknown_key(presented: &str) -> ApiError {
    ApiError::unauthorized(if presented.starts_with(TOKEN_PREFIX) {
        "this token is not known here, or it has ended: get a new one with a key, by POST /api/remote/auth/token"
    } else {
        "this key is not known here"
    })
}

/// Returns whether a request shows a key or token, be it readable or not.
pub fn has_key(headers: &HeaderMap) -> bool {
    !matches!(presented(headers), Ok(None))
}

/// Returns the one key in the headers. Two are an error, because it is unknown which one is meant.
///
/// A script in a browser cannot set a header for a WebSocket, but it can name subprotocols. So a key may stand among them.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let by_name = headers.get_all(KEY_HEADER).iter().map(|value| value.to_str().ok());
    let by_bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.to_str().ok().and_then(bearer));
    let by_protocol = protocols(headers).filter(|name| is_secret(name)).map(Some);
    let mut keys = by_name.chain(by_bearer).chain(by_protocol);
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(Some(key)), None) => Ok(Some(key.trim())),
        (Some(None), None) => Err(ApiError::unauthorized("the key in the headers cannot be read")),
        (Some(_), Some(_)) => Err(ApiError::unauthorized("there is more than one key in the headers")),
    }
}

/// Returns the subprotocols that a WebSocket asks for.
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn is_secret(text: &str) -> bool {
    text.starts_with(KEY_PREFIX) || text.starts_with(TOKEN_PREFIX)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
