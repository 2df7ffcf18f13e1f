//! The live connection: a WebSocket over its own TLS connection.

use super::KEY_HEADER;
use super::address::Address;
use super::dial::Connection;
use super::exchange::{Exchange, read_body};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use service::sync::link::{EXTRA_BLOBS_HEADER, ExtraBlobs, LinkError, LinkResponse, LiveChannel, LiveResponse};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// The step that errors name.
pub(super) const OPENING: &str = "opening the live connection";
/// Maximum length of a message. Pages on the live connection hold at most 256 KiB of changes.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Maximum length of a response that refuses the connection.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// Timeout for the network to accept a message, in milliseconds; after it the connection counts as broken.
const SEND_TIMEOUT_MS: u64 = 15_000;
/// Timeout for the closing handshake, in milliseconds.
const CLOSE_TIMEOUT_MS: u64 = 1_000;

/// An open live connection.
#[derive(Debug)]
pub struct HttpsChannel {
    socket: WebSocketStream<Connection>,
    peer: String,
}

/// Opens a WebSocket at `path_and_query` over `connection`.
pub(super) async fn open(
    address: &Address,
    connection: Connection,
    path_and_query: &str,
    key: &HeaderValue,
) -> Result<LiveResponse<HttpsChannel>, LinkError> {
    let peer = address.to_string();
    let broken = |why: String| LinkError::Broken { peer: peer.clone(), doing: OPENING, why };
    let mut exchange = Exchange::over(connection).await.map_err(|error| broken(error.to_string()))?;
    let nonce = generate_key();
    let request = request(&address.authority(), &address.path_to(path_and_query), key, &nonce)
        .map_err(|error| broken(error.to_string()))?;
    let response = exchange.send(request).await.map_err(|error| broken(error.to_string()))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return refusal(&peer, response).await.map(LiveResponse::Refused);
    }
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted != Some(derive_accept_key(nonce.as_bytes()).as_bytes()) {
        return Err(broken("it switched to a protocol other than WebSocket".into()));
    }
    let socket = into_websocket(response).await.map_err(broken)?;
    Ok(LiveResponse::Open(HttpsChannel { socket, peer }))
}

fn request(
    host: &str,
    path_and_query: &str,
    key: &HeaderValue,
    nonce: &str,
) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    Request::get(path_and_query)
        .header(HOST, host)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, nonce)
        .header(KEY_HEADER, key)
        .header(EXTRA_BLOBS_HEADER, ExtraBlobs::ALL_TEXT)
        .body(Empty::new())
}

async fn refusal(peer: &str, response: Response<Incoming>) -> Result<LinkResponse, LinkError> {
    let status = response.status().as_u16();
    Ok(LinkResponse::whole(status, read_body(peer, OPENING, response, MAX_REFUSAL_BYTES).await?))
}

/// Takes the connection out of the HTTP exchange and returns it as a WebSocket.
async fn into_websocket(response: Response<Incoming>) -> Result<WebSocketStream<Connection>, String> {
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| error.to_string())?;
    let parts = upgraded
        .downcast::<TokioIo<Connection>>()
        .map_err(|_| "the connection was lost during the switch".to_owned())?;
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    let early = parts.read_buf.to_vec();
    Ok(WebSocketStream::from_partially_read(parts.io.into_inner(), early, Role::Client, Some(config)).await)
}

impl HttpsChannel {
    fn failed(&self, doing: &'static str, error: &SocketError) -> LinkError {
        match error {
            SocketError::Capacity(_) => LinkError::TooLong { peer: self.peer.clone(), limit_bytes: MAX_MESSAGE_BYTES },
            error => LinkError::Broken { peer: self.peer.clone(), doing, why: error.to_string() },
        }
    }
}

impl LiveChannel for HttpsChannel {
    async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
        let doing = "sending on the live connection";
        match timeout(Duration::from_millis(SEND_TIMEOUT_MS), self.socket.send(Message::Binary(blob))).await {
            Ok(sent) => sent.map_err(|error| self.failed(doing, &error)),
            Err(_) => Err(LinkError::TimedOut { peer: self.peer.clone(), doing, after_ms: SEND_TIMEOUT_MS }),
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        let doing = "waiting on the live connection";
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(blob))) => return Ok(Some(blob)),
                Some(Ok(Message::Close(_)) | Err(SocketError::ConnectionClosed)) | None => return Ok(None),
                // The socket answers pings itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    let why = "it sent a text message instead of a blob".to_owned();
                    return Err(LinkError::Broken { peer: self.peer.clone(), doing, why });
                }
                Some(Err(error)) => return Err(self.failed(doing, &error)),
            }
        }
    }

    fn last_byte_at(&self) -> Option<Instant> {
        Some(self.socket.get_ref().get_ref().0.last_byte_at())
    }

    async fn close(&mut self) {
        // A failed closing handshake does no harm: the other side sees the connection end.
        match timeout(Duration::from_millis(CLOSE_TIMEOUT_MS), self.socket.close(None)).await {
            Ok(Ok(()) | Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed)) => {}
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "the live connection did not close cleanly"),
            Err(_) => tracing::debug!(peer = %self.peer, "the live connection did not close in time"),
        }
    }
}
