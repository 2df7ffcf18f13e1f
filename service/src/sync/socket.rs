//! The server's end of a WebSocket as a [`LiveChannel`].

use super::link::{LinkError, LiveChannel};
use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures::SinkExt as _;

pub(super) struct Socket(WebSocket);

impl Socket {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self(socket)
    }
}

fn broken<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> LinkError {
    move |why| LinkError::Broken { peer: "the follower".to_owned(), doing, why: why.to_string() }
}

impl LiveChannel for Socket {
    async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
        self.0.send(Message::Binary(blob)).await.map_err(broken("sending"))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
        loop {
            match self.0.recv().await {
                None | Some(Ok(Message::Close(_))) => return Ok(None),
                Some(Ok(Message::Binary(blob))) => return Ok(Some(blob)),
                // The WebSocket answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => return Err(broken("receiving")("a text message instead of a blob")),
                Some(Err(error)) => return Err(broken("receiving")(error)),
            }
        }
    }

    async fn close(&mut self) {
        // Sends a close frame, or the answer to that of the follower. One that is gone needs none.
        let _ = self.0.close().await;
    }
}
