//! One listener, while it is connected.

use super::notice::{Notice, notices_of};
use crate::lifecycle::Shutdown;
use crate::sync::Deliveries;
use crate::sync::live::{HEARTBEAT, SILENCE};
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures::SinkExt as _;
use herd::position::{Position, Sequence};
use herd::store::{Head, Reader, StoreError};
use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// A listener that was at the head once and is so many changes behind it is too slow: what it shows is no news.
pub const BEHIND_CHANGES: u64 = 10_000;
/// A message that the network does not take within this time ends the connection: the listener is too slow.
pub const SEND_WITHIN: Duration = SILENCE;
/// So many changes are read from the log at once ...
const PAGE_CHANGES: usize = 100;
/// ... and so many bytes of them, but at least one change.
const PAGE_BYTES: usize = 64 * 1024;
/// The goodbye is a courtesy: so long the network has to take it. A listener that is too slow gets as long as for a
/// message: what it must be told waits behind all that it has not read.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection for events ended.
#[derive(Debug, thiserror::Error)]
pub enum EventsEnd {
    /// The listener closed it.
    #[error("closed by the listener")]
    Closed,
    /// This process stops.
    #[error("this process stops")]
    Stopping,
    /// The history told here was replaced by a new copy.
    #[error("the copy was replaced: connect again")]
    Replaced,
    /// The listener said something.
    #[error("nothing is taken here: this connection only tells")]
    Spoke,
    /// The listener did not take what was sent, or did not answer.
    #[error("too slow: ask again with after={told}")]
    TooSlow {
        /// The last change of which everything was told.
        told: Sequence,
    },
    /// The network.
    #[error("the connection broke: {0}")]
    Broken(#[from] axum::Error),
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
}

impl EventsEnd {
    /// What the listener is told, and how long that may take; at most 123 bytes of text (RFC 6455 section 5.5), and
    /// nothing of the inside.
    fn goodbye(&self) -> Option<(Duration, CloseFrame)> {
        let (within, code) = match self {
            Self::Closed | Self::Broken(_) => return None,
            Self::Stopping => (GOODBYE, close_code::AWAY),
            Self::Replaced => (GOODBYE, close_code::RESTART),
            Self::Spoke => (GOODBYE, close_code::UNSUPPORTED),
            Self::TooSlow { .. } => (SEND_WITHIN, close_code::AGAIN),
            Self::Store(_) => (GOODBYE, close_code::ERROR),
        };
        let reason = match self {
            Self::Store(_) => "the store cannot be read at the moment".into(),
            told => told.to_string().into(),
        };
        Some((within, CloseFrame { code, reason }))
    }
}

struct Teller<'a> {
    socket: &'a mut WebSocket,
    deliveries: &'a Deliveries,
    reader: Reader,
    /// Where the log is read on.
    at: Position,
    /// The last change of which everything was handed to the socket.
    told: Sequence,
    /// Whether it had all that there was at some moment; before that it is being told history, and cannot be late.
    caught_up: bool,
    last_heard: Instant,
}

/// Tells a listener what comes after `from`, a position of the reader's log, until one side ends it.
pub(super) async fn tell(
    socket: &mut WebSocket,
    deliveries: &Deliveries,
    reader: Reader,
    from: Position,
    stop: Shutdown,
) -> EventsEnd {
    let _present = deliveries.listener();
    let (told, last_heard) = (from.sequence, Instant::now());
    let mut teller = Teller { socket, deliveries, reader, at: from, told, caught_up: false, last_heard };
    let end = tokio::select! {
        biased;
        () = stop.requested() => EventsEnd::Stopping,
        Err(end) = teller.run() => end,
    };
    if let Some((within, goodbye)) = end.goodbye() {
        // A listener that does not take it is cut all the same.
        let _ = timeout(within, socket.send(Message::Close(Some(goodbye)))).await;
    }
    end
}

impl Teller<'_> {
    /// Cancel-safe as far as the socket is concerned: a message is handed over whole or not at all.
    async fn run(&mut self) -> Result<Infallible, EventsEnd> {
        let mut head = self.reader.subscribe();
        let mut beat = heartbeat();
        let hello = Notice::hello(&self.at, &self.reader.head().position);
        self.feed(&hello).await?;
        self.flush().await?;
        loop {
            let behind = self.at.sequence < head.borrow_and_update().position.sequence;
            self.caught_up |= !behind;
            tokio::select! {
                biased;
                message = self.socket.recv() => self.hear(message)?,
                _ = beat.tick() => self.beat().await?,
                () = ready(()), if behind => self.tell_page(head.clone()).await?,
                changed = head.changed(), if !behind => changed.map_err(|_| EventsEnd::Replaced)?,
            }
        }
    }

    fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), EventsEnd> {
        match message {
            None | Some(Ok(Message::Close(_))) => Err(EventsEnd::Closed),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => Err(EventsEnd::Spoke),
            // Pings are answered by the WebSocket itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.last_heard = Instant::now();
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Shows a sign of life, and looks whether the other side does.
    async fn beat(&mut self) -> Result<(), EventsEnd> {
        if self.last_heard.elapsed() >= SILENCE {
            return Err(self.too_slow());
        }
        let head = self.reader.head().position.sequence;
        self.feed(&Notice::heartbeat(self.told, head)).await?;
        self.send(Message::Ping(Bytes::new())).await?;
        self.flush().await
    }

    /// Tells the next changes, unless the log runs away from the listener meanwhile.
    async fn tell_page(&mut self, mut head: watch::Receiver<Head>) -> Result<(), EventsEnd> {
        let (at, caught_up) = (self.at.sequence, self.caught_up);
        let told = tokio::select! {
            biased;
            told = self.feed_page() => Some(told),
            Ok(_) = head.wait_for(|head| caught_up && head.position.sequence.0.saturating_sub(at.0) > BEHIND_CHANGES) => None,
        };
        told.unwrap_or_else(|| Err(self.too_slow()))
    }

    async fn feed_page(&mut self) -> Result<(), EventsEnd> {
        let run = self.reader.run_after(self.at, PAGE_CHANGES, PAGE_BYTES)?;
        for (bytes, sequence) in run.changes.iter().zip(self.at.sequence.0 + 1..) {
            for notice in notices_of(Sequence(sequence), bytes, |of| self.reader.change(of))? {
                self.feed(&notice).await?;
                self.deliveries.count_event();
            }
            self.told = Sequence(sequence);
        }
        self.at = run.end;
        self.flush().await
    }

    async fn feed(&mut self, notice: &Notice) -> Result<(), EventsEnd> {
        let text = serde_json::to_string(notice).map_err(axum::Error::new)?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), EventsEnd> {
        let sent = timeout(SEND_WITHIN, self.socket.feed(message)).await;
        Ok(sent.map_err(|_| self.too_slow())??)
    }

    async fn flush(&mut self) -> Result<(), EventsEnd> {
        let flushed = timeout(SEND_WITHIN, self.socket.flush()).await;
        Ok(flushed.map_err(|_| self.too_slow())??)
    }

    fn too_slow(&self) -> EventsEnd {
        EventsEnd::TooSlow { told: self.told }
    }
}

/// The greeting is the first sign of life.
fn heartbeat() -> Interval {
    let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
