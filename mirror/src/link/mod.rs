//! The network between this mirror and a barn: HTTPS and a WebSocket over it, to whoever shows the paired key.
//!
//! The key of the office stands in the `X-API-Key` header only, and is sent only after the TLS handshake has shown
//! whom it goes to. Proxies of the environment are not used and redirections are not followed: the barn is dialed,
//! nobody else.

mod address;
mod dial;
mod exchange;
mod get;
mod live;
mod post;
#[cfg(test)]
pub(crate) mod tests;
mod trust;

pub use address::{Address, NoAddress};
pub use live::HttpsChannel;
pub use post::{NotPosted, PostBounds, Posted};
pub use trust::{Trust, TrustError, client_config};

use hyper::header::HeaderValue;
use rustls::ClientConfig;
use service::sync::link::{Link, LinkError, LinkResponse, LiveResponse};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The header that carries the key.
const KEY_HEADER: &str = "x-api-key";
/// No address has been found to work yet.
const NONE_KNOWN: usize = usize::MAX;

/// Why a link cannot be made of what is known of a barn.
#[derive(Debug, thiserror::Error)]
pub enum NoLink {
    /// The authority's file does not serve.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The key holds characters that no HTTP header can carry.
    #[error("the key of the pairing cannot stand in an HTTP header: pair the barn again")]
    Key,
    /// There is nowhere to go.
    #[error("no address of the barn is known: give one with --address HOST:PORT, or pair it again")]
    NoAddress,
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// A client for whole answers that believes nobody but whom `trust` names. It keeps its connections and has no time-out
/// for a whole exchange: set one on each request.
pub fn client(trust: &Trust) -> Result<reqwest::Client, NoLink> {
    get::client(trust::client_config(trust)?)
}

/// A way to one barn over HTTPS.
pub struct HttpsLink {
    addresses: Vec<Address>,
    /// The place in `addresses` of the one that worked last, else [`NONE_KNOWN`].
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
    /// A link to the barn at any of these addresses, presenting this key. Nothing is sent yet.
    pub fn new(addresses: Vec<Address>, trust: &Trust, key: &str) -> Result<Self, NoLink> {
        if addresses.is_empty() {
            return Err(NoLink::NoAddress);
        }
        let tls = trust::client_config(trust)?;
        let mut key = HeaderValue::from_str(key).map_err(|_| NoLink::Key)?;
        key.set_sensitive(true);
        let client = get::client(tls.clone())?;
        Ok(Self { addresses, last_good: AtomicUsize::new(NONE_KNOWN), tls: Arc::new(tls), key, client })
    }

    /// The address that worked last.
    fn known(&self) -> Option<&Address> {
        match self.addresses.as_slice() {
            [only] => Some(only),
            several => several.get(self.last_good.load(Ordering::Relaxed)),
        }
    }

    fn forget(&self) {
        self.last_good.store(NONE_KNOWN, Ordering::Relaxed);
    }

    /// Connects, the address that worked last before the others, and remembers which one it is.
    async fn dial(&self) -> Result<(&Address, dial::Connection), LinkError> {
        let first = self.last_good.load(Ordering::Relaxed);
        let mut order: Vec<_> = (0..self.addresses.len()).collect();
        order.sort_by_key(|index| *index != first);
        let (index, connection) = dial::race(&self.addresses, order, &self.tls).await?;
        self.last_good.store(index, Ordering::Relaxed);
        Ok((&self.addresses[index], connection))
    }

    /// Whom messages speak of: the address in use, else all of them.
    fn peer(&self) -> String {
        let all = || self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        self.known().map_or_else(all, ToString::to_string)
    }

    /// Bounds `work`, and forgets the address in use where it turns out not to serve.
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
        if let Err(LinkError::Unreachable { .. } | LinkError::NotTrusted { .. } | LinkError::TimedOut { .. }) = outcome
        {
            self.forget();
        }
        outcome
    }
}

impl Link for HttpsLink {
    type Channel = HttpsChannel;

    async fn get(
        &self,
        path_and_query: &str,
        fresh: bool,
        limit_bytes: usize,
        timeout_ms: u64,
    ) -> Result<LinkResponse, LinkError> {
        self.within(timeout_ms, get::DOING, self.ask(path_and_query, fresh, limit_bytes)).await
    }

    async fn open_live(&self, path_and_query: &str, timeout_ms: u64) -> Result<LiveResponse<HttpsChannel>, LinkError> {
        let opening = async {
            let (address, connection) = self.dial().await?;
            live::open(address, connection, path_and_query, &self.key).await
        };
        self.within(timeout_ms, live::OPENING, opening).await
    }
}
