//! The HTTPS server.
//!
//! | module | holds |
//! |---|---|
//! | [`connections`] | the open connections and their limits |
//! | [`connection`] | one connection, its requests and its deadlines |
//! | [`cap`], [`hits`] | counts of what the limits have hit, and warnings |
//! | [`observer`] | what a process learns of the answers |
//! | `listen` | the socket on which it listens |
//! | `accept`, `plain` | the way of a connection to TLS, and the answer to peers without it |
//! | `request`, `drain` | the rules of every request and answer |
//! | [`turns`] | the turns of calls that read on threads of their own |
//! | `budget` | the bytes of answers that peers have not taken |
//!
//! # Decisions
//!
//! - **Memory is bounded over all connections, and not only for each.** The number of connections, the buffers of each, and
//!   the bytes of all answers have a limit. So [`MAX_CONNECTIONS`](connections::MAX_CONNECTIONS) peers together cost some
//!   tens of megabytes, whatever they send or refuse to read.
//! - **The time that each step of a peer may take is limited.** On shutdown the server ends within [`SHUTDOWN_GRACE`] and
//!   [`GOODBYE_TIMEOUT`], whatever its peers do.

mod accept;
mod budget;
pub mod cap;
pub mod connection;
pub mod connections;
mod drain;
pub mod hits;
mod listen;
pub mod observer;
mod plain;
mod request;
pub mod turns;

use super::certificate::{CertificateError, Identity};
use crate::lifecycle::{Exit, Shutdown};
use accept::ConnectionAcceptor;
use axum::Router;
use axum::middleware::from_fn;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use connections::Connections;
pub use listen::{bind, bind_ahead};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
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

/// Maximum number of concurrent requests on one HTTP/2 connection. Our own clients have one or two.
pub const MAX_STREAMS: u32 = 32;

/// Size of the read buffer of an HTTP/1.1 connection, and so of the head of a request.
pub const HTTP1_BUFFER_BYTES: usize = 16 * 1024;

/// Maximum size of the headers of an HTTP/2 request, which wait in memory until they are complete.
pub const HTTP2_HEADER_BYTES: u32 = 16 * 1024;

/// Maximum number of bytes that an HTTP/2 stream buffers before they are sent.
const HTTP2_SEND_BYTES: usize = 2 * budget::SLICE_BYTES;

/// Receive window of an HTTP/2 stream: the largest body of a request.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 512 * 1024;

/// Receive window of an HTTP/2 connection. What the peer has sent and no route has read waits within it.
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;

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

/// A server that accepts connections.
#[derive(Debug)]
pub struct RunningServer {
    /// Address on which the server listens.
    pub addr: SocketAddr,
    /// Handle that counts the connections, and that can stop the server at once.
    pub handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    connections: Connections,
}

impl RunningServer {
    /// Waits until the server has ended, by a shutdown or because its listener failed.
    ///
    /// Then waits for the remaining connections, for at most [`GOODBYE_TIMEOUT`].
    pub async fn wait(self) -> Result<(), ServeError> {
        self.task.await??;
        if timeout(GOODBYE_TIMEOUT, self.connections.all_closed()).await.is_err() {
            tracing::debug!("a peer did not close its connection in time");
        }
        Ok(())
    }
}

/// Serves `router` over TLS until `shutdown` is requested; requests in progress then have [`SHUTDOWN_GRACE`].
///
/// Must be called within a Tokio runtime. The code that upgrades a connection to a WebSocket owns it, and must watch
/// `shutdown` itself. An upgraded connection counts among `connections` until it is dropped.
pub fn serve(
    listener: TcpListener,
    router: Router,
    identity: &Identity,
    connections: &Connections,
    shutdown: Shutdown,
) -> Result<RunningServer, ServeError> {
    let addr = listener.local_addr()?;
    let handle = Handle::new();
    let tls = RustlsConfig::from_config(identity.server_config()?);
    let acceptor = ConnectionAcceptor { connections: connections.clone() };
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE_TIMEOUT).acceptor(acceptor);
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(HEADER_READ_TIMEOUT)
        .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "failed to set up a connection"));
    set_http_limits(&mut server);
    let service = router.layer(from_fn(request::pass)).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(shut_down_on_request(handle.clone(), shutdown.clone()));
    tokio::spawn(connections.clone().check_deadlines(shutdown));
    let task = tokio::spawn(async move { server.serve(service).await });
    Ok(RunningServer { addr, handle, task, connections: connections.clone() })
}

/// Sets the timeouts and limits of the HTTP layer; the server installs the timers that they need.
fn set_http_limits<A>(server: &mut Server<SocketAddr, A>) {
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEADER_READ_TIMEOUT).max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(HTTP2_HEADER_BYTES)
        .max_send_buf_size(HTTP2_SEND_BYTES)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES);
}

async fn shut_down_on_request(handle: Handle<SocketAddr>, shutdown: Shutdown) {
    shutdown.requested().await;
    handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
}

#[cfg(test)]
mod tests;
