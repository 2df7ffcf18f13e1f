//! A barn and an office in one thread; the source that the office follows can be made to lie.

use super::router_barn::{Barn, clock};
use super::source::{Acknowledgments, Lie, Source};
use herd::decide::Rules;
use herd::query::TotalsView;
use herd::store::{Head, MemoryDisk, Reader, Store};
use mirror::follow::{self, FollowEnd, FollowSettings, FollowStatus, LinkState, NoRoomError, Room, StoreHandle};
use service::lifecycle::ShutdownTrigger;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Maximum wait for a condition on the paused clock.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(120);
/// Duration of a lie on the paused clock. It is time for many tries, because the longest wait between two is 10 s.
const LIE_DURATION: Duration = Duration::from_secs(60);
/// Limit for the tries in that time; only a follower that does not wait between them reaches it.
const MAX_TRIES: u64 = 40;

/// A barn and an office that follows it, on a paused clock that jumps ahead when everything waits.
pub(crate) struct Pair {
    pub(crate) barn: Barn,
    pub(crate) lie: watch::Sender<Lie>,
    pub(crate) office: Reader,
    /// True while the disk of the office has no room.
    pub(crate) full: Arc<AtomicBool>,
    /// Acknowledgments of the office, with what was durable then.
    pub(crate) acknowledged: Acknowledgments,
    disk: MemoryDisk,
    handle: StoreHandle,
    status: watch::Sender<FollowStatus>,
    shutdown: ShutdownTrigger,
    pub(crate) following: JoinHandle<FollowEnd>,
}

/// Content of the copy, as a reader sees it.
#[derive(Debug, PartialEq)]
pub(crate) struct CopyState {
    head: Head,
    totals: TotalsView,
    changes: Vec<Option<Vec<u8>>>,
}

impl Pair {
    /// Starts a pair whose office holds the barn's first changes and follows it live.
    pub(crate) async fn new() -> Self {
        let barn = Barn::new(Rules::default());
        barn.record_more(3).await;
        let disk = MemoryDisk::default();
        let (handle, writing) = follow::split_writer(Store::open_replica(&disk, barn.reader.store()).unwrap());
        let full: Arc<AtomicBool> = Arc::default();
        let is_full = full.clone();
        let handle = handle.with_room(Room::new(move || {
            let no_room = NoRoomError::Full { free_bytes: 1, needed_bytes: 2 };
            if is_full.load(Ordering::Relaxed) { Err(no_room) } else { Ok(()) }
        }));
        tokio::spawn(async move { writing.await.unwrap() });
        let (lie, status) = (watch::Sender::new(Lie::None), watch::Sender::new(FollowStatus::default()));
        let (shutdown, office) = (ShutdownTrigger::default(), handle.reader().clone());
        let following = tokio::spawn(async { FollowEnd::Stopped });
        let acknowledged = Acknowledgments::default();
        let mut pair = Self { barn, lie, office, full, acknowledged, disk, handle, status, shutdown, following };
        pair.follow();
        pair.wait_until_equal("at the beginning").await;
        pair
    }

    /// Starts to follow again, as after an operator's decision.
    pub(crate) fn follow(&mut self) {
        let (disk, store) = (self.disk.clone(), self.barn.reader.store());
        let survives = move || Store::open_replica(&disk.after_power_cut(), store).unwrap().reader().head().position;
        let source = Source::new(&self.barn, self.lie.subscribe(), Arc::new(survives), self.acknowledged.clone());
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed: 1 };
        let (status, shutdown) = (self.status.clone(), self.shutdown.signal());
        self.following = tokio::spawn(follow::run(source, self.handle.clone(), settings, clock(), status, shutdown));
    }

    /// Reads the whole copy, which must be readable at any time.
    pub(crate) fn copy_state(&self) -> CopyState {
        let snapshot = self.office.snapshot().unwrap();
        let head = self.office.head();
        let changes =
            (1..=head.position.sequence.0 + 1).map(|n| self.office.change(herd::position::Sequence(n)).unwrap());
        CopyState { totals: snapshot.totals().unwrap(), changes: changes.collect(), head }
    }

    pub(crate) fn status(&self) -> FollowStatus {
        self.status.borrow().clone()
    }

    /// Waits until the status of the follower fulfills a condition.
    pub(crate) async fn wait_until(&self, case: &str, condition: impl Fn(&FollowStatus) -> bool) {
        let mut updates = self.status.subscribe();
        let reached = timeout(FOLLOW_TIMEOUT, updates.wait_for(|status| condition(status))).await;
        assert!(reached.is_ok_and(|changed| changed.is_ok()), "`{case}`: the follower reports {:?}", self.status());
    }

    /// Waits until the office equals the barn, and the follower is live without an error.
    pub(crate) async fn wait_until_equal(&self, case: &str) {
        let wanted = self.barn.reader.head();
        let mut heads = self.office.subscribe();
        let reached = timeout(FOLLOW_TIMEOUT, heads.wait_for(|head| *head == wanted)).await;
        assert!(reached.is_ok_and(|changed| changed.is_ok()), "`{case}`: the follower reports {:?}", self.status());
        self.wait_until(case, |status| status.link == LinkState::Live && status.last_error.is_none()).await;
    }

    /// Makes the source tell this lie from now on, and waits until the follower has lost its connection. If the lie is
    /// about the live connection, waits until a new one is open.
    pub(crate) async fn start_lying(&self, case: &str, lie: Lie) {
        self.lie.send_replace(lie);
        self.wait_until(case, |status| status.link != LinkState::Live).await;
        if matches!(lie, Lie::Live(_)) {
            self.wait_until(case, |status| status.link == LinkState::Live).await;
        }
    }

    /// Waits for the follower to end, and returns why it did.
    pub(crate) async fn end(&mut self) -> FollowEnd {
        let ended = timeout(FOLLOW_TIMEOUT, &mut self.following).await;
        ended.unwrap_or_else(|_| panic!("the follower did not stop: {:?}", self.status())).unwrap()
    }

    /// Lets the barn record while the source lies about it. The follower must report `why` and retry without changing
    /// the copy. Once the source is honest again, the copy must become equal.
    pub(crate) async fn assert_survives(&self, case: &str, lie: Lie, why: &str) {
        let before = self.copy_state();
        self.start_lying(case, lie).await;
        self.barn.record_more(3).await;
        self.wait_until(case, |status| status.last_error.as_ref().is_some_and(|error| error.contains(why))).await;
        let failed_before = self.status().failed_syncs;
        tokio::time::sleep(LIE_DURATION).await;
        let status = self.status();
        assert!(!self.following.is_finished(), "`{case}` stopped the follower: {status:?}");
        assert_eq!(self.copy_state(), before, "`{case}` changed the copy");
        assert!(status.link != LinkState::Live && status.diverged.is_none(), "`{case}`: {status:?}");
        let tries = status.failed_syncs - failed_before;
        assert!((2..MAX_TRIES).contains(&tries), "`{case}`: {tries} tries");
        self.lie.send_replace(Lie::None);
        self.wait_until_equal(case).await;
    }
}
