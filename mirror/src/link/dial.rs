//! From a list of addresses to one TLS connection with the right barn.

use super::address::Address;
use super::trust::distrust;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustls::ClientConfig;
use service::sync::link::LinkError;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The next address is tried when the ones before it have failed, or after so long (RFC 8305 section 5).
const STAGGER_MS: u64 = 250;
/// How long one address may take to connect and to show its key.
pub(super) const DIAL_TIMEOUT_MS: u64 = 5_000;

/// A connection whose other end has shown to be the barn.
pub(super) type Connection = TlsStream<TcpStream>;

/// Tries the addresses in this order, [`STAGGER_MS`] apart; the first that completes a TLS handshake wins, the others
/// are dropped. Gives its place in `addresses`. If all fail, the most telling of their errors.
pub(super) async fn race(
    addresses: &[Address],
    order: Vec<usize>,
    tls: &Arc<ClientConfig>,
) -> Result<(usize, Connection), LinkError> {
    let mut waiting = order.into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut failure: Option<LinkError> = None;
    loop {
        if let Some(index) = waiting.next() {
            let address = &addresses[index];
            under_way.push(async move { (index, connect(address, tls.clone()).await) });
        }
        tokio::select! {
            outcome = under_way.next() => match outcome {
                Some((index, Ok(connection))) => return Ok((index, connection)),
                Some((_, Err(error))) => failure = Some(most_telling(failure, error)),
                None => return Err(failure.unwrap_or_else(nowhere_to_go)),
            },
            () = sleep(Duration::from_millis(STAGGER_MS)), if waiting.len() > 0 => {}
        }
    }
}

fn nowhere_to_go() -> LinkError {
    LinkError::Unreachable { peer: "the barn".into(), why: "no address is known: pair it again".into() }
}

/// One that answered and is not the barn says more than one that is silent, and that more than one nobody listens at.
fn most_telling(before: Option<LinkError>, now: LinkError) -> LinkError {
    let weight = |error: &LinkError| match error {
        LinkError::NotTrusted { .. } => 3,
        LinkError::Broken { .. } | LinkError::TooLong { .. } => 2,
        LinkError::TimedOut { .. } => 1,
        LinkError::Unreachable { .. } => 0,
    };
    match before {
        Some(before) if weight(&before) > weight(&now) => before,
        _ => now,
    }
}

async fn connect(address: &Address, tls: Arc<ClientConfig>) -> Result<Connection, LinkError> {
    let peer = address.to_string();
    let late = |_| LinkError::TimedOut { peer: peer.clone(), doing: "connecting", after_ms: DIAL_TIMEOUT_MS };
    timeout(Duration::from_millis(DIAL_TIMEOUT_MS), shake_hands(address, tls)).await.map_err(late)?
}

async fn shake_hands(address: &Address, tls: Arc<ClientConfig>) -> Result<Connection, LinkError> {
    let peer = address.to_string();
    let unreachable = |error: std::io::Error| LinkError::Unreachable { peer: peer.clone(), why: error.to_string() };
    let stream = TcpStream::connect((address.host(), address.port())).await.map_err(unreachable)?;
    // A position of 100 bytes must not wait for the acknowledgement of the one before it.
    stream.set_nodelay(true).map_err(unreachable)?;
    TlsConnector::from(tls).connect(address.server_name(), stream).await.map_err(|error| match distrust(&error) {
        Some(why) => LinkError::NotTrusted { peer: peer.clone(), why },
        None => LinkError::Broken { peer: peer.clone(), doing: "opening TLS", why: error.to_string() },
    })
}
