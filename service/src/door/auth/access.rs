//! The access of an authenticated caller, which ends with its key or token.

use crate::door::keys::{KeyInfo, KeyRing};
use std::sync::Arc;
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
}

impl Access {
    /// Creates the access of a key that `authenticator` has accepted.
    pub fn new(authenticator: Arc<dyn Authenticator>, key: Arc<KeyInfo>) -> Self {
        Self { authenticator, key }
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

/// Waits for `lifetime`; forever if there is none.
async fn elapsed(lifetime: Option<Duration>) {
    match lifetime {
        Some(lifetime) => tokio::time::sleep(lifetime).await,
        None => std::future::pending().await,
    }
}
