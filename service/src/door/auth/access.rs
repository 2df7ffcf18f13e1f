//! The access of an authenticated caller, which ends with its key or token.

use crate::door::keys::{KeyInfo, KeyRing};
use crate::door::reply::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Resolves a secret or token to the key that it belongs to.
pub trait Authenticator: Send + Sync {
    /// Returns the key of a secret or token; `None` if it is not valid here.
    fn authenticate(&self, presented: &str) -> Option<KeyInfo>;

    /// Returns whether a key that was authenticated earlier is still accepted.
    fn is_valid(&self, key: &KeyInfo) -> bool;

    /// Returns the remaining lifetime of the key's access; `None` if it does not expire.
    fn remaining(&self, key: &KeyInfo) -> Option<Duration>;

    /// Returns a channel that changes whenever a key or token may have become invalid.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl Authenticator for KeyRing {
    fn authenticate(&self, presented: &str) -> Option<KeyInfo> {
        self.check(presented)
    }

    fn is_valid(&self, key: &KeyInfo) -> bool {
        self.contains(key)
    }

    fn remaining(&self, _: &KeyInfo) -> Option<Duration> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Self::changes(self)
    }
}

/// The access of a caller that presented a key or token.
///
/// A [`Guard`](super::Guard) puts it into the extensions of every request that it lets in with a key. A connection that
/// outlives its request must end when [`Self::ended`] returns, and so must an answer.
#[derive(Clone)]
pub struct Access {
    authenticator: Arc<dyn Authenticator>,
    key: Arc<KeyInfo>,
    has_begun_to_write: Arc<AtomicBool>,
}

impl Access {
    /// Creates the access of a key that `authenticator` has accepted.
    pub fn new(authenticator: Arc<dyn Authenticator>, key: Arc<KeyInfo>) -> Self {
        Self { authenticator, key, has_begun_to_write: Arc::default() }
    }

    /// Says that the call is about to write. From then on it goes on to its answer, even if its access ends: the caller
    /// must learn what was written.
    ///
    /// # Errors
    /// The access has ended, so nothing may be written.
    pub fn begin_write(&self) -> Result<(), ApiError> {
        if !self.is_valid() {
            return Err(ended());
        }
        self.has_begun_to_write.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits for the answer of a call until it is there, or until the access ends before the call writes.
    pub(super) async fn run(&self, answer: impl Future<Output = Response>) -> Result<Response, ApiError> {
        let mut answer = pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = self.ended() => {}
        }
        if self.has_begun_to_write() { Ok(answer.await) } else { Err(ended()) }
    }

    pub(super) fn has_begun_to_write(&self) -> bool {
        self.has_begun_to_write.load(Ordering::Acquire)
    }

    /// Returns whether the key is still accepted.
    pub fn is_valid(&self) -> bool {
        self.authenticator.is_valid(&self.key)
    }

    /// Waits until the key is revoked, or the presented token ends. Cancel-safe.
    pub async fn ended(&self) {
        let mut changes = self.authenticator.changes();
        while self.is_valid() {
            tokio::select! {
                result = changes.changed() => if result.is_err() {
                    // Without the sender no key can be revoked any more.
                    std::future::pending::<()>().await;
                },
                () = elapsed(self.authenticator.remaining(&self.key)) => {}
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Access {
    type Rejection = ApiError;

    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Result<Self, ApiError>> + Send {
        // Only a guard inserts it: without one the request is rejected.
        ready(parts.extensions.get::<Self>().cloned().ok_or_else(missing_key))
    }
}

/// Returns the refusal of a call without a key.
pub(super) fn missing_key() -> ApiError {
    ApiError::unauthorized("this call needs a key, in the header `X-API-Key` or as `Authorization: Bearer`")
}

fn ended() -> ApiError {
    ApiError::unauthorized("this key was revoked, or its token has ended")
}

/// Waits for `lifetime`; forever if there is none.
async fn elapsed(lifetime: Option<Duration>) {
    match lifetime {
        Some(lifetime) => tokio::time::sleep(lifetime).await,
        None => std::future::pending().await,
    }
}
