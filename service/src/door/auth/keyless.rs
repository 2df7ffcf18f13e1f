//! The guard of a process that has no API key: it answers its own machine only.
//!
//! Without a key nobody elsewhere can be let in. So a freshly installed machine shows the network no calls, no pages and
//! no token route, but the way to open it. The first key opens the door at once, and the revocation of the last one
//! closes it.
//!
//! Listening on loopback until there is a key was rejected. The first key would then need a restart or a second
//! listener, and a machine elsewhere could not ask for the health.

use super::guard::is_loopback;
use crate::door::keys::KeyRing;
use crate::door::reply::ApiError;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::sync::Arc;

/// Refuses requests from other machines while the process has no key.
#[derive(Clone)]
pub struct KeylessGuard {
    keys: Arc<KeyRing>,
    advice: &'static str,
    is_exempt: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl KeylessGuard {
    /// Creates a guard. `advice` is the message of a refusal: why there is no answer, and the command that opens the door.
    pub fn new(keys: Arc<KeyRing>, advice: &'static str) -> Self {
        Self { keys, advice, is_exempt: Arc::new(|| false) }
    }

    /// Lets other machines in while `is_exempt` holds, too: for the route by which an office gets the first key.
    #[must_use]
    pub fn unless(self, is_exempt: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { is_exempt: Arc::new(is_exempt), ..self }
    }

    /// Puts the guard in front of the routes and the fallbacks that `router` has so far.
    ///
    /// A route for everybody, such as the health of a barn, is merged afterwards.
    pub fn protect(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, let_in))
    }
}

async fn let_in(State(guard): State<KeylessGuard>, request: Request, next: Next) -> Result<Response, ApiError> {
    let is_closed = guard.keys.is_empty() && !(guard.is_exempt)();
    if is_closed && !is_loopback(request.headers(), request.extensions()) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "no_keys", guard.advice));
    }
    Ok(next.run(request).await)
}
