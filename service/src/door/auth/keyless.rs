//! The guard of a process that has no API key: it answers no calls of programs.
//!
//! Without a key nobody can be let in. So a freshly installed machine shows the network no calls and no token route, but
//! the way to open it. The first key opens the door at once, and the revocation of the last one closes it.
//!
//! # Decisions
//!
//! - **Callers on the machine itself are no exception, here or in any guard.** They were one until there were users. A
//!   proxy, a tunnel, a web page in a browser there, and everybody who shares the machine call from it, too, and neither
//!   headers nor addresses tell them apart reliably.
//! - **Listening on loopback until there is a key was rejected.** The first key would then need a restart or a second
//!   listener, and a machine elsewhere could not ask for the health.

use crate::door::keys::KeyRing;
use crate::door::reply::ApiError;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::sync::Arc;

/// Refuses requests while the process has no key.
#[derive(Clone)]
pub struct KeylessGuard {
    keys: Arc<KeyRing>,
    advice: &'static str,
    is_exempt: Arc<dyn Fn(&Request) -> bool + Send + Sync>,
}

impl KeylessGuard {
    /// Creates a guard. `advice` is the message of a refusal: why there is no answer, and the command that opens the door.
    pub fn new(keys: Arc<KeyRing>, advice: &'static str) -> Self {
        Self { keys, advice, is_exempt: Arc::new(|_| false) }
    }

    /// Lets requests in for which `is_exempt` holds, too: the one by which an office gets the first key, and those of users.
    #[must_use]
    pub fn unless(self, is_exempt: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
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
    if guard.keys.is_empty() && !(guard.is_exempt)(&request) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "no_keys", guard.advice));
    }
    Ok(next.run(request).await)
}
