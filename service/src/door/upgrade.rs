//! The upgrade of a request to a WebSocket, with the same error reply, limits and end for every route that has one.
//!
//! Only HTTP/1.1 requests can be upgraded. Over HTTP/2 such a request is told so.
//!
//! A connection ends with the key, token or session that opened it; [`auth`](super::auth) says why.

use super::auth::Access;
use super::reply::ApiError;
use super::serve::connection::{Connection, Permission, SocketPlace};
use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::Version;
use axum::http::request::Parts;
use axum::response::Response;
use herd::change::MAX_CHANGE_BYTES;
use std::future::Future;

/// Subprotocol of every WebSocket. A browser names it beside a key: the server must choose one of those that it is asked
/// for, and must not repeat the key.
pub const PROTOCOL: &str = "herdlinx";

/// Maximum size of a message from a client, and size of each connection's read buffer.
///
/// Clients only report their position and show that they are alive.
pub const CLIENT_MESSAGE_BYTES: usize = 4 * 1024;
/// `Retry-After` for a WebSocket that found no place.
const RETRY_AFTER_S: u32 = 30;
/// Bytes that are buffered before they are written to the network.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Maximum size of a message to a client: a page of the live connection, or an event.
pub const SERVER_MESSAGE_BYTES: usize = 1024 * 1024;

// An event contains the text of a change twice, and JSON needs at most six bytes for one byte of text.
const _: () = assert!(SERVER_MESSAGE_BYTES > 2 * 6 * MAX_CHANGE_BYTES + WRITE_BUFFER_BYTES);

/// An extractor for a request that becomes a WebSocket.
///
/// Any other request is rejected with 400. A route that checks the query first extracts a `Result` of this type.
pub struct Upgrade {
    request: WebSocketUpgrade,
    access: Option<Access>,
    /// Of a session, which has no key.
    permission: Option<Permission>,
    place: Option<SocketPlace>,
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if parts.version == Version::HTTP_2 {
            return Err(ApiError::bad_request("this call is a WebSocket, which opens over HTTP/1.1: use that version"));
        }
        let access = parts.extensions.get::<Access>().cloned();
        let permission = parts.extensions.get::<Permission>().cloned();
        let request = WebSocketUpgrade::from_request_parts(parts, state).await;
        let request = request.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        let place = parts.extensions.get::<Connection>().map(|connection| connection.open_socket().ok_or_else(busy));
        let request = request
            .protocols([PROTOCOL])
            .read_buffer_size(CLIENT_MESSAGE_BYTES)
            .max_message_size(CLIENT_MESSAGE_BYTES)
            .max_frame_size(CLIENT_MESSAGE_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES + SERVER_MESSAGE_BYTES);
        Ok(Self { request, access, permission, place: place.transpose()? })
    }
}

impl Upgrade {
    /// Upgrades the connection and runs `serve` on it. `what` names the connection in the log.
    ///
    /// The connection also ends with the key or session that opened it. It is then cut without a close frame, because
    /// the holder of a revoked key must not receive anything more.
    pub fn serve<F>(self, what: &'static str, serve: impl FnOnce(WebSocket) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { request, access, permission, place } = self;
        request.on_upgrade(async move |socket| {
            let _held_until_the_end = place;
            tokio::select! {
                biased;
                () = access_ended(access, permission) => {
                    tracing::info!("closed {what}: its key, token or session has ended");
                }
                () = serve(socket) => {}
            }
        })
    }
}

fn busy() -> ApiError {
    ApiError::unavailable("busy", "too many WebSockets are open: close some, then ask again", RETRY_AFTER_S)
}

/// Waits until the key, token or session that opened the connection ends; forever if none was needed.
async fn access_ended(access: Option<Access>, permission: Option<Permission>) {
    match (access, permission) {
        (Some(access), _) => access.ended().await,
        (None, Some(permission)) => permission.ended().await,
        (None, None) => std::future::pending().await,
    }
}
