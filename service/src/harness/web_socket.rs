//! A WebSocket in memory, from a test to a router.
//!
//! No bytes go through the kernel, so a paused clock moves only once both sides wait for it.

use axum::Router;
use axum::serve::Listener;
use futures::StreamExt as _;
use herd::wire::blob_kind;
use std::future::pending;
use std::io;
use tokio::io::{DuplexStream, duplex};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Bytes under way in each direction, far less than the messages of a stream.
const PIPE_BYTES: usize = 4 * 1024;

/// The client's end of a WebSocket. It answers pings while it reads.
pub(crate) type ClientSocket = WebSocketStream<DuplexStream>;

/// A listener that accepts one connection.
struct OneConnection(Option<DuplexStream>);

impl Listener for OneConnection {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a WebSocket at `path_and_query` of the routes.
pub(crate) async fn open_socket(routes: Router, path_and_query: &str) -> ClientSocket {
    let (client, server) = duplex(PIPE_BYTES);
    tokio::spawn(async move { axum::serve(OneConnection(Some(server)), routes).await });
    client_async(format!("ws://barn{path_and_query}"), client).await.unwrap().0
}

/// Returns the next message as a short text: a text message as it is, the kind of a blob, `ping`, `pong`, or `close` with
/// its code and reason if it has them.
pub(crate) async fn next_text(socket: &mut ClientSocket) -> String {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        Some(Ok(Message::Binary(blob))) => format!("{:?}", blob_kind(&blob).unwrap()),
        Some(Ok(Message::Ping(_))) => "ping".to_owned(),
        Some(Ok(Message::Pong(_))) => "pong".to_owned(),
        Some(Ok(Message::Close(None))) => "close".to_owned(),
        Some(Ok(Message::Close(Some(frame)))) => format!("close {} {}", u16::from(frame.code), frame.reason),
        other => format!("{other:?}"),
    }
}
