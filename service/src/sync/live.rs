//! The source's side of a live connection.
//!
//! - A follower is a position, not a queue. Pages are read from the log as they are sent, at most
//!   [`MAX_UNACKNOWLEDGED_PAGES`] ahead of what the follower has made durable.
//! - Larger live pages, or more of them in flight, gain nothing measurable and cost memory on both sides. The pages of a
//!   pull are larger ([`herd::wire::MAX_PAGE_CHANGES`]), because there is only one at a time.
//! - The health of the barn follows each heartbeat, to a follower that has named it; [`herd::wire::BarnHealth`] says why. Its
//!   sender sends nothing while it does not know it.
//! - A live connection ends when its key is revoked. A check at the request alone would feed a revoked office for as
//!   long as its connection holds.

use super::Served;
use super::link::{ExtraBlobs, LinkError, LiveChannel};
use crate::lifecycle::Shutdown;
use bytes::Bytes;
use herd::position::Position;
use herd::store::{Head, Reader, StoreError};
use herd::wire::{Acknowledgment, BlobError, BlobKind, Heartbeat, Page, blob_kind, from_blob, to_blob};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Maximum number of changes on a live page.
pub const MAX_LIVE_PAGE_CHANGES: usize = 1_000;
/// Maximum size of the changes on a live page, in bytes.
pub const MAX_LIVE_PAGE_BYTES: usize = 256 * 1024;
/// Maximum number of pages that the follower has not yet acknowledged as durable.
pub const MAX_UNACKNOWLEDGED_PAGES: usize = 2;
/// Interval at which both sides send a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Time without a message, or with a stuck send, after which the connection is given up: three heartbeats.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time that the network has to accept the close message.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reason why a live connection ended, from the source's side. Some are ordinary, like [`Closed`](Self::Closed).
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The follower closed it.
    #[error("the follower closed the connection")]
    Closed,
    /// This process is shutting down.
    #[error("this process is shutting down")]
    Shutdown,
    /// A new copy replaced the history that was served.
    #[error("the served copy was replaced")]
    Replaced,
    /// The follower sent nothing for [`SILENCE_TIMEOUT`].
    #[error("the follower sent nothing for {SILENCE_TIMEOUT:?}")]
    Silent,
    /// The network failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The follower sent something other than one of our blobs.
    #[error("the follower sent an unreadable message: {0}")]
    Unreadable(#[from] BlobError),
    /// The follower acknowledged a position at which no page ended.
    #[error("the follower acknowledged {0}, which was not sent")]
    NotSent(Position),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The connection of one follower.
struct Session<'a, C> {
    channel: &'a mut C,
    served: &'a dyn Served,
    reader: Reader,
    extra: ExtraBlobs,
    /// End of the last page sent.
    sent: Position,
    /// Ends of the pages that were sent and not acknowledged, in order.
    unacknowledged: VecDeque<Position>,
    last_received: Instant,
}

/// Serves a follower until one side ends the connection. The caller has checked that `from` is on the reader's history.
/// `extra` are the blobs that the follower has named.
pub async fn serve_live<C: LiveChannel>(
    channel: &mut C,
    served: &dyn Served,
    reader: Reader,
    from: Position,
    extra: ExtraBlobs,
    shutdown: Shutdown,
) -> LiveError {
    let unacknowledged = VecDeque::with_capacity(MAX_UNACKNOWLEDGED_PAGES);
    let _counted = served.sync_stats().add_follower();
    let last_received = Instant::now();
    let mut session = Session { channel, served, reader, extra, sent: from, unacknowledged, last_received };
    let Err(end) = session.run(&shutdown).await;
    // The close message is a courtesy; a follower that does not accept it is cut off all the same.
    let _ = timeout(CLOSE_TIMEOUT, channel.close()).await;
    end
}

impl<C: LiveChannel> Session<'_, C> {
    async fn run(&mut self, shutdown: &Shutdown) -> Result<Infallible, LiveError> {
        let mut head = self.reader.subscribe();
        let mut heartbeats = interval(HEARTBEAT_INTERVAL);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let current = head.borrow_and_update().clone();
            while self.unacknowledged.len() < MAX_UNACKNOWLEDGED_PAGES && self.sent.sequence < current.position.sequence
            {
                self.send_page(&current).await?;
            }
            tokio::select! {
                biased;
                () = shutdown.requested() => return Err(LiveError::Shutdown),
                blob = self.channel.receive() => self.accept(&blob?.ok_or(LiveError::Closed)?)?,
                changed = head.changed() => changed.map_err(|_| LiveError::Replaced)?,
                _ = heartbeats.tick() => self.send_heartbeat().await?,
            }
        }
    }

    async fn send_page(&mut self, head: &Head) -> Result<(), LiveError> {
        let run = self.reader.run_after(self.sent, MAX_LIVE_PAGE_CHANGES, MAX_LIVE_PAGE_BYTES)?;
        let (end, changes) = (run.end, run.changes.len());
        let page = Page::new(run, head.position.sequence, self.served.barn_head());
        self.send(to_blob(&page).into()).await?;
        self.served.sync_stats().count_page(changes);
        self.sent = end;
        self.unacknowledged.push_back(end);
        Ok(())
    }

    /// Sends a heartbeat and what follows it, unless the follower has been silent for too long.
    async fn send_heartbeat(&mut self) -> Result<(), LiveError> {
        if self.last_received.elapsed() >= SILENCE_TIMEOUT {
            return Err(LiveError::Silent);
        }
        let heartbeat = Heartbeat::new(&self.reader.head(), self.served.barn_head());
        self.send(to_blob(&heartbeat).into()).await?;
        let health = self.served.barn_health();
        if self.extra.barn_health && health.age_ms.is_some() {
            self.send(to_blob(&health).into()).await?;
        }
        Ok(())
    }

    async fn send(&mut self, blob: Bytes) -> Result<(), LiveError> {
        timeout(SILENCE_TIMEOUT, self.channel.send(blob)).await.unwrap_or_else(|_| {
            Err(LinkError::TimedOut {
                peer: "the follower".to_owned(),
                doing: "sending",
                after_ms: u64::try_from(SILENCE_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
            })
        })?;
        Ok(())
    }

    /// Accepts a message of the follower: an acknowledgment or a heartbeat.
    fn accept(&mut self, blob: &[u8]) -> Result<(), LiveError> {
        self.last_received = Instant::now();
        match blob_kind(blob)? {
            BlobKind::Acknowledgment => {
                let Acknowledgment { durable } = from_blob(blob)?;
                let at = self.unacknowledged.iter().position(|sent| *sent == durable);
                let at = at.ok_or(LiveError::NotSent(durable))?;
                self.unacknowledged.drain(..=at);
                Ok(())
            }
            BlobKind::Heartbeat => {
                let _alive: Heartbeat = from_blob(blob)?;
                Ok(())
            }
            other => {
                let expected = BlobKind::Acknowledgment as u8;
                Err(LiveError::Unreadable(BlobError::Kind { found: other as u8, expected }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::ShutdownTrigger;
    use crate::sync::{NotServedError, OwnStore, SyncStats};
    use herd::testing::TestBarn;
    use herd::wire::{BarnHead, BarnHealth, HealthFinding};
    use tokio::sync::mpsc;

    /// The source's end of a connection in memory.
    struct End {
        sent: mpsc::UnboundedSender<Bytes>,
        received: mpsc::UnboundedReceiver<Bytes>,
    }

    impl LiveChannel for End {
        async fn send(&mut self, blob: Bytes) -> Result<(), LinkError> {
            drop(self.sent.send(blob));
            Ok(())
        }

        async fn receive(&mut self) -> Result<Option<Bytes>, LinkError> {
            Ok(self.received.recv().await)
        }

        async fn close(&mut self) {}
    }

    /// A follower in memory, and the connection that is served to it.
    struct Follower {
        blobs: mpsc::UnboundedReceiver<Bytes>,
        to_source: mpsc::UnboundedSender<Bytes>,
        serving: tokio::task::JoinHandle<LiveError>,
        _shutdown: ShutdownTrigger,
    }

    /// A store whose barn reports that a part fails.
    struct UnwellBarn(OwnStore<fn() -> u64>);

    impl Served for UnwellBarn {
        fn reader(&self) -> Result<Reader, NotServedError> {
            self.0.reader()
        }

        fn barn_head(&self) -> BarnHead {
            self.0.barn_head()
        }

        fn barn_health(&self) -> BarnHealth {
            let finding = HealthFinding { part: "disk".into(), failing: true, text: "make room".into() };
            BarnHealth::of_barn(vec![finding])
        }

        fn sync_stats(&self) -> &SyncStats {
            self.0.sync_stats()
        }
    }

    fn follow(barn: &TestBarn) -> Follower {
        follow_with(barn, ExtraBlobs::default())
    }

    fn follow_with(barn: &TestBarn, extra: ExtraBlobs) -> Follower {
        let ((sent, blobs), (to_source, received)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (reader, trigger) = (barn.reader(), ShutdownTrigger::default());
        let (start, shutdown) =
            (reader.position_at(herd::position::Sequence::ZERO).unwrap().unwrap(), trigger.signal());
        let serving = tokio::spawn(async move {
            let store = UnwellBarn(OwnStore::new(reader.clone(), || 0));
            serve_live(&mut End { sent, received }, &store, reader, start, extra, shutdown).await
        });
        Follower { blobs, to_source, serving, _shutdown: trigger }
    }

    impl Follower {
        /// Returns the ends of the pages that arrive until the source waits.
        async fn pages(&mut self) -> Vec<Position> {
            let mut ends = Vec::new();
            while let Ok(Some(blob)) = timeout(HEARTBEAT_INTERVAL / 2, self.blobs.recv()).await {
                if blob_kind(&blob).unwrap() == BlobKind::Page {
                    ends.push(from_blob::<Page>(&blob).unwrap().end.end);
                }
            }
            ends
        }

        fn send<T: herd::wire::Body + serde::Serialize>(&self, body: &T) {
            self.to_source.send(to_blob(body).into()).unwrap();
        }
    }

    /// A barn with changes for some live pages.
    fn barn() -> TestBarn {
        let mut barn = TestBarn::default();
        for n in 0..=MAX_LIVE_PAGE_CHANGES * 3 {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        barn
    }

    /// Catches a source that fills the memory of a follower, and one that waits although a page is durable.
    #[tokio::test(start_paused = true)]
    async fn at_most_two_pages_are_under_way_until_one_is_acknowledged() {
        let barn = barn();
        let mut follower = follow(&barn);
        let first = follower.pages().await;
        assert_eq!(first.len(), MAX_UNACKNOWLEDGED_PAGES);
        // A page ends with a row of the log.
        let changes = usize::try_from(first[0].sequence.0).unwrap();
        assert!((MAX_LIVE_PAGE_CHANGES * 9 / 10..=MAX_LIVE_PAGE_CHANGES).contains(&changes), "{changes}");
        assert_eq!(follower.pages().await, []);
        follower.send(&Acknowledgment { durable: first[0] });
        assert_eq!(follower.pages().await.len(), 1);
        follower.send(&Acknowledgment { durable: barn.reader().head().position });
        let end = follower.serving.await.unwrap();
        assert!(matches!(end, LiveError::NotSent(_)), "{end}");
    }

    /// Catches a source that sends empty pages to a follower that has everything.
    #[tokio::test(start_paused = true)]
    async fn a_follower_at_the_head_gets_no_page_until_there_is_a_change() {
        let mut barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]);
        let mut follower = follow(&barn);
        let head = barn.reader().head().position;
        assert_eq!(follower.pages().await, [head]);
        follower.send(&Acknowledgment { durable: head });
        assert_eq!(follower.pages().await, []);
        barn.record("hxb:A:LF2:UHF2");
        assert_eq!(follower.pages().await, [barn.reader().head().position]);
        follower.send(&BarnHealth::default());
        let end = follower.serving.await.unwrap();
        assert!(matches!(end, LiveError::Unreadable(BlobError::Kind { .. })), "{end}");
    }

    /// Catches an office of the first release whose connection ends at a kind that it does not know, and a later one that
    /// is not told what its barn reports.
    #[tokio::test(start_paused = true)]
    async fn the_health_of_the_barn_follows_each_heartbeat_if_the_follower_names_it() {
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]);
        for (extra, expected) in [
            (ExtraBlobs::default(), vec![BlobKind::Heartbeat; 2]),
            (ExtraBlobs::ALL, [BlobKind::Heartbeat, BlobKind::BarnHealth].repeat(2)),
        ] {
            let mut follower = follow_with(&barn, extra);
            let (mut kinds, mut last) = (Vec::new(), Bytes::new());
            while kinds.len() < expected.len() {
                let blob = follower.blobs.recv().await.unwrap();
                if blob_kind(&blob).unwrap() != BlobKind::Page {
                    kinds.push(blob_kind(&blob).unwrap());
                    last = blob;
                }
            }
            assert_eq!(kinds, expected);
            if extra.barn_health {
                assert_eq!(from_blob::<BarnHealth>(&last).unwrap().findings[0].part, "disk");
            }
        }
    }

    /// Catches a source that keeps a dead follower, or gives a quiet one up.
    #[tokio::test(start_paused = true)]
    async fn a_follower_is_given_up_after_three_heartbeats_of_silence() {
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]);
        let mut follower = follow(&barn);
        for _ in 0..6 {
            tokio::time::sleep(HEARTBEAT_INTERVAL).await;
            follower.send(&Heartbeat::new(&barn.reader().head(), BarnHead::default()));
        }
        tokio::time::sleep(HEARTBEAT_INTERVAL * 2 + Duration::from_secs(4)).await;
        assert!(!follower.serving.is_finished(), "it was silent for less than 15 s");
        let end = timeout(HEARTBEAT_INTERVAL / 2, &mut follower.serving).await;
        assert!(matches!(end.expect("at the next heartbeat").unwrap(), LiveError::Silent));
    }
}
