use super::*;
use crate::door::certificate::{SanEntry, provider, spki_sha256};
use crate::lifecycle::ShutdownTrigger;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Tests wait so long for a condition, and assert no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that trusts one public key and looks at nothing else in the certificate.
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
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client(pin, version))).connect(name, stream).await
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
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    reading.map_err(io::Error::other)??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn identity(dir: &Path) -> Identity {
    Identity::load_or_make(dir, &[SanEntry::Dns("barn".into())]).unwrap()
}

struct Server {
    dir: tempfile::TempDir,
    identity: Identity,
    serving: Serving,
    stop: ShutdownTrigger,
    hangs: Arc<Notify>,
}

fn start() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let identity = identity(dir.path());
    let page = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {}", peer.ip()) };
    let hangs = Arc::new(Notify::new());
    let begun = Arc::clone(&hangs);
    let never = async move || {
        begun.notify_one();
        std::future::pending::<String>().await
    };
    let router = Router::new().route("/", get(page)).route("/never", get(never));
    let stop = ShutdownTrigger::default();
    let stopping = stop.signal();
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let serving = serve(listener, router, &identity, stopping).unwrap();
    Server { dir, identity, serving, stop, hangs }
}

#[tokio::test]
async fn a_client_that_pins_the_key_is_served_over_both_versions_and_sees_its_own_address() {
    let server = start();
    let (addr, pin) = (server.serving.addr, server.identity.spki_sha256());
    let answer = get_page(addr, pin).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello 127.0.0.1"), "{answer}");
    connect(addr, pin, &rustls::version::TLS12).await.unwrap();
    assert!(get_page(addr, [0; 32]).await.is_err(), "another pin must not connect");
}

#[tokio::test]
async fn who_offers_http_2_gets_it() {
    let server = start();
    let mut config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.serving.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn who_never_ends_a_request_is_cut_on_a_fresh_and_on_a_used_connection() {
    let server = start();
    let (addr, pin) = (server.serving.addr, server.identity.spki_sha256());
    let mut fresh = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    let mut used = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    used.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(used.read(&mut [0; 1000]).await.unwrap() > 0);
    for stream in [&mut fresh, &mut used] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    }
    // From here on the clock leaps to the next time-out whenever nobody has anything to do.
    tokio::time::pause();
    for mut stream in [fresh, used] {
        let mut rest = Vec::new();
        let reading = stream.read_to_end(&mut rest);
        assert!(tokio::time::timeout(HEADER_READ_TIMEOUT * 10, reading).await.is_ok());
    }
}

#[tokio::test]
async fn replaced_files_are_shown_to_new_connections_and_broken_ones_are_not() {
    let server = start();
    let (addr, first) = (server.serving.addr, server.identity.spki_sha256());
    std::fs::write(server.dir.path().join("certificate.pem"), "not a certificate").unwrap();
    assert!(server.identity.reload().is_err());
    get_page(addr, first).await.unwrap();

    let every = Duration::from_millis(20);
    let watching = tokio::spawn(server.identity.clone().watch_files_every(every, server.stop.signal()));
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
    tokio::time::timeout(PATIENCE, replaced).await.unwrap();
    assert!(get_page(addr, first).await.is_err());
    server.stop.request();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_the_server_although_requests_and_handshakes_hang() {
    let server = start();
    let (addr, pin) = (server.serving.addr, server.identity.spki_sha256());
    let mut hanging = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    hanging.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let _silent = TcpStream::connect(addr).await.unwrap();
    tokio::time::timeout(PATIENCE, server.hangs.notified()).await.unwrap();
    server.stop.request();
    tokio::time::timeout(PATIENCE, server.serving.ended()).await.unwrap().unwrap();
    let cut = tokio::time::timeout(PATIENCE, hanging.read_to_end(&mut Vec::new())).await;
    assert!(cut.is_ok(), "the hanging request's connection must be closed");
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_stop_is_also_that_nobody_is_left_who_could_ask_for_one() {
    let server = start();
    drop(server.stop);
    tokio::time::timeout(PATIENCE, server.serving.ended()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_address_is_named_in_the_error() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_full_house_lets_nobody_in_until_somebody_leaves() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let doorman = Doorman { permits: Arc::new(Semaphore::new(1)) };
    let come = async || {
        let (_peer, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        doorman.let_in(accepted.unwrap().0)
    };
    let first = come().await.unwrap();
    assert!(first.stream.nodelay().unwrap());
    assert!(come().await.is_err());
    drop(first);
    come().await.unwrap();
}
