mod answers;
mod deadlines;
mod limits;
mod requests;
mod room;
mod sockets;

use super::*;
use crate::door::certificate::{SanEntry, provider, spki_sha256};
use crate::harness::TIMEOUT;
use crate::lifecycle::ShutdownTrigger;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A verifier that trusts one public key and ignores everything else in the certificate.
#[derive(Debug)]
struct Pin([u8; 32]);

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if spki_sha256(leaf) == Some(self.0) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("another key".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signed, &schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn connect(
    addr: SocketAddr,
    pin: [u8; 32],
    version: &'static rustls::SupportedProtocolVersion,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    begin_tls(stream, client(pin, version)).await
}

async fn begin_tls(stream: TcpStream, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn client(pin: [u8; 32], version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pin(pin)))
        .with_no_client_auth()
}

async fn get_page(addr: SocketAddr, pin: [u8; 32]) -> io::Result<String> {
    let mut stream = connect(addr, pin, &rustls::version::TLS13).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut reply = Vec::new();
    let reading = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut reply)).await;
    reading.map_err(io::Error::other)??;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn identity(dir: &Path) -> Identity {
    Identity::load_or_generate(dir, &[SanEntry::Dns("barn".into())]).unwrap()
}

/// A server with the route `/never`, whose requests hang, and those of a test.
struct TestServer {
    dir: tempfile::TempDir,
    identity: Identity,
    running: RunningServer,
    connections: Connections,
    trigger: ShutdownTrigger,
    /// Notified when a request to `/never` has started.
    hanging: Arc<Notify>,
}

fn start() -> TestServer {
    start_with(Router::new())
}

fn start_with(others: Router) -> TestServer {
    start_with_connections(others, Connections::default())
}

fn start_with_connections(others: Router, connections: Connections) -> TestServer {
    let dir = tempfile::tempdir().unwrap();
    let identity = identity(dir.path());
    let page = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {}", peer.ip()) };
    let hanging = Arc::new(Notify::new());
    let started = Arc::clone(&hanging);
    let never = async move || {
        started.notify_one();
        std::future::pending::<String>().await
    };
    let router = others.route("/", get(page)).route("/never", get(never));
    let trigger = ShutdownTrigger::default();
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let running = serve(listener, router, &identity, &connections, trigger.signal()).unwrap();
    TestServer { dir, identity, running, connections, trigger, hanging }
}

/// Catches a TLS version that does not work, a wrong pin, and a peer address that routes do not see.
#[tokio::test]
async fn a_client_that_pins_the_key_is_served_over_both_tls_versions_and_routes_see_its_address() {
    let server = start();
    let (addr, pin) = (server.running.addr, server.identity.spki_sha256());
    let reply = get_page(addr, pin).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("hello 127.0.0.1"), "{reply}");
    connect(addr, pin, &rustls::version::TLS12).await.unwrap();
    assert!(get_page(addr, [0; 32]).await.is_err(), "another pin must not connect");
}

/// Catches an ALPN list that lost HTTP/2 or prefers HTTP/1.1.
#[tokio::test]
async fn a_client_that_offers_http_2_gets_it() {
    let server = start();
    let mut config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.running.addr).await.unwrap();
    let stream = begin_tls(stream, config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

/// Catches a timeout that applies only to the first request, or only to later ones.
#[tokio::test]
async fn an_unfinished_request_times_out_on_a_fresh_and_on_a_used_connection() {
    let server = start();
    let (addr, pin) = (server.running.addr, server.identity.spki_sha256());
    let mut fresh = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    let mut used = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    used.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(used.read(&mut [0; 1000]).await.unwrap() > 0);
    for stream in [&mut fresh, &mut used] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    }
    // From here on Tokio's clock jumps to the next timeout whenever all tasks are idle.
    tokio::time::pause();
    for mut stream in [fresh, used] {
        let mut rest = Vec::new();
        let reading = stream.read_to_end(&mut rest);
        assert!(tokio::time::timeout(HEADER_READ_TIMEOUT * 10, reading).await.is_ok());
    }
}

/// Catches a renewed certificate that needs a restart, and a broken one that replaces a usable one.
#[tokio::test]
async fn new_connections_get_replaced_files_but_not_broken_ones() {
    let server = start();
    let (addr, first) = (server.running.addr, server.identity.spki_sha256());
    std::fs::write(server.dir.path().join("certificate.pem"), "not a certificate").unwrap();
    assert!(server.identity.reload().is_err());
    get_page(addr, first).await.unwrap();

    let every = Duration::from_millis(20);
    let watching = tokio::spawn(server.identity.clone().watch_files_every(every, server.trigger.signal()));
    let elsewhere = tempfile::tempdir().unwrap();
    let second = identity(elsewhere.path()).spki_sha256();
    for name in ["certificate.pem", "key.pem"] {
        std::fs::copy(elsewhere.path().join(name), server.dir.path().join(name)).unwrap();
    }
    let replaced = async {
        while get_page(addr, second).await.is_err() {
            tokio::time::sleep(every).await;
        }
    };
    tokio::time::timeout(TIMEOUT, replaced).await.unwrap();
    assert!(get_page(addr, first).await.is_err());
    server.trigger.request();
    watching.await.unwrap();
}

/// Catches a shutdown that waits for peers.
#[tokio::test]
async fn a_shutdown_ends_the_server_although_requests_and_handshakes_hang() {
    let server = start();
    let (addr, pin) = (server.running.addr, server.identity.spki_sha256());
    let mut stalled = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    stalled.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let _silent = TcpStream::connect(addr).await.unwrap();
    tokio::time::timeout(TIMEOUT, server.hanging.notified()).await.unwrap();
    let mut waiting = Box::pin(server.running.wait());
    assert!(futures::poll!(&mut waiting).is_pending(), "the server runs");
    server.trigger.request();
    tokio::time::timeout(TIMEOUT, waiting).await.unwrap().unwrap();
    let closed = tokio::time::timeout(TIMEOUT, stalled.read_to_end(&mut Vec::new())).await;
    assert!(closed.is_ok(), "the hanging request's connection must be closed");
    assert!(TcpStream::connect(addr).await.is_err());
}

/// Catches a server that runs on after the part that would shut it down is gone.
#[tokio::test]
async fn a_dropped_shutdown_trigger_ends_the_server() {
    let server = start();
    drop(server.trigger);
    tokio::time::timeout(TIMEOUT, server.running.wait()).await.unwrap().unwrap();
}

/// Catches an error that does not say which address is in use.
#[tokio::test]
async fn a_bind_error_names_the_address() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
