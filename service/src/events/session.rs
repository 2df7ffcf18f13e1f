//! The connection of one listener.

use super::notice::{Notice, notices_for};
use crate::lifecycle::Shutdown;
use crate::sync::SyncStats;
use crate::sync::live::{HEARTBEAT_INTERVAL, SILENCE_TIMEOUT};
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

/// Maximum number of changes that a listener may fall behind the head after it was there once; then it is too slow.
pub const MAX_LAG_CHANGES: u64 = 10_000;
/// Time that the network has to accept a message; if it does not, the listener is too slow.
pub const SEND_TIMEOUT: Duration = SILENCE_TIMEOUT;
/// Maximum number of changes read from the log at once.
const PAGE_CHANGES: usize = 100;
/// Maximum size of the changes read at once, in bytes; a larger change is read alone.
const PAGE_BYTES: usize = 64 * 1024;
/// Time that the network has to accept the close frame, which is a courtesy.
///
/// A listener that is too slow gets [`SEND_TIMEOUT`] instead: its close frame waits behind everything it has not read.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reason why an event stream ended. Some are ordinary, like [`Closed`](Self::Closed).
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The listener closed it.
    #[error("closed by the listener")]
    Closed,
    /// This process is shutting down.
    #[error("this process is shutting down")]
    Shutdown,
    /// A new copy replaced the history that was served.
    #[error("the copy was replaced: connect again")]
    Replaced,
    /// The listener sent a message.
    #[error("this stream accepts no messages")]
    MessageReceived,
    /// The listener did not accept what was sent, or did not answer pings.
    #[error("too slow: ask again with after={sent}")]
    TooSlow {
        /// The last change whose events were all sent.
        sent: Sequence,
    },
    /// The network failed.
    #[error("the connection broke: {0}")]
    Broken(#[from] axum::Error),
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
}

impl EventsError {
    /// Returns the close frame and the time to send it, or `None` if the connection is gone already.
    ///
    /// The text is at most 123 bytes long (RFC 6455 section 5.5) and shows no internal details.
    fn close_frame(&self) -> Option<(Duration, CloseFrame)> {
        let (timeout, code) = match self {
            Self::Closed | Self::Broken(_) => return None,
            Self::Shutdown => (CLOSE_TIMEOUT, close_code::AWAY),
            Self::Replaced => (CLOSE_TIMEOUT, close_code::RESTART),
            Self::MessageReceived => (CLOSE_TIMEOUT, close_code::UNSUPPORTED),
            Self::TooSlow { .. } => (SEND_TIMEOUT, close_code::AGAIN),
            Self::Store(_) => (CLOSE_TIMEOUT, close_code::ERROR),
        };
        let reason = match self {
            Self::Store(_) => "the store cannot be read at the moment".into(),
            other => other.to_string().into(),
        };
        Some((timeout, CloseFrame { code, reason }))
    }
}

/// State of the connection of one listener.
struct Session<'a> {
    socket: &'a mut WebSocket,
    stats: &'a SyncStats,
    reader: Reader,
    /// Position after which the log is read next.
    at: Position,
    /// The last change whose messages were all passed to the socket.
    sent: Sequence,
    /// True once the listener has reached the head. Before that it receives history and cannot be late.
    caught_up: bool,
    last_received: Instant,
}

/// Sends a listener the events after `from`, a position of the reader's log, until one side ends the connection.
pub(super) async fn serve_listener(
    socket: &mut WebSocket,
    stats: &SyncStats,
    reader: Reader,
    from: Position,
    shutdown: Shutdown,
) -> EventsError {
    let _counted = stats.add_listener();
    let (sent, last_received) = (from.sequence, Instant::now());
    let mut session = Session { socket, stats, reader, at: from, sent, caught_up: false, last_received };
    let end = tokio::select! {
        biased;
        () = shutdown.requested() => EventsError::Shutdown,
        Err(end) = session.run() => end,
    };
    if let Some((within, frame)) = end.close_frame() {
        // A listener that does not accept the frame is cut off all the same.
        let _ = timeout(within, socket.send(Message::Close(Some(frame)))).await;
    } else {
        // Sends the answer to the listener's own close frame. Without it the listener reports a broken connection.
        let _ = timeout(CLOSE_TIMEOUT, socket.close()).await;
    }
    end
}

impl Session<'_> {
    /// Cancel-safe as far as the socket is concerned: a message is passed to it whole or not at all.
    async fn run(&mut self) -> Result<Infallible, EventsError> {
        let mut head = self.reader.subscribe();
        let mut heartbeats = heartbeat_interval();
        let hello = Notice::hello(&self.at, &self.reader.head().position);
        self.feed(&hello).await?;
        self.flush().await?;
        loop {
            let behind = self.at.sequence < head.borrow_and_update().visible();
            self.caught_up |= !behind;
            tokio::select! {
                biased;
                message = self.socket.recv() => self.check_message(message)?,
                _ = heartbeats.tick() => self.send_heartbeat().await?,
                () = ready(()), if behind => self.send_page(head.clone()).await?,
                changed = head.changed(), if !behind => changed.map_err(|_| EventsError::Replaced)?,
            }
        }
    }

    /// Accepts pings and pongs, the only messages that a listener may send.
    fn check_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), EventsError> {
        match message {
            None | Some(Ok(Message::Close(_))) => Err(EventsError::Closed),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => Err(EventsError::MessageReceived),
            // The WebSocket answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.last_received = Instant::now();
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Sends a heartbeat and a ping, unless the listener has been silent for too long.
    async fn send_heartbeat(&mut self) -> Result<(), EventsError> {
        if self.last_received.elapsed() >= SILENCE_TIMEOUT {
            return Err(self.too_slow());
        }
        let head = self.reader.head().position.sequence;
        self.feed(&Notice::heartbeat(self.sent, head)).await?;
        self.send(Message::Ping(Bytes::new())).await?;
        self.flush().await
    }

    /// Sends the events of the next changes. Fails if the log meanwhile grows too far ahead of the listener.
    async fn send_page(&mut self, mut head: watch::Receiver<Head>) -> Result<(), EventsError> {
        let (at, caught_up) = (self.at.sequence, self.caught_up);
        let too_far = |head: &Head| caught_up && lags_too_far(at, head.visible());
        let sent = tokio::select! {
            biased;
            sent = self.feed_page() => Some(sent),
            Ok(_) = head.wait_for(too_far) => None,
        };
        sent.unwrap_or_else(|| Err(self.too_slow()))
    }

    async fn feed_page(&mut self) -> Result<(), EventsError> {
        let visible = self.reader.head().visible().0.saturating_sub(self.at.sequence.0);
        let limit = usize::try_from(visible).unwrap_or(usize::MAX).min(PAGE_CHANGES);
        let run = self.reader.run_after(self.at, limit, PAGE_BYTES)?;
        for (bytes, sequence) in run.changes.iter().zip(self.at.sequence.0 + 1..) {
            for notice in notices_for(Sequence(sequence), bytes, |of| self.reader.change(of))? {
                self.feed(&notice).await?;
                self.stats.count_event();
            }
            self.sent = Sequence(sequence);
        }
        self.at = run.end;
        self.flush().await
    }

    async fn feed(&mut self, notice: &Notice) -> Result<(), EventsError> {
        let text = serde_json::to_string(notice).map_err(axum::Error::new)?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), EventsError> {
        let sent = timeout(SEND_TIMEOUT, self.socket.feed(message)).await;
        Ok(sent.map_err(|_| self.too_slow())??)
    }

    async fn flush(&mut self) -> Result<(), EventsError> {
        let flushed = timeout(SEND_TIMEOUT, self.socket.flush()).await;
        Ok(flushed.map_err(|_| self.too_slow())??)
    }

    fn too_slow(&self) -> EventsError {
        EventsError::TooSlow { sent: self.sent }
    }
}

/// Returns true if a listener whose events ended at `at` is too far behind the change `visible`.
fn lags_too_far(at: Sequence, visible: Sequence) -> bool {
    visible.0.saturating_sub(at.0) > MAX_LAG_CHANGES
}

/// Returns the interval of heartbeats. The first one is due an interval after the greeting, which takes its place.
fn heartbeat_interval() -> Interval {
    let mut interval = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a reason that a client reads as another one, one with internal details, and one that no close frame can hold.
    #[test]
    fn each_end_has_the_close_code_that_the_interface_promises() {
        let sent = Sequence(u64::MAX);
        let damage = StoreError::DamagedFile { file: "/secret/log.redb".into(), why: "a bad page".into() };
        let cases = [
            (EventsError::Shutdown, 1001, CLOSE_TIMEOUT, "this process is shutting down"),
            (EventsError::MessageReceived, 1003, CLOSE_TIMEOUT, "this stream accepts no messages"),
            (EventsError::Store(damage), 1011, CLOSE_TIMEOUT, "the store cannot be read at the moment"),
            (EventsError::Replaced, 1012, CLOSE_TIMEOUT, "the copy was replaced: connect again"),
            (EventsError::TooSlow { sent }, 1013, SEND_TIMEOUT, "too slow: ask again with after=18446744073709551615"),
        ];
        for (end, code, timeout, reason) in cases {
            let (within, frame) = end.close_frame().expect("an end with a close frame");
            assert_eq!((frame.code, within, frame.reason.as_str()), (code, timeout, reason));
            assert!(reason.len() <= 123, "{reason}");
        }
        let broken = EventsError::Broken(axum::Error::new(std::io::Error::other("reset")));
        assert!(EventsError::Closed.close_frame().is_none() && broken.close_frame().is_none());
    }

    /// Catches a listener that is cut off in an ordinary burst, and one that nothing cuts off.
    #[test]
    fn a_listener_may_be_ten_thousand_changes_behind_and_no_more() {
        for (at, visible, is_too_far) in [(7, 7, false), (7, 10_007, false), (7, 10_008, true), (8, 7, false)] {
            assert_eq!(lags_too_far(Sequence(at), Sequence(visible)), is_too_far, "{at} of {visible}");
        }
    }
}
