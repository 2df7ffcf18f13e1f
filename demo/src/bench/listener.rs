//! A listener to the events of the office, which are sent once the office's tables show their change.

use super::BenchError;
use crate::processes::Office;
use anyhow::Context as _;
use futures::StreamExt as _;
use herd::position::Sequence;
use mirror::link::{Trust, client};
use reqwest::Upgraded;
use serde::Deserialize;
use service::events::EVENTS_PATH;
use service::harness::TIMEOUT;
use std::time::Instant;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Event that shows the verdict about a payload.
const PROCESSED: &str = "payload:processed";

/// An open event stream.
#[derive(Debug)]
pub struct Listener {
    socket: WebSocketStream<Upgraded>,
    /// Last change whose events had been sent when the stream began, or one that was waited for since.
    pub at: Sequence,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    sequence: u64,
}

impl Listener {
    /// Opens an event stream of the office.
    pub async fn connect(office: &Office) -> Result<Self, BenchError> {
        let key = office.key("listener", &["read"])?;
        let request = client(&Trust::Pin(office.spki_sha256()?))?
            .get(format!("https://{}{EVENTS_PATH}", office.address()))
            .header("X-API-Key", key)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key());
        let answer = request.timeout(TIMEOUT).send().await?;
        anyhow::ensure!(answer.status() == 101, "the office refused the event stream: {}", answer.status());
        let socket = WebSocketStream::from_raw_socket(answer.upgrade().await?, Role::Client, None).await;
        let mut listener = Self { socket, at: Sequence::ZERO };
        let (hello, _) = listener.next().await?;
        listener.at = Sequence(hello.sequence);
        Ok(listener)
    }

    /// Waits until the office shows the payload `sequence`, and returns the time of that.
    pub async fn wait_for_payload(&mut self, sequence: Sequence) -> Result<Instant, BenchError> {
        loop {
            let (event, arrival) = self.next().await?;
            if event.event == PROCESSED && event.sequence >= sequence.0 {
                self.at = Sequence(event.sequence);
                return Ok(arrival);
            }
        }
    }

    /// Returns the next event and the time of its arrival.
    async fn next(&mut self) -> Result<(Event, Instant), BenchError> {
        loop {
            let message = timeout(TIMEOUT, self.socket.next()).await;
            let message = message.with_context(|| format!("no event arrived within {TIMEOUT:?}"))?;
            let arrival = Instant::now();
            // Other messages are pings, which the socket answers itself.
            if let Message::Text(text) = message.context("the office closed the event stream")?? {
                return Ok((serde_json::from_str(&text)?, arrival));
            }
        }
    }
}
