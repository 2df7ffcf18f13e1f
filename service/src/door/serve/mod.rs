//! The HTTPS server: bounded in connections and in patience, and gone within its grace whatever the peers do.

use crate::door::certificate::{CertificateError, Identity};
use crate::lifecycle::Shutdown;
use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use rustix::net::sockopt::set_tcp_user_timeout;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Requests under way have so long to end once a stop is asked for; then their connections are cut.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// After that, connections that were upgraded have so long to say goodbye; then they end with the process.
pub const GOODBYES_WITHIN: Duration = Duration::from_secs(1);

/// A TLS handshake must be done by then.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The head of a request must be there by then; also how long an HTTP/1.1 connection may lie idle.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// An idle HTTP/2 peer is asked so often whether it is still there ...
pub const PING_EVERY: Duration = Duration::from_secs(20);

/// ... and has so long to answer.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that takes none of the bytes sent to it for so long is cut by the kernel (`TCP_USER_TIMEOUT`, RFC 5482).
pub const STALLED_PEER_MS: u32 = 60_000;

/// Connections at one time; one more is closed at once. A yard has tens of devices and an office.
pub const MAX_CONNECTIONS: usize = ALL_CONNECTIONS as usize;
const ALL_CONNECTIONS: u32 = 1024;

/// Requests at one time on one HTTP/2 connection.
pub const MAX_STREAMS: u32 = 256;

/// Why there is no server, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error(
        "listening on {address}: {source}; another process may have the port, or the address is not this machine's"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The listener broke.
    #[error("serving: {0}")]
    Listener(#[from] io::Error),
    /// No identity to show.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The server's task ended by a panic.
    #[error("the server's task was cut: {0}")]
    Cut(#[from] tokio::task::JoinError),
}

/// Takes the address, so that it is known (port 0 is a port by then) before anything is served.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Bind { address, source })
}

/// A server at work.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Counts connections, and stops the server at once where that is wanted.
    pub handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    permits: Arc<Semaphore>,
}

impl Serving {
    /// Waits until the server has ended, after a stop or because its listener broke, and then until all connections
    /// have, at most [`GOODBYES_WITHIN`].
    pub async fn ended(self) -> Result<(), ServeError> {
        self.task.await??;
        if timeout(GOODBYES_WITHIN, self.permits.acquire_many(ALL_CONNECTIONS)).await.is_err() {
            tracing::debug!("a peer did not take its goodbye in time");
        }
        Ok(())
    }
}

/// Serves `router` over TLS until `shutdown` says true or its sender is gone; requests under way then have
/// [`SHUTDOWN_GRACE`]. Needs a tokio runtime. Upgraded connections (`WebSockets`) belong to whoever upgraded them,
/// who must watch `shutdown` too; they keep their place among [`MAX_CONNECTIONS`] as long as they last.
pub fn serve(
    listener: TcpListener,
    router: Router,
    identity: &Identity,
    shutdown: Shutdown,
) -> Result<Serving, ServeError> {
    let addr = listener.local_addr()?;
    let handle = Handle::new();
    let tls = RustlsConfig::from_config(identity.server_config()?);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let doorman = Doorman { permits: permits.clone() };
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE_TIMEOUT).acceptor(doorman);
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(HEADER_READ_TIMEOUT)
        .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "a connection came to nothing"));
    bound(&mut server);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(stop_when_told(handle.clone(), shutdown));
    let task = tokio::spawn(async move { server.serve(service).await });
    Ok(Serving { addr, handle, task, permits })
}

/// The patience of the HTTP layer; the server installs the timers that these need.
fn bound<A>(server: &mut Server<SocketAddr, A>) {
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEADER_READ_TIMEOUT);
    builder
        .http2()
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS);
}

async fn stop_when_told(handle: Handle<SocketAddr>, shutdown: Shutdown) {
    // An error means that the sender is gone, which is a stop as well.
    let () = shutdown.requested().await;
    handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
}

/// Lets in so many connections, and sets their sockets up.
#[derive(Clone)]
struct Doorman {
    permits: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for Doorman {
    type Stream = Counted;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(self.let_in(stream).map(|stream| (stream, service)))
    }
}

impl Doorman {
    fn let_in(&self, stream: TcpStream) -> io::Result<Counted> {
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_| io::Error::other(format!("there are {MAX_CONNECTIONS} connections already")))?;
        stream.set_nodelay(true)?;
        set_tcp_user_timeout(&stream, STALLED_PEER_MS)?;
        Ok(Counted { stream, _permit: permit })
    }
}

/// A connection that gives its place back when it is dropped, as an upgraded one too.
struct Counted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
