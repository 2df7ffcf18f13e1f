//! The network link from this mirror to a barn: HTTPS, and a WebSocket over TLS.
//!
//! - The link talks only to a peer that has proved in the TLS handshake to be the paired barn; see [`Trust`]. The
//!   office's key travels only in the `X-API-Key` header, and only after that handshake.
//! - Proxies from the environment are ignored and redirects are not followed: either would send the key somewhere else.
//! - A barn whose key is not known yet is met in the `first_contact` module: without a key to check, and without a secret.
//! - A correction goes over a connection of its own; see the `post` module for the reason.

mod address;
mod dial;
mod exchange;
mod first_contact;
mod get;
mod live;
mod post;
#[cfg(test)]
pub(crate) mod tests;
mod timed_stream;
mod trust;

pub use address::{Address, AddressError};
pub use first_contact::{FirstContactError, Introduction, introduce};
pub use live::HttpsChannel;
pub use post::{PostBounds, PostError, PostResponse};
pub use trust::{Trust, TrustError, client_config};

use hyper::header::HeaderValue;
use rustls::ClientConfig;
use service::sync::link::{Link, LinkError, LinkResponse, LiveResponse};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Header that carries the key.
const KEY_HEADER: &str = "x-api-key";
/// Value of [`HttpsLink::last_good`] while no address is known to work.
const NONE_KNOWN: usize = usize::MAX;

/// Reason why no link can be created from a pairing.
#[derive(Debug, thiserror::Error)]
pub enum LinkSetupError {
    /// The authority's file cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The key has characters that are not allowed in an HTTP header.
    #[error("the key of the pairing cannot be sent in an HTTP header: pair the barn again")]
    InvalidKey,
    /// The pairing has no usable address.
    #[error("no address of the barn is known: give one with --address HOST:PORT, or pair it again")]
    NoAddress,
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client: {0}")]
    Client(String),
}

/// Returns an HTTP client that accepts only peers allowed by `trust`.
///
/// The client reuses connections. It has no timeout for a whole request: set one on each request.
pub fn client(trust: &Trust) -> Result<reqwest::Client, LinkSetupError> {
    get::client(trust::client_config(trust)?)
}

/// An HTTPS link to one barn, which may have several addresses.
pub struct HttpsLink {
    addresses: Vec<Address>,
    /// Index in `addresses` of the one that worked last, or [`NONE_KNOWN`].
    last_good: AtomicUsize,
    tls: Arc<ClientConfig>,
    key: HeaderValue,
    client: reqwest::Client,
}

impl std::fmt::Debug for HttpsLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpsLink").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl HttpsLink {
    /// Creates a link to the barn at any of `addresses`, which authenticates with `key`. Nothing is sent yet.
    pub fn new(addresses: Vec<Address>, trust: &Trust, key: &str) -> Result<Self, LinkSetupError> {
        if addresses.is_empty() {
            return Err(LinkSetupError::NoAddress);
        }
        let tls = trust::client_config(trust)?;
        let mut key = HeaderValue::from_str(key).map_err(|_| LinkSetupError::InvalidKey)?;
        key.set_sensitive(true);
        let client = get::client(tls.clone())?;
        Ok(Self { addresses, last_good: AtomicUsize::new(NONE_KNOWN), tls: Arc::new(tls), key, client })
    }

    /// Returns the address that worked last, or the only one.
    fn known(&self) -> Option<&Address> {
        match self.addresses.as_slice() {
            [only] => Some(only),
            several => several.get(self.last_good.load(Ordering::Relaxed)),
        }
    }

    fn forget(&self) {
        self.last_good.store(NONE_KNOWN, Ordering::Relaxed);
    }

    /// Connects to the barn, trying the address that worked last first, and remembers the address that won.
    async fn dial(&self) -> Result<(&Address, dial::Connection), LinkError> {
        let first = self.last_good.load(Ordering::Relaxed);
        let mut order: Vec<_> = (0..self.addresses.len()).collect();
        order.sort_by_key(|index| *index != first);
        let (index, connection) = dial::race(&self.addresses, order, &self.tls).await?;
        self.last_good.store(index, Ordering::Relaxed);
        Ok((&self.addresses[index], connection))
    }

    /// Returns the name of the peer for messages: the address in use, or all of them.
    fn peer(&self) -> String {
        let all = || self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        self.known().map_or_else(all, ToString::to_string)
    }

    /// Runs `work` with a timeout, and forgets the address in use if it does not lead to the barn.
    async fn within<T>(
        &self,
        timeout_ms: u64,
        doing: &'static str,
        work: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        let outcome = match tokio::time::timeout(Duration::from_millis(timeout_ms), work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LinkError::TimedOut { peer: self.peer(), doing, after_ms: timeout_ms }),
        };
        self.check_address(outcome.as_ref().err());
        outcome
    }

    /// Forgets the address in use if this failure shows that it does not lead to the barn.
    fn check_address(&self, failure: Option<&LinkError>) {
        if let Some(LinkError::Unreachable { .. } | LinkError::NotTrusted { .. } | LinkError::TimedOut { .. }) = failure
        {
            self.forget();
        }
    }
}

impl Link for HttpsLink {
    type Channel = HttpsChannel;

    async fn get(
        &self,
        path_and_query: &str,
        fresh: bool,
        limit_bytes: usize,
        idle_ms: u64,
    ) -> Result<LinkResponse, LinkError> {
        let outcome = self.fetch(path_and_query, fresh, limit_bytes, idle_ms).await;
        self.check_address(outcome.as_ref().map_or_else(Some, |response| response.cut.as_ref()));
        outcome
    }

    async fn open_live(&self, path_and_query: &str, timeout_ms: u64) -> Result<LiveResponse<HttpsChannel>, LinkError> {
        let opening = async {
            let (address, connection) = self.dial().await?;
            live::open(address, connection, path_and_query, &self.key).await
        };
        self.within(timeout_ms, live::OPENING, opening).await
    }
}
