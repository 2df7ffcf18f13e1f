//! Answers that a peer does not take, and their room in memory.

use super::super::cap::Cap;
use super::super::connection::{ANSWER_TIMEOUT, Permission};
use super::super::connections::{ANSWER_BYTES, PEER_SHARE};
use super::*;
use axum::body::{Body, Bytes};
use axum::response::IntoResponse as _;
use std::future::ready;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpSocket;

/// Size of an answer that the buffers of the network do not hold: two of them fill the room of a peer.
const LARGE_BYTES: usize = ANSWER_BYTES / PEER_SHARE / 2;

fn start_with_large_answers() -> TestServer {
    let page = Bytes::from(vec![b'x'; LARGE_BYTES]);
    let part = page.clone();
    let stream = move || {
        let parts = std::iter::repeat_n(part.clone(), 20).map(Ok::<_, io::Error>);
        ready(Body::from_stream(futures::stream::iter(parts)))
    };
    let whole = move || ready(page.clone());
    start_with(Router::new().route("/large", get(whole)).route("/stream", get(stream)))
}

/// Connects from this address of loopback, and asks for a path.
async fn ask(server: &TestServer, from: u8, path: &str) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).unwrap();
    let config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
    let mut stream = begin_tls(socket.connect(server.running.addr).await.unwrap(), config).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: barn\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_to_end(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut reply = Vec::new();
    let _ = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut reply)).await.expect("no end in time");
    reply
}

async fn wait_for_bytes(server: &TestServer, wanted: impl Fn(usize) -> bool) {
    let reached = crate::harness::wait_until("the bytes of waiting answers", async || {
        wanted(server.connections.counts().answer_bytes).then_some(())
    });
    reached.await.unwrap();
}

/// Catches a wrapper that changes, cuts or reorders an answer, and room that is never given back.
#[tokio::test]
async fn large_answers_and_streams_arrive_whole_and_give_their_room_back() {
    let server = start_with_large_answers();
    for (path, bytes) in [("/large", LARGE_BYTES), ("/stream", 20 * LARGE_BYTES)] {
        let reply = read_to_end(&mut ask(&server, 1, path).await).await;
        assert!(reply.len() > bytes, "{path}: {} bytes", reply.len());
    }
    let head = read_to_end(&mut ask(&server, 1, "/large").await).await;
    let head = String::from_utf8_lossy(&head[..400]).to_lowercase();
    assert!(head.contains(&format!("content-length: {LARGE_BYTES}\r\n")), "{head}");
    assert!(head.contains("cache-control: no-store") && head.contains("x-content-type-options: nosniff"), "{head}");
    wait_for_bytes(&server, |bytes| bytes == 0).await;
}

/// Catches peers that together take all memory, and one that takes the room of the others.
#[tokio::test]
async fn answers_that_nobody_takes_fill_the_room_of_their_peer_and_not_that_of_others() {
    let server = start_with_large_answers();
    let mut hostile = Vec::new();
    for _ in 0..2 {
        hostile.push(ask(&server, 1, "/large").await);
    }
    wait_for_bytes(&server, |bytes| bytes == 2 * LARGE_BYTES).await;
    let refused = read_to_end(&mut ask(&server, 1, "/large").await).await;
    assert!(refused.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&refused));
    assert_eq!(server.connections.counts().caps[Cap::AnswerBytes as usize], 1);
    for path in ["/stream", "/stream", "/stream"] {
        hostile.push(ask(&server, 1, path).await);
    }
    let honest = read_to_end(&mut ask(&server, 2, "/large").await).await;
    assert!(honest.starts_with(b"HTTP/1.1 200 ") && honest.len() > LARGE_BYTES);
    assert!(server.connections.counts().answer_bytes <= ANSWER_BYTES);
}

/// Catches an export of which the holder of a revoked key gets another part.
#[tokio::test]
async fn an_answer_that_lost_its_permission_is_cut_before_its_next_part() {
    let (parts, stream) = futures::channel::mpsc::unbounded::<io::Result<Bytes>>();
    let stream = std::sync::Mutex::new(Some(stream));
    let permitted = Arc::new(AtomicBool::new(true));
    let is_valid = permitted.clone();
    let export = move || {
        let stream = stream.lock().unwrap().take().unwrap();
        let is_valid = is_valid.clone();
        let mut response = Body::from_stream(stream).into_response();
        response.extensions_mut().insert(Permission::new(move || is_valid.load(Ordering::Relaxed)));
        ready(response)
    };
    let export = Arc::new(export);
    let server = start_with(Router::new().route("/export", get(move || export())));
    parts.unbounded_send(Ok("first part".into())).unwrap();
    let mut stream = ask(&server, 1, "/export").await;
    let mut reply = Vec::new();
    while !String::from_utf8_lossy(&reply).contains("first part") {
        reply.push(tokio::time::timeout(TIMEOUT, stream.read_u8()).await.unwrap().unwrap());
    }
    permitted.store(false, Ordering::Relaxed);
    parts.unbounded_send(Ok("second part".into())).unwrap();
    let rest = read_to_end(&mut stream).await;
    assert!(!String::from_utf8_lossy(&rest).contains("second"), "{}", String::from_utf8_lossy(&rest));
}

/// Catches a peer that holds an answer in memory for ever.
#[tokio::test]
async fn a_connection_whose_answer_is_not_taken_is_closed() {
    let server = start_with_large_answers();
    let _hostile = [ask(&server, 1, "/large").await, ask(&server, 2, "/stream").await];
    wait_for_bytes(&server, |bytes| bytes == 2 * LARGE_BYTES).await;
    tokio::time::pause();
    let closed = async {
        while server.connections.counts().answer_bytes > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(ANSWER_TIMEOUT * 2, closed).await.expect("the answers are held for ever");
    assert_eq!(server.connections.counts().caps[Cap::AnswerTime as usize], 2);
}

/// Reads frames of HTTP/2 (RFC 9113) until the connection is closed, and answers pings.
async fn answer_pings(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    const HEAD_BYTES: usize = 9;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    loop {
        let mut frame = vec![0; HEAD_BYTES];
        stream.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
        frame.resize(HEAD_BYTES + length, 0);
        stream.read_exact(&mut frame[HEAD_BYTES..]).await?;
        if (frame[3], frame[4]) == (PING, 0) {
            frame[4] = ACK;
            stream.write_all(&frame).await?;
        }
    }
}

/// Catches an answer that is held for ever on HTTP/2, for a peer that replies to pings and never opens its window. The
/// deadline begins when hyper polls the body. One that waited for the window first would never begin it.
#[tokio::test]
async fn an_answer_on_http_2_is_not_held_for_a_peer_that_opens_no_window() {
    let server = start_with_large_answers();
    let mut config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = begin_tls(TcpStream::connect(server.running.addr).await.unwrap(), config).await.unwrap();
    // SETTINGS with INITIAL_WINDOW_SIZE 0.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0").await.unwrap();
    // GET /large and GET /stream, in the static table of HPACK (RFC 7541, appendix A) as far as it goes.
    stream.write_all(b"\0\0\x13\x01\x05\0\0\0\x01\x82\x87\x04\x06/large\x01\x07barn:80").await.unwrap();
    stream.write_all(b"\0\0\x14\x01\x05\0\0\0\x03\x82\x87\x04\x07/stream\x01\x07barn:80").await.unwrap();
    wait_for_bytes(&server, |bytes| bytes == 2 * LARGE_BYTES).await;
    tokio::time::pause();
    let closed = tokio::time::timeout(ANSWER_TIMEOUT * 2, answer_pings(&mut stream)).await;
    assert!(closed.is_ok(), "the answers are held for ever");
    wait_for_bytes(&server, |bytes| bytes == 0).await;
    assert_eq!(server.connections.counts().caps[Cap::AnswerTime as usize], 1);
}
