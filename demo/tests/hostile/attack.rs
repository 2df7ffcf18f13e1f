//! Hostile connections of several kinds.

use super::http2;
use futures::FutureExt as _;
use futures::future::join_all;
use mirror::link::{Trust, client_config};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use service::harness::TIMEOUT;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::unconstrained;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Number of connections from one address.
const CONNECTIONS_PER_ADDRESS: usize = 100;
/// Length of a header that never ends. It fits into the buffer of a connection.
const HEADER_BYTES: usize = 15_000;
/// Length of a header that does not fit: six buffers.
const LONG_HEADER_BYTES: usize = 100_000;
/// Number of requests on each HTTP/2 connection.
const STREAMS: u32 = 32;

/// A kind of hostile connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is sent.
    Tcp,
    /// TLS is begun and not finished.
    Tls,
    /// A request whose head never ends.
    Header,
    /// A request whose head is longer than the buffer. The answer says that the server reads no further.
    LongHeader,
    /// HTTP/2 requests whose answers the peer does not take, because its windows are zero.
    ZeroWindows,
    /// Exports with a key, of which nothing is read.
    Exports,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Tcp, Self::Tls, Self::Header, Self::LongHeader, Self::ZeroWindows, Self::Exports];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "bare TCP",
            Self::Tls => "TLS begun",
            Self::Header => "HTTP/1.1 header dribble",
            Self::LongHeader => "HTTP/1.1 header too long",
            Self::ZeroWindows => "HTTP/2 with zero windows",
            Self::Exports => "exports of one read key",
        }
    }
}

/// The process under attack.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) pid: Option<u32>,
    pub(crate) address: SocketAddr,
    pub(crate) spki_sha256: [u8; 32],
    /// Key of scopes read and sync.
    pub(crate) key: String,
}

/// Connections that are held open until this is dropped.
pub(crate) struct Attack {
    held: Vec<Connection>,
}

impl Attack {
    /// Opens the connections, all at the same time.
    pub(crate) async fn begin(target: &Target, kind: Kind, count: usize) -> Self {
        let opened = join_all((0..count).map(|number| open(target, kind, number))).await;
        Self { held: opened.into_iter().filter_map(Result::ok).collect() }
    }

    /// Returns the number of connections that got as far as their kind goes.
    pub(crate) fn accepted(&self) -> usize {
        self.held.len()
    }

    /// Returns the number of those that the process has not closed. Reads at most a byte of each.
    pub(crate) async fn live(&mut self) -> usize {
        let is_open = |connection: &mut Connection| !matches!(connection.read_u8().now_or_never(), Some(Err(_)));
        // Tokio would let a task look at about a hundred connections at once, and call the others not ready.
        unconstrained(async { self.held.iter_mut().filter_map(|held| is_open(held).then_some(())).count() }).await
    }
}

type Connection = Box<dyn AsyncRead + Send + Unpin>;

async fn open(target: &Target, kind: Kind, number: usize) -> io::Result<Connection> {
    let opening = async {
        let mut tcp = connect(target, number).await?;
        let connection: Connection = match kind {
            Kind::Tcp => Box::new(tcp),
            Kind::Tls => {
                tcp.write_all(&client_hello(target)?).await?;
                // The first byte of the server's answer: the handshake waits for this client.
                tcp.read_u8().await?;
                Box::new(tcp)
            }
            Kind::Header => {
                let mut tls = begin_tls(target, tcp, b"http/1.1").await?;
                tls.write_all(endless_head(HEADER_BYTES).as_bytes()).await?;
                Box::new(tls)
            }
            Kind::LongHeader => {
                let mut tls = begin_tls(target, tcp, b"http/1.1").await?;
                // The server may close the connection before it has all of it.
                let _ = tls.write_all(endless_head(LONG_HEADER_BYTES).as_bytes()).await;
                expect_status(&mut tls, 431).await?;
                Box::new(tls)
            }
            Kind::ZeroWindows => {
                let mut tls = begin_tls(target, tcp, b"h2").await?;
                tls.write_all(&http2::requests_with_zero_windows("/", STREAMS)).await?;
                Box::new(tls)
            }
            Kind::Exports => {
                let mut tls = begin_tls(target, tcp, b"http/1.1").await?;
                let head =
                    format!("GET /api/sync/full-export HTTP/1.1\r\nHost: barn\r\nX-API-Key: {}\r\n\r\n", target.key);
                tls.write_all(head.as_bytes()).await?;
                expect_status(&mut tls, 200).await?;
                Box::new(tls)
            }
        };
        Ok(connection)
    };
    timeout(TIMEOUT, opening).await?
}

/// Returns the beginning of a request, whose last header has this length so far.
fn endless_head(bytes: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: barn\r\nX-Long: {}", "x".repeat(bytes))
}

/// Reads the beginning of an answer. Another status is an error.
async fn expect_status(tls: &mut TlsStream<TcpStream>, status: u16) -> io::Result<()> {
    let expected = format!("HTTP/1.1 {status} ");
    let mut begin = vec![0; expected.len()];
    tls.read_exact(&mut begin).await?;
    let found = String::from_utf8_lossy(&begin);
    if found == expected { Ok(()) } else { Err(io::Error::other(format!("`{found}` instead of `{expected}`"))) }
}

/// Connects from an address of loopback that no honest client has.
async fn connect(target: &Target, number: usize) -> io::Result<TcpStream> {
    let host = u8::try_from(number / CONNECTIONS_PER_ADDRESS).unwrap_or(u8::MAX);
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 1, host), 0).into())?;
    socket.connect(target.address).await
}

async fn begin_tls(target: &Target, tcp: TcpStream, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
    let mut config = config(target);
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config)).connect(server_name(), tcp).await
}

fn config(target: &Target) -> ClientConfig {
    client_config(&Trust::Pin(target.spki_sha256)).unwrap()
}

fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// Returns the first message of a handshake.
fn client_hello(target: &Target) -> io::Result<Vec<u8>> {
    let mut connection = ClientConnection::new(Arc::new(config(target)), server_name()).map_err(io::Error::other)?;
    let mut message = Vec::new();
    connection.write_tls(&mut message)?;
    Ok(message)
}
