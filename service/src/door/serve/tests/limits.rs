//! The limits on connections, and the deadlines of those without a key.

use super::super::cap::Cap;
use super::super::connection::UNAUTHENTICATED_IDLE_TIMEOUT;
use super::super::connections::{Connections, Limits, MAX_READERS_PER_PEER, MAX_READS, MAX_SOCKETS, PEER_SHARE};
use super::super::turns::in_turns;
use super::*;
use axum::body::Body;
use axum::http::Request;
use std::net::{IpAddr, Ipv4Addr};
use tower::ServiceExt as _;

fn peer(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, 1, last).into()
}

/// Catches a peer that takes all connections, and a limit that is never free again.
#[test]
fn a_peer_is_refused_above_its_limit_and_others_are_not() {
    let connections = Connections::with(Limits { total: 8, per_peer: 2, unauthenticated: 8 }, None);
    let mut of_first: Vec<_> = (0..2).map(|_| connections.admit(peer(1)).unwrap()).collect();
    assert_eq!(connections.admit(peer(1)).unwrap_err(), Cap::PeerConnections);
    assert_eq!(connections.admit("::ffff:192.168.1.1".parse().unwrap()).unwrap_err(), Cap::PeerConnections);
    connections.admit(peer(2)).unwrap();
    of_first.pop();
    connections.admit(peer(1)).unwrap();
}

/// Catches a limit that a machine avoids by another address of its own network.
#[test]
fn the_addresses_of_an_ipv6_network_are_one_peer() {
    let connections = Connections::with(Limits { total: 8, per_peer: 1, unauthenticated: 8 }, None);
    let _first = connections.admit("2001:db8::1".parse().unwrap()).unwrap();
    assert!(connections.admit("2001:db8::ffff:1".parse().unwrap()).is_err());
    assert!(connections.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
}

/// Catches a flood that keeps others out, or that ends the connections of those who have a key.
#[tokio::test]
async fn a_new_connection_replaces_the_oldest_without_a_key_of_the_peer_that_has_most() {
    let connections = Connections::with(Limits { total: 8, per_peer: 8, unauthenticated: 3 }, None);
    let with_key = connections.admit(peer(1)).unwrap();
    assert!(futures::poll!(Box::pin(connections.all_closed())).is_pending());
    with_key.connection.authenticate();
    let honest = connections.admit(peer(2)).unwrap();
    let flood = [connections.admit(peer(3)).unwrap(), connections.admit(peer(3)).unwrap()];
    let newcomer = connections.admit(peer(4)).unwrap();
    flood[0].connection.closed().await;
    let counts = connections.counts();
    assert_eq!((counts.authenticated, counts.unauthenticated), (1, 3));
    assert_eq!(counts.caps[Cap::Unauthenticated as usize], 1);
    drop((with_key, honest, flood, newcomer));
    connections.all_closed().await;
}

/// Catches a server that is full of keys and ends one of them for a stranger.
#[test]
fn a_server_full_of_keys_refuses_and_replaces_nobody() {
    let connections = Connections::with(Limits { total: 2, per_peer: 2, unauthenticated: 2 }, None);
    let full = [connections.admit(peer(1)).unwrap(), connections.admit(peer(1)).unwrap()];
    for admitted in &full {
        admitted.connection.authenticate();
    }
    assert_eq!(connections.admit(peer(2)).unwrap_err(), Cap::AllConnections);
}

/// Catches a limit that is exceeded, a connection that counts for ever, and an answer that waits for a full packet.
#[tokio::test]
async fn an_accepted_connection_counts_until_it_is_dropped_and_sends_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Connections::with(Limits { total: 8, per_peer: 1, unauthenticated: 8 }, None);
    let acceptor = ConnectionAcceptor { connections: connections.clone() };
    let open = async || {
        let (_peer, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        acceptor.admit(accepted.unwrap().0)
    };
    let first = open().await.unwrap();
    assert!(first.stream.nodelay().unwrap());
    assert!(open().await.is_err());
    assert_eq!(connections.counts().caps[Cap::PeerConnections as usize], 1);
    drop(first);
    open().await.unwrap();
}

/// Catches a peer that waits for the end of an answer until the server lets the connection go.
#[tokio::test]
async fn the_end_of_an_answer_reaches_the_peer_of_a_connection_that_is_still_held() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let acceptor = ConnectionAcceptor { connections: Connections::default() };
    let mut held = acceptor.admit(listener.accept().await.unwrap().0).unwrap();
    held.write_all(b"that is all").await.unwrap();
    held.shutdown().await.unwrap();
    let mut heard = String::new();
    let reading = tokio::time::timeout(TIMEOUT, peer.read_to_string(&mut heard)).await;
    assert!(reading.is_ok_and(|read| read.is_ok()) && heard == "that is all", "{heard}");
    drop(held);
}

/// Catches a peer that holds a connection for as long as it wants without ever showing a key.
#[tokio::test]
async fn an_idle_connection_without_a_key_is_closed_and_one_with_a_key_or_a_request_is_not() {
    let server = start();
    let connect = async || {
        let mut config = client(server.identity.spki_sha256(), &rustls::version::TLS13);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut stream = begin_tls(TcpStream::connect(server.running.addr).await.unwrap(), config).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        stream
    };
    // GET / and GET /never on HTTP/2, in the static table of HPACK (RFC 7541, appendix A) as far as it goes.
    let get_page = b"\0\0\x0c\x01\x05\0\0\0\x01\x82\x87\x84\x01\x07barn:80";
    let get_never = b"\0\0\x13\x01\x05\0\0\0\x01\x82\x87\x04\x06/never\x01\x07barn:80";
    let mut idle = connect().await;
    idle.write_all(get_page).await.unwrap();
    let mut waiting = connect().await;
    waiting.write_all(get_never).await.unwrap();
    tokio::time::timeout(TIMEOUT, server.hanging.notified()).await.unwrap();
    tokio::time::pause();
    let closed = tokio::time::timeout(UNAUTHENTICATED_IDLE_TIMEOUT * 2, idle.read_to_end(&mut Vec::new())).await;
    assert!(closed.is_ok(), "the idle connection is open");
    assert_eq!(server.connections.counts().caps[Cap::Idle as usize], 1);
    assert_eq!(server.connections.counts().unauthenticated, 1, "the request in progress goes on");
}

/// Catches WebSocket connections without a limit, and places that are never free again.
#[test]
fn sockets_are_limited_for_a_peer_and_for_all() {
    let connections = Connections::default();
    let first = connections.admit(peer(1)).unwrap();
    let second = connections.admit(peer(2)).unwrap();
    let mut places: Vec<_> = (0..MAX_SOCKETS / PEER_SHARE).map(|_| first.connection.open_socket().unwrap()).collect();
    assert!(first.connection.open_socket().is_none());
    places.extend((MAX_SOCKETS / PEER_SHARE..MAX_SOCKETS).map(|_| second.connection.open_socket().unwrap()));
    let third = connections.admit(peer(3)).unwrap();
    assert!(third.connection.open_socket().is_none());
    places.truncate(1);
    assert!(third.connection.open_socket().is_some());
    assert_eq!(connections.counts().caps[Cap::Sockets as usize], 2);
}

/// Catches calls of one peer that take all turns, or wait in a queue without a limit.
#[tokio::test]
async fn a_peer_reads_in_turns_and_another_one_waits_for_none_of_its_queue() {
    let connections = Connections::default();
    let first = connections.admit(peer(1)).unwrap();
    let second = connections.admit(peer(2)).unwrap();
    let mut turns = Vec::new();
    for _ in 0..MAX_READS / PEER_SHARE {
        turns.push(first.connection.read_turn().await.unwrap());
    }
    let rest = turns.len()..MAX_READERS_PER_PEER;
    let mut waiting: Vec<_> = rest.map(|_| Box::pin(first.connection.read_turn())).collect();
    for turn in &mut waiting {
        assert!(futures::poll!(turn).is_pending());
    }
    let pages = in_turns(Router::new().route("/", get(async || "page")));
    let answer = async |request: axum::http::request::Builder| {
        let (head, body) = pages.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        (head.status.as_u16(), axum::body::to_bytes(body, 1_000).await.unwrap())
    };
    let of_first = Request::get("/").extension(first.connection.clone());
    assert_eq!(answer(of_first).await.0, 503, "the queue of the peer is full");
    assert_eq!(connections.counts().caps[Cap::Readers as usize], 1);
    let page = (200, "page".into());
    assert_eq!(answer(Request::get("/").extension(second.connection.clone())).await, page);
    assert_eq!(answer(Request::get("/")).await, page, "without a server there are no turns");
    let of_second = tokio::time::timeout(TIMEOUT, second.connection.read_turn()).await;
    assert!(of_second.is_ok_and(|turn| turn.is_some()));
    drop(turns);
    for turn in waiting {
        assert!(tokio::time::timeout(TIMEOUT, turn).await.unwrap().is_some());
    }
}
