//! The live connection, from the source's side. A follower is a position, not a queue: pages go out from there on,
//! at most [`UNACKNOWLEDGED_PAGES`] ahead of what the follower has made durable.

use super::Served;
use super::link::{LinkError, LiveChannel};
use crate::lifecycle::Shutdown;
use bytes::Bytes;
use herd::position::Position;
use herd::store::{Head, Reader, StoreError};
use herd::wire::{Acknowledgement, BlobError, BlobKind, Heartbeat, Page, blob_kind, from_blob, to_blob};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The most changes on a live page.
pub const LIVE_PAGE_CHANGES: usize = 1_000;
/// The most bytes of changes on a live page.
pub const LIVE_PAGE_BYTES: usize = 256 * 1024;
/// Pages on their way that the follower has not acknowledged as durable.
pub const UNACKNOWLEDGED_PAGES: usize = 2;
/// Both sides show a sign of life this often.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// So long without one, or with a send that does not get through, and the connection is given up.
pub const SILENCE: Duration = Duration::from_secs(15);

/// Why a live connection ended, from the source's side.
#[derive(Debug, thiserror::Error)]
pub enum LiveEnd {
    /// The follower closed it.
    #[error("the follower closed the connection")]
    Closed,
    /// This process stops.
    #[error("this process stops")]
    Stopping,
    /// The history served here was replaced by a new copy.
    #[error("the copy served here was replaced")]
    Replaced,
    /// Nothing was heard for [`SILENCE`].
    #[error("the follower was silent")]
    Silent,
    /// The network.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The follower sent something that is no blob of ours.
    #[error("the follower sent something unreadable: {0}")]
    Unreadable(#[from] BlobError),
    /// The follower acknowledged what was not sent.
    #[error("the follower acknowledged {0}, which was not sent")]
    NotSent(Position),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One follower, while it is connected.
struct Session<'a, C> {
    channel: &'a mut C,
    served: &'a dyn Served,
    reader: Reader,
    sent: Position,
    unacknowledged: VecDeque<Position>,
    last_heard: Instant,
}

/// Serves a follower that stands at `from`, a position that was checked, until one side ends it.
pub async fn serve_live<C: LiveChannel>(
    channel: &mut C,
    served: &dyn Served,
    reader: Reader,
    from: Position,
    stop: Shutdown,
) -> LiveEnd {
    let unacknowledged = VecDeque::with_capacity(UNACKNOWLEDGED_PAGES);
    let _present = served.deliveries().follower();
    let mut session = Session { channel, served, reader, sent: from, unacknowledged, last_heard: Instant::now() };
    let end = match session.run(&stop).await {
        Ok(end) | Err(end) => end,
    };
    // The goodbye is a courtesy; a follower that does not take it is cut all the same.
    let _ = timeout(Duration::from_secs(1), channel.close()).await;
    end
}

impl<C: LiveChannel> Session<'_, C> {
    async fn run(&mut self, stop: &Shutdown) -> Result<LiveEnd, LiveEnd> {
        let mut head = self.reader.subscribe();
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now_at = head.borrow_and_update().clone();
            while self.unacknowledged.len() < UNACKNOWLEDGED_PAGES && self.sent.sequence < now_at.position.sequence {
                self.send_page(&now_at).await?;
            }
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(LiveEnd::Stopping),
                blob = self.channel.receive() => match blob? {
                    Some(blob) => self.take(&blob)?,
                    None => return Ok(LiveEnd::Closed),
                },
                changed = head.changed() => if changed.is_err() { return Ok(LiveEnd::Replaced) },
                _ = beat.tick() => {
                    if self.last_heard.elapsed() >= SILENCE {
                        return Ok(LiveEnd::Silent);
                    }
                    let heartbeat = Heartbeat::new(&self.reader.head(), self.served.barn());
                    self.send(to_blob(&heartbeat).into()).await?;
                },
            }
        }
    }

    async fn send_page(&mut self, head: &Head) -> Result<(), LiveEnd> {
        let run = self.reader.run_after(self.sent, LIVE_PAGE_CHANGES, LIVE_PAGE_BYTES)?;
        let (end, changes) = (run.end, run.changes.len());
        let page = Page::new(run, head.position.sequence, self.served.barn());
        self.send(to_blob(&page).into()).await?;
        self.served.deliveries().count_page(changes);
        self.sent = end;
        self.unacknowledged.push_back(end);
        Ok(())
    }

    async fn send(&mut self, blob: Bytes) -> Result<(), LiveEnd> {
        timeout(SILENCE, self.channel.send(blob)).await.unwrap_or_else(|_| {
            Err(LinkError::TimedOut {
                peer: "the follower".to_owned(),
                doing: "sending",
                after_ms: u64::try_from(SILENCE.as_millis()).unwrap_or(u64::MAX),
            })
        })?;
        Ok(())
    }

    fn take(&mut self, blob: &[u8]) -> Result<(), LiveEnd> {
        self.last_heard = Instant::now();
        match blob_kind(blob)? {
            BlobKind::Acknowledgement => {
                let Acknowledgement { durable } = from_blob(blob)?;
                let at = self.unacknowledged.iter().position(|sent| *sent == durable);
                let at = at.ok_or(LiveEnd::NotSent(durable))?;
                self.unacknowledged.drain(..=at);
                Ok(())
            }
            BlobKind::Heartbeat => {
                let _alive: Heartbeat = from_blob(blob)?;
                Ok(())
            }
            other => {
                let expected = BlobKind::Acknowledgement as u8;
                Err(LiveEnd::Unreadable(BlobError::Kind { found: other as u8, expected }))
            }
        }
    }
}
