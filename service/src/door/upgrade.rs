//! From a request to a WebSocket: one refusal, one set of bounds and one end for every route that has one.
//!
//! HTTP/1.1 only: over HTTP/2 such a request is refused like any other that is no upgrade.

use super::auth::Access;
use super::reply::ApiError;
use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::response::Response;
use herd::change::MAX_CHANGE_BYTES;
use std::future::Future;

/// The longest message that a client may send: it says where it stands and shows that it is alive, no more. Also what
/// is set aside for reading of each connection.
pub const CLIENT_MESSAGE_BYTES: usize = 4 * 1024;
/// So much is gathered before it is written to the network.
const GATHERED_BYTES: usize = 16 * 1024;
/// The longest message that is sent to a client: a page of the live connection, or an event.
pub const SERVER_MESSAGE_BYTES: usize = 1024 * 1024;

// An event tells the text of a change twice, and JSON has at most six bytes for one of a text.
const _: () = assert!(SERVER_MESSAGE_BYTES > 2 * 6 * MAX_CHANGE_BYTES + GATHERED_BYTES);

/// A request that becomes a WebSocket. One that does not is 400; where the query is to be judged first, extract a
/// `Result` of it.
pub struct Upgrade {
    upgrade: WebSocketUpgrade,
    access: Option<Access>,
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let access = parts.extensions.get::<Access>().cloned();
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        let upgrade = upgrade.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        let upgrade = upgrade
            .read_buffer_size(CLIENT_MESSAGE_BYTES)
            .max_message_size(CLIENT_MESSAGE_BYTES)
            .max_frame_size(CLIENT_MESSAGE_BYTES)
            .write_buffer_size(GATHERED_BYTES)
            .max_write_buffer_size(GATHERED_BYTES + SERVER_MESSAGE_BYTES);
        Ok(Self { upgrade, access })
    }
}

impl Upgrade {
    /// Answers the request and runs `serve` on the connection, which it ends. The connection ends with the key that
    /// opened it, too: then it is cut without a goodbye, as whoever holds a revoked key is told nothing more.
    pub fn serve<F>(self, what: &'static str, serve: impl FnOnce(WebSocket) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { upgrade, access } = self;
        upgrade.on_upgrade(async move |socket| {
            tokio::select! {
                biased;
                () = revoked(access.as_ref()) => tracing::info!("{what} ended with its key"),
                () = serve(socket) => {}
            }
        })
    }
}

/// Returns when the key that opened the connection is revoked; never where none was needed.
async fn revoked(access: Option<&Access>) {
    match access {
        Some(access) => access.ended().await,
        None => std::future::pending().await,
    }
}
