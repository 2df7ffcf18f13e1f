//! The rules that every request and its answer are held to.

use super::*;
use crate::door::reply::{ApiError, Refusal};
use crate::door::serve::observer::{AnswerObserver, ObservedAnswer};
use axum::http::StatusCode;
use axum::routing::post;
use std::sync::Mutex;

fn start_with_refusal() -> TestServer {
    let refuse = async || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "too large");
    start_with(Router::new().route("/refused", post(refuse)))
}

/// Sends bytes over TLS, and returns everything that comes back.
async fn exchange(server: &TestServer, request: &[u8]) -> String {
    let (addr, pin) = (server.running.addr, server.identity.spki_sha256());
    let mut stream = connect(addr, pin, &rustls::version::TLS13).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut reply = Vec::new();
    let _ = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut reply)).await.expect("no end in time");
    String::from_utf8_lossy(&reply).into_owned()
}

/// Catches a request that no proxy would route, and a client of 1996 that is turned away.
#[tokio::test]
async fn http_1_1_needs_its_host_once_and_http_1_0_does_not() {
    let server = start();
    let none = exchange(&server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(none.starts_with("HTTP/1.1 400 ") && none.contains("`Host`"), "{none}");
    let twice = exchange(&server, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n").await;
    assert!(twice.starts_with("HTTP/1.1 400 "), "{twice}");
    let old = exchange(&server, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 ") && old.ends_with("hello 127.0.0.1"), "{old}");
}

/// Keeps path and code of each answer; the code is empty if there is none.
#[derive(Default)]
struct AnswerCodes(Mutex<Vec<(String, &'static str)>>);

impl AnswerObserver for AnswerCodes {
    fn observe(&self, answer: ObservedAnswer<'_>) {
        let code = answer.response.extensions().get::<Refusal>().map_or("", |refusal| refusal.code);
        self.0.lock().unwrap().push((answer.path.to_owned(), code));
    }
}

/// Catches a refusal of the server itself, ahead of all routes, that an observer does not learn of.
#[tokio::test]
async fn an_observer_sees_the_answers_of_routes_and_those_of_the_server_itself() {
    let codes = Arc::new(AnswerCodes::default());
    let refuse = async || ApiError::not_found("none");
    let connections = Connections::observed(codes.clone());
    let server = start_with_connections(Router::new().route("/refused", get(refuse)), connections);
    for request in ["GET /?x=1 HTTP/1.1\r\nHost: a", "GET /refused HTTP/1.1\r\nHost: a", "GET /refused HTTP/1.1"] {
        exchange(&server, format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await;
    }
    let seen: Vec<_> = codes.0.lock().unwrap().clone();
    let seen: Vec<_> = seen.iter().map(|(path, code)| (path.as_str(), *code)).collect();
    assert_eq!(seen, [("/", ""), ("/refused", "not_found"), ("/refused", "bad_request")]);
}

/// Catches a client of HTTP/1.0 whose handshake fails because it names only that.
#[tokio::test]
async fn a_client_that_offers_only_http_1_0_is_served() {
    let server = start();
    let mut config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
    config.alpn_protocols = vec![b"http/1.0".to_vec()];
    let mut stream = begin_tls(TcpStream::connect(server.running.addr).await.unwrap(), config).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.0 200 "), "{reply}");
}

/// Catches a connection that costs more memory than planned.
#[tokio::test]
async fn a_head_above_the_buffer_is_refused() {
    let server = start();
    let wide = format!("GET / HTTP/1.1\r\nHost: barn\r\nX-Wide: {}\r\n\r\n", "x".repeat(HTTP1_BUFFER_BYTES));
    let reply = exchange(&server, wide.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
    let fits = format!("GET / HTTP/1.1\r\nHost: barn\r\nConnection: close\r\nX-Wide: {}\r\n\r\n", "x".repeat(16_000));
    let reply = exchange(&server, fits.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}

/// Catches an answer that a reset of the connection destroys, because nobody read the request's body.
#[tokio::test]
async fn a_refusal_arrives_although_the_route_did_not_read_the_body() {
    let server = start_with_refusal();
    let body = "x".repeat(4_000_000);
    let head =
        format!("POST /refused HTTP/1.1\r\nHost: barn\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let reply = exchange(&server, (head + &body).as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 413 ") && reply.contains("too large"), "{reply}");
}

/// Catches a client that is asked for a body which nobody wants.
#[tokio::test]
async fn a_client_that_waits_for_a_go_ahead_gets_the_refusal_instead() {
    let server = start_with_refusal();
    let head = b"POST /refused HTTP/1.1\r\nHost: barn\r\nExpect: 100-continue\r\nContent-Length: 4000000\r\n\r\n";
    let reply = exchange(&server, head).await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
}

/// Catches a browser that shows a connection error instead of the address that works.
#[tokio::test]
async fn plain_http_is_answered_with_the_https_address() {
    let server = start();
    let mut stream = TcpStream::connect(server.running.addr).await.unwrap();
    stream.write_all(b"POST /x HTTP/1.1\r\nHost: barn.local:5001\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
    let mut reply = String::new();
    let reading = async {
        let mut part = [0; 1_000];
        let length = stream.read(&mut part).await.unwrap();
        reply.push_str(&String::from_utf8_lossy(&part[..length]));
    };
    tokio::time::timeout(TIMEOUT, reading).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 400 ") && reply.contains("https://barn.local:5001"), "{reply}");
}

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;

/// An HTTP/2 connection, frame by frame (RFC 9113, 4.1).
struct Frames(TlsStream<TcpStream>);

impl Frames {
    async fn open(server: &TestServer) -> Self {
        let mut config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut stream = begin_tls(TcpStream::connect(server.running.addr).await.unwrap(), config).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        Self(stream)
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// Returns the kind, the flags and the payload of the next frame.
    async fn next(&mut self) -> (u8, u8, Vec<u8>) {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            (head[3], head[4], payload)
        };
        tokio::time::timeout(TIMEOUT, reading).await.expect("no frame in time")
    }

    /// Waits until the server has read everything that was sent. Returns the other frames until then.
    async fn settle(&mut self) -> Vec<(u8, u8, Vec<u8>)> {
        self.send(PING, 0, 0, b"settling").await;
        let mut others = Vec::new();
        loop {
            match self.next().await {
                (PING, _, payload) if payload == b"settling" => return others,
                other => others.push(other),
            }
        }
    }
}

/// Catches a peer that may open streams, send headers or fill windows beyond the memory that is planned for it.
#[tokio::test]
async fn an_http_2_peer_is_told_the_limits() {
    let server = start();
    let mut frames = Frames::open(&server).await;
    let (kind, _, payload) = frames.next().await;
    assert_eq!(kind, SETTINGS);
    let settings: Vec<_> = payload
        .chunks(6)
        .map(|entry| (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes(entry[2..].try_into().unwrap())))
        .collect();
    // Streams, window of a stream, and headers (RFC 9113, 6.5.2).
    for setting in [(3, 32), (4, 524_288), (6, 16_384)] {
        assert!(settings.contains(&setting), "{setting:?}: {settings:?}");
    }
    // The window of the connection begins with 65,535 bytes.
    let update = (WINDOW_UPDATE, 0, (524_288_u32 - 65_535).to_be_bytes().to_vec());
    let others = frames.settle().await;
    assert!(others.contains(&update), "{others:?}");
}

/// Catches an answer over HTTP/2 that common clients lose, because the stream is reset while they send the body.
#[tokio::test]
async fn over_http_2_a_refusal_comes_after_the_body_and_without_a_reset() {
    let server = start_with_refusal();
    let mut frames = Frames::open(&server).await;
    // POST /refused, whose body follows.
    frames.send(1, 4, 1, b"\x83\x87\x04\x08/refused\x01\x07barn:80").await;
    for _ in 0..10 {
        assert!(frames.settle().await.iter().all(|(kind, ..)| *kind != RST_STREAM), "reset before the body");
    }
    frames.send(DATA, 0, 1, &[b'x'; 1_000]).await;
    frames.send(DATA, END_STREAM, 1, &[b'x'; 1_000]).await;
    let mut answer = Vec::new();
    loop {
        let (kind, flags, payload) = frames.next().await;
        assert_ne!(kind, RST_STREAM);
        if kind == DATA {
            answer.extend(payload);
            if flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert!(String::from_utf8_lossy(&answer).contains("payload_too_large"));
    assert!(frames.settle().await.iter().all(|(kind, ..)| *kind != RST_STREAM), "reset after the answer");
}
