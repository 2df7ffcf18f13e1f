//! A replica that follows a source which may lie.

use super::router_barn::{Barn, StillClock};
use super::source::{Lie, Source};
use herd::decide::Rules;
use herd::query::TotalsView;
use herd::store::{Head, MemoryDisk, Reader, Store};
use mirror::follow::{self, FollowEnd, FollowSettings, FollowStatus, LinkState, StoreHandle};
use service::lifecycle::ShutdownTrigger;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// So long a condition is waited for, in the time of the paused clock.
const PATIENCE: Duration = Duration::from_secs(120);
/// So long a lie is told, in the time of the paused clock: many tries, as the longest wait is 10 s.
const LYING: Duration = Duration::from_secs(60);
/// So many tries in that time would be a follower that does not wait between them.
const MOST_TRIES: u64 = 40;

/// A barn and an office in one thread, with time that is passed by waiting for it.
pub(crate) struct Pair {
    pub(crate) barn: Barn,
    pub(crate) lie: watch::Sender<Lie>,
    pub(crate) office: Reader,
    handle: StoreHandle,
    status: watch::Sender<FollowStatus>,
    stop: ShutdownTrigger,
    pub(crate) following: JoinHandle<FollowEnd>,
}

/// What a reader of the copy sees.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    head: Head,
    totals: TotalsView,
    changes: Vec<Option<Vec<u8>>>,
}

impl Pair {
    /// The office holds the first changes of the barn and follows it live.
    pub(crate) async fn new() -> Self {
        let barn = Barn::new(Rules::default());
        barn.hear_more(3).await;
        let (handle, writing) =
            follow::on_this_task(Store::open_replica(&MemoryDisk::default(), barn.reader.store()).unwrap());
        tokio::spawn(async move { writing.await.unwrap() });
        let (lie, status) = (watch::Sender::new(Lie::None), watch::Sender::new(FollowStatus::default()));
        let (stop, office) = (ShutdownTrigger::default(), handle.reader().clone());
        let following = tokio::spawn(async { FollowEnd::Stopped });
        let mut pair = Self { barn, lie, office, handle, status, stop, following };
        pair.follow();
        pair.until_equal("at the beginning").await;
        pair
    }

    /// Follows anew, as after an operator's decision.
    pub(crate) fn follow(&mut self) {
        let source = Source::new(&self.barn, self.lie.subscribe());
        let settings = FollowSettings { sync_interval: Duration::from_secs(10), seed: 1 };
        let (status, stop) = (self.status.clone(), self.stop.signal());
        self.following =
            tokio::spawn(follow::run(source, self.handle.clone(), settings, Arc::new(StillClock), status, stop));
    }

    /// All that is read of the copy; it reads at any time.
    pub(crate) fn seen(&self) -> Seen {
        let snapshot = self.office.snapshot().unwrap();
        let head = self.office.head();
        let changes =
            (1..=head.position.sequence.0 + 1).map(|n| self.office.change(herd::position::Sequence(n)).unwrap());
        Seen { totals: snapshot.totals().unwrap(), changes: changes.collect(), head }
    }

    pub(crate) fn status(&self) -> FollowStatus {
        self.status.borrow().clone()
    }

    /// Waits until the follower says so.
    pub(crate) async fn until(&self, case: &str, says: impl Fn(&FollowStatus) -> bool) {
        let mut news = self.status.subscribe();
        let heard = timeout(PATIENCE, news.wait_for(|status| says(status))).await;
        assert!(heard.is_ok_and(|heard| heard.is_ok()), "`{case}`: the follower says {:?}", self.status());
    }

    /// Waits until the office holds what the barn holds, and the follower says that all is well.
    pub(crate) async fn until_equal(&self, case: &str) {
        let wanted = self.barn.reader.head();
        let mut heads = self.office.subscribe();
        let held = timeout(PATIENCE, heads.wait_for(|head| *head == wanted)).await;
        assert!(held.is_ok_and(|held| held.is_ok()), "`{case}`: the follower says {:?}", self.status());
        self.until(case, |status| status.link == LinkState::Live && status.last_error.is_none()).await;
    }

    /// From now on the source tells this lie. The live connection is a new one by then, unless the lie is about that.
    pub(crate) async fn begin_to_lie(&self, case: &str, lie: Lie) {
        self.lie.send_replace(lie);
        self.until(case, |status| status.link != LinkState::Live).await;
        if matches!(lie, Lie::Live(_)) {
            self.until(case, |status| status.link == LinkState::Live).await;
        }
    }

    /// How the following ended.
    pub(crate) async fn end(&mut self) -> FollowEnd {
        let ended = timeout(PATIENCE, &mut self.following).await;
        ended.unwrap_or_else(|_| panic!("the follower goes on: {:?}", self.status())).unwrap()
    }

    /// The barn goes on and the source lies about it: the follower says why, the copy stays as it is however often it
    /// tries, and once the source is right again the copy comes to equal it.
    pub(crate) async fn survives(&self, case: &str, lie: Lie, why: &str) {
        let before = self.seen();
        self.begin_to_lie(case, lie).await;
        self.barn.hear_more(3).await;
        self.until(case, |status| status.last_error.as_ref().is_some_and(|error| error.contains(why))).await;
        let failed_before = self.status().failed_syncs;
        tokio::time::sleep(LYING).await;
        let status = self.status();
        assert!(!self.following.is_finished(), "`{case}` ended the following: {status:?}");
        assert_eq!(self.seen(), before, "`{case}` was believed");
        assert!(status.link != LinkState::Live && status.diverged.is_none(), "`{case}`: {status:?}");
        let tries = status.failed_syncs - failed_before;
        assert!((2..MOST_TRIES).contains(&tries), "`{case}`: {tries} tries");
        self.lie.send_replace(Lie::None);
        self.until_equal(case).await;
    }
}
