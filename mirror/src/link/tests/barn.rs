//! A fake barn: an HTTPS server on loopback with the parts of a barn that the link uses.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use futures::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A certificate and its key pair.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

impl Identity {
    /// Creates an expired self-signed certificate for a name that no test dials.
    pub(crate) fn self_signed(key: KeyPair) -> Self {
        let mut params = CertificateParams::new(["some-other-barn.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, key }
    }

    pub(crate) fn pin(&self) -> [u8; 32] {
        Sha256::digest(self.key.subject_public_key_info()).into()
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity { certificate, key }
    }
}

/// A running server, which is shut down on drop.
pub(crate) struct Barn {
    pub(crate) at: SocketAddr,
    /// Connections accepted.
    connections: Arc<AtomicUsize>,
    /// Requests received over them.
    requests: Arc<AtomicUsize>,
    tls: RustlsConfig,
    handle: Handle<SocketAddr>,
}

impl Drop for Barn {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Barn {
    pub(crate) fn start(identity: &Identity) -> Self {
        Self::start_with(identity, router())
    }

    pub(crate) fn start_with(identity: &Identity, router: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        let tls = RustlsConfig::from_config(server_config(identity));
        let handle = Handle::new();
        let connections = Arc::new(AtomicUsize::new(0));
        let server = axum_server::from_tcp_rustls(listener, tls.clone()).unwrap().handle(handle.clone());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter =
            ConnectionCounter { router: counting(router, requests.clone()), connections: connections.clone() };
        tokio::spawn(server.serve(counter));
        Self { at, connections, requests, tls, handle }
    }

    /// Replaces the certificate for new connections.
    pub(crate) fn renew(&self, identity: &Identity) {
        self.tls.reload_from_config(server_config(identity));
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A service factory that counts connections.
struct ConnectionCounter {
    router: Router,
    connections: Arc<AtomicUsize>,
}

impl tower::Service<SocketAddr> for ConnectionCounter {
    type Response = Router;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Router, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: SocketAddr) -> Self::Future {
        self.connections.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(self.router.clone()))
    }
}

fn server_config(identity: &Identity) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn counting(router: Router, requests: Arc<AtomicUsize>) -> Router {
    router.layer(map_request(move |request: Request| {
        requests.fetch_add(1, Ordering::SeqCst);
        std::future::ready(request)
    }))
}

fn router() -> Router {
    Router::new()
        .route(
            "/headers",
            get(async |headers: HeaderMap| text(&headers, "x-api-key") + " " + &text(&headers, "accept")),
        )
        .route("/long", get(async || vec![7_u8; 1_000_000]))
        .route("/endless", get(async || Body::from_stream(endless())))
        .route("/silent", get(std::future::pending::<()>))
        .route("/slow", get(async || Body::from_stream(slow(20, None))))
        .route("/cut", get(async || Body::from_stream(slow(3, Some("cut")))))
        .route("/stuck", get(async || Body::from_stream(slow(3, None).chain(futures::stream::pending()))))
        .route("/elsewhere", get(async || (StatusCode::FOUND, [("location", "/headers")])))
        .route("/echo", get(echo))
        .route("/flood", get(flood))
        .route("/refuse", get(async || (StatusCode::CONFLICT, Body::from_stream(in_two_pieces()))))
        .route("/refuse-headers", get(refuse_with_headers))
        .route("/wrong-accept", get(wrong_accept))
        .route("/text", get(text_message))
        .route("/ping", get(ping))
        .route("/refuse-long", get(async || (StatusCode::CONFLICT, vec![7_u8; 1_000_000])))
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn endless() -> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    futures::stream::repeat_with(|| Ok(vec![7; 10_000]))
}

/// Yields pieces of 10 bytes, 50 ms apart, and then perhaps an error.
fn slow(pieces: usize, end: Option<&'static str>) -> impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    let pieces = futures::stream::iter(0..pieces).then(async |_| {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Ok(vec![7; 10])
    });
    pieces.chain(futures::stream::iter(end.map(|why| Err(std::io::Error::other(why)))))
}

/// Yields two pieces in separate writes: a client that reads only what came with the head gets half of the body.
fn in_two_pieces() -> impl futures::Stream<Item = Result<&'static [u8], std::io::Error>> {
    futures::stream::iter([b"first ".as_slice(), b"second".as_slice()]).then(async |piece| {
        tokio::task::yield_now().await;
        Ok(piece)
    })
}

async fn echo(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if text(&headers, "x-api-key") != "hxb_key" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            let goodbye = matches!(&message, Message::Binary(blob) if blob.is_empty());
            if goodbye || socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn flood(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        // The other side rejects the message half-way, so the result does not matter.
        let _ = socket.send(Message::Binary(vec![7; 2 * 1024 * 1024].into())).await;
        let _ = socket.recv().await;
    })
}

/// Refuses a live connection with the headers that asked for it.
async fn refuse_with_headers(headers: HeaderMap) -> (StatusCode, String) {
    let names = ["host", "connection", "upgrade", "sec-websocket-version", "x-api-key", "herdlinx-blobs"];
    (StatusCode::CONFLICT, names.map(|name| text(&headers, name)).join(" "))
}

/// Switches to a protocol that is not the one that was asked for.
async fn wrong_accept() -> (StatusCode, [(&'static str, &'static str); 3]) {
    let headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x")];
    (StatusCode::SWITCHING_PROTOCOLS, headers)
}

async fn text_message(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        let _ = socket.send(Message::Text("hello".into())).await;
        let _ = socket.recv().await;
    })
}

async fn ping(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        let _ = socket.send(Message::Ping(b"are you there".as_slice().into())).await;
        let _ = socket.send(Message::Binary(b"blob".as_slice().into())).await;
        let _ = socket.recv().await;
    })
}
