//! Requests that become a WebSocket, and how it ends.

use super::*;
use crate::door::auth::require;
use crate::door::keys::{KeyRing, Scope};
use crate::door::upgrade::Upgrade;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket};
use axum::http::{StatusCode, Version};
use tower::ServiceExt as _;

/// A route whose WebSocket answers each message with its length.
fn lengths() -> Router {
    let serve = async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let _ = socket.send(Message::Text(message.into_data().len().to_string().into())).await;
        }
    };
    Router::new().route("/lengths", get(async move |upgrade: Upgrade| upgrade.serve("a test", serve)))
}

async fn open(server: &TestServer, key: &str) -> TlsStream<TcpStream> {
    let (addr, pin) = (server.running.addr, server.identity.spki_sha256());
    let mut stream = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    let head = format!(
        "GET /lengths HTTP/1.1\r\nHost: barn\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-API-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: herdlinx\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        reply.push(tokio::time::timeout(TIMEOUT, stream.read_u8()).await.unwrap().unwrap());
    }
    let reply = String::from_utf8(reply).unwrap().to_lowercase();
    assert!(reply.starts_with("http/1.1 101 ") && reply.contains("sec-websocket-protocol: herdlinx\r\n"), "{reply}");
    stream
}

/// Sends a text of a length and returns the answer; `None` if the server ends the connection instead.
async fn send(stream: &mut TlsStream<TcpStream>, length: u16) -> Option<String> {
    // A final text frame whose length follows in 16 bits, masked with zeros (RFC 6455, 5.2).
    let frame = [&[0x81, 0x80 | 0x7e][..], &length.to_be_bytes(), &[0; 4], &vec![b'x'; length.into()]].concat();
    stream.write_all(&frame).await.ok()?;
    let reading = async {
        let [kind, length] = stream.read_u16().await.ok()?.to_be_bytes();
        let mut text = vec![0; length.into()];
        stream.read_exact(&mut text).await.ok()?;
        (kind == 0x81).then(|| String::from_utf8(text).unwrap())
    };
    tokio::time::timeout(TIMEOUT, reading).await.expect("no answer in time")
}

/// Catches a message of a client that costs more memory than planned, and one that is refused although it fits.
#[tokio::test]
async fn a_message_of_4_kib_is_the_longest_that_a_client_may_send() {
    let server = start_with(lengths());
    let mut stream = open(&server, "").await;
    assert_eq!(send(&mut stream, 200).await.as_deref(), Some("200"));
    assert_eq!(send(&mut stream, 4_096).await.as_deref(), Some("4096"));
    assert_eq!(send(&mut stream, 4_097).await, None);
}

/// Catches an office that is fed over a connection from before its key was revoked.
#[tokio::test]
async fn a_websocket_ends_with_the_key_that_opened_it() {
    let yard = tempfile::tempdir().unwrap();
    let file = herd::store::LocalFile::open(yard.path().join("local.redb")).unwrap();
    let clock = Arc::new(herd::clock::SystemClock::default());
    let keys = Arc::new(KeyRing::load(file, clock, herd::randomness::SeededRandomness::new(1)).unwrap());
    let mut add = ["stays", "goes"].map(|name| keys.add(name, [Scope::Sync].into()).unwrap()).into_iter();
    let server = start_with(require(keys.clone(), Scope::Sync).protect(lengths()));
    let mut stays = open(&server, add.next().unwrap().reveal()).await;
    let mut goes = open(&server, add.next().unwrap().reveal()).await;
    assert_eq!(send(&mut goes, 200).await.as_deref(), Some("200"));
    keys.revoke("goes").unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(TIMEOUT, goes.read_to_end(&mut rest)).await.expect("it is open");
    assert!(rest.is_empty(), "cut without another word: {rest:?}");
    assert_eq!(send(&mut stays, 200).await.as_deref(), Some("200"));
}

/// Catches a request over HTTP/2 whose refusal does not say what to do.
#[tokio::test]
async fn a_request_that_cannot_be_upgraded_is_400_and_told_why() {
    for (version, reason) in [(Version::HTTP_2, "HTTP/1.1"), (Version::HTTP_11, "upgrade")] {
        let request = Request::get("/lengths").version(version).body(Body::empty()).unwrap();
        let response = lengths().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains(reason), "{version:?}: {body:?}");
    }
}
