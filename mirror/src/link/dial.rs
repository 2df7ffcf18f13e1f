//! Dialing: turns a list of addresses into one TLS connection with the paired barn.

use super::address::Address;
use super::timed_stream::TimedStream;
use super::trust::untrusted_reason;
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

/// Delay until the next address is tried while earlier ones are still pending, in milliseconds (RFC 8305 section 5).
const STAGGER_MS: u64 = 250;
/// Timeout for one address to connect and complete the TLS handshake, in milliseconds.
///
/// A handshake takes about 2 kB, which is 2 s on a link of 1 kB/s, and twice that beside a transfer.
pub(super) const DIAL_TIMEOUT_MS: u64 = 8_000;

/// A TLS connection whose peer has proved to be the barn.
pub(super) type Connection = TlsStream<TimedStream>;

/// Dials the addresses in `order`, [`STAGGER_MS`] apart, and returns the first connection that completes a TLS
/// handshake, with the index of its address. The other attempts are dropped.
///
/// If all attempts fail, returns the most informative of their errors.
pub(super) async fn race(
    addresses: &[Address],
    order: Vec<usize>,
    tls: &Arc<ClientConfig>,
) -> Result<(usize, Connection), LinkError> {
    let mut waiting = order.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure: Option<LinkError> = None;
    loop {
        if let Some(index) = waiting.next() {
            let address = &addresses[index];
            attempts.push(async move { (index, connect(address, tls.clone()).await) });
        }
        tokio::select! {
            outcome = attempts.next() => match outcome {
                Some((index, Ok(connection))) => return Ok((index, connection)),
                Some((_, Err(error))) => failure = Some(most_informative(failure, error)),
                None => return Err(failure.unwrap_or_else(no_address)),
            },
            () = sleep(Duration::from_millis(STAGGER_MS)), if waiting.len() > 0 => {}
        }
    }
}

fn no_address() -> LinkError {
    LinkError::Unreachable { peer: "the barn".into(), why: "no address is known: pair it again".into() }
}

/// Returns the more informative of two errors: a peer that is not the barn says more than a broken connection, that
/// more than a silent address, and that more than an address that nothing listens on.
fn most_informative(before: Option<LinkError>, now: LinkError) -> LinkError {
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

/// Connects to one address.
pub(super) async fn connect(address: &Address, tls: Arc<ClientConfig>) -> Result<Connection, LinkError> {
    let peer = address.to_string();
    let late = |_| LinkError::TimedOut { peer: peer.clone(), doing: "connecting", after_ms: DIAL_TIMEOUT_MS };
    timeout(Duration::from_millis(DIAL_TIMEOUT_MS), shake_hands(address, tls)).await.map_err(late)?
}

async fn shake_hands(address: &Address, tls: Arc<ClientConfig>) -> Result<Connection, LinkError> {
    let peer = address.to_string();
    let unreachable = |error: std::io::Error| LinkError::Unreachable { peer: peer.clone(), why: error.to_string() };
    let stream = TcpStream::connect((address.host(), address.port())).await.map_err(unreachable)?;
    // Nagle's algorithm would hold a 100-byte position back until the one before it is acknowledged.
    stream.set_nodelay(true).map_err(unreachable)?;
    TlsConnector::from(tls).connect(address.server_name(), TimedStream::new(stream)).await.map_err(|error| {
        match untrusted_reason(&error) {
            Some(why) => LinkError::NotTrusted { peer: peer.clone(), why },
            None => LinkError::Broken { peer: peer.clone(), doing: "opening TLS", why: error.to_string() },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a barn that is called unreachable although a stranger answers at its address.
    #[test]
    fn the_error_that_says_most_is_told_whichever_comes_first() {
        let peer = || "barn:1".to_owned();
        let ranked = [
            LinkError::Unreachable { peer: peer(), why: "x".into() },
            LinkError::TimedOut { peer: peer(), doing: "x", after_ms: 1 },
            LinkError::Broken { peer: peer(), doing: "x", why: "x".into() },
            LinkError::NotTrusted { peer: peer(), why: "x".into() },
        ];
        for pair in ranked.windows(2) {
            let [less, more] = pair else { unreachable!("windows of two") };
            assert_eq!(most_informative(Some(less.clone()), more.clone()), *more);
            assert_eq!(most_informative(Some(more.clone()), less.clone()), *more);
        }
        let later = LinkError::TooLong { peer: peer(), limit_bytes: 1 };
        assert_eq!(most_informative(Some(ranked[2].clone()), later.clone()), later, "the later one of equals");
        assert_eq!(most_informative(None, ranked[0].clone()), ranked[0]);
    }
}
