//! The HTTPS server.
//!
//! The number of connections and the time that each step of a peer may take are limited. On shutdown the server ends
//! within [`SHUTDOWN_GRACE`] and [`GOODBYE_TIMEOUT`], whatever its peers do.

use super::certificate::{CertificateError, Identity};
use crate::lifecycle::{Exit, Shutdown};
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

/// Time that requests in progress have after a shutdown request; then their connections are closed.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Time that upgraded connections have after that to send a close frame; then they end with the process.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout of a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of the head of a request, and maximum idle time of an HTTP/1.1 connection.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Interval of pings to an idle HTTP/2 peer.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Timeout of the reply to an HTTP/2 ping.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which the kernel closes the connection of a peer that accepts no bytes (`TCP_USER_TIMEOUT`, RFC 5482).
pub const STALLED_PEER_MS: u32 = 60_000;

/// Maximum number of open connections; a further one is closed at once. A yard has tens of devices and an office.
pub const MAX_CONNECTIONS: usize = ALL_CONNECTIONS as usize;
const ALL_CONNECTIONS: u32 = 1024;

/// Maximum number of concurrent requests on one HTTP/2 connection.
pub const MAX_STREAMS: u32 = 256;

/// Failure to start the server, or the reason why it ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not available.
    #[error(
        "cannot listen on {address}: {source}; another process may use the port, or the address is not this machine's"
    )]
    Bind {
        /// Requested address.
        address: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The listener failed.
    #[error("the HTTPS listener failed: {0}")]
    Listener(#[from] io::Error),
    /// There is no usable identity.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The server task panicked or was aborted.
    #[error("the server task was aborted: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl From<&ServeError> for Exit {
    fn from(error: &ServeError) -> Self {
        match error {
            ServeError::Bind { .. } => Self::CannotListen,
            ServeError::Certificate(_) => Self::Usage,
            ServeError::Listener(_) | ServeError::Aborted(_) => Self::Failure,
        }
    }
}

/// Binds the address before anything is served, so that the port is known even if port 0 was requested.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Bind { address, source })
}

/// A server that accepts connections.
#[derive(Debug)]
pub struct RunningServer {
    /// Address on which the server listens.
    pub addr: SocketAddr,
    /// Handle that counts the connections, and that can stop the server at once.
    pub handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    permits: Arc<Semaphore>,
}

impl RunningServer {
    /// Waits until the server has ended, by a shutdown or because its listener failed.
    ///
    /// Then waits for the remaining connections, for at most [`GOODBYE_TIMEOUT`].
    pub async fn wait(self) -> Result<(), ServeError> {
        self.task.await??;
        if timeout(GOODBYE_TIMEOUT, self.permits.acquire_many(ALL_CONNECTIONS)).await.is_err() {
            tracing::debug!("a peer did not close its connection in time");
        }
        Ok(())
    }
}

/// Serves `router` over TLS until `shutdown` is requested; requests in progress then have [`SHUTDOWN_GRACE`].
///
/// Must be called within a Tokio runtime. The code that upgrades a connection to a WebSocket owns it, and must watch
/// `shutdown` itself. An upgraded connection counts towards [`MAX_CONNECTIONS`] until it is dropped.
pub fn serve(
    listener: TcpListener,
    router: Router,
    identity: &Identity,
    shutdown: Shutdown,
) -> Result<RunningServer, ServeError> {
    let addr = listener.local_addr()?;
    let handle = Handle::new();
    let tls = RustlsConfig::from_config(identity.server_config()?);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let limiter = ConnectionLimiter { permits: permits.clone() };
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE_TIMEOUT).acceptor(limiter);
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(HEADER_READ_TIMEOUT)
        .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "failed to set up a connection"));
    set_http_limits(&mut server);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(shut_down_on_request(handle.clone(), shutdown));
    let task = tokio::spawn(async move { server.serve(service).await });
    Ok(RunningServer { addr, handle, task, permits })
}

/// Sets the timeouts and limits of the HTTP layer; the server installs the timers that they need.
fn set_http_limits<A>(server: &mut Server<SocketAddr, A>) {
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEADER_READ_TIMEOUT);
    builder
        .http2()
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS);
}

async fn shut_down_on_request(handle: Handle<SocketAddr>, shutdown: Shutdown) {
    shutdown.requested().await;
    handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
}

/// Accepts a limited number of connections, and configures their sockets.
#[derive(Clone)]
struct ConnectionLimiter {
    permits: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for ConnectionLimiter {
    type Stream = CountedStream;
    type Service = S;
    type Future = std::future::Ready<io::Result<(CountedStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(self.admit(stream).map(|stream| (stream, service)))
    }
}

impl ConnectionLimiter {
    fn admit(&self, stream: TcpStream) -> io::Result<CountedStream> {
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_| io::Error::other(format!("{MAX_CONNECTIONS} connections are already open")))?;
        stream.set_nodelay(true)?;
        set_tcp_user_timeout(&stream, STALLED_PEER_MS)?;
        Ok(CountedStream { stream, _permit: permit })
    }
}

/// A connection that releases its permit when it is dropped, even after an upgrade.
struct CountedStream {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CountedStream {
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
