//! Shared view of a running site: the copy that is served, and the status of its follower.
//!
//! The task of a site writes the view; pages, API clients, mirrors behind this one and the supervisor read it.
//!
//! Copies are opened after the process has reported that it is ready, because the pages of one site need not wait until
//! the tables of another are rebuilt. A fixed limit on the opening was rejected: a repair on a slow card takes long, but
//! it reports step after step. An opening without a step for [`OPENING_STEP_TIMEOUT`] counts as a writer that hangs.
//!
//! Until a complete copy is open, nothing of it is shown but its progress. If an upgrade folds it again:
//!
//! - To show the old tables meanwhile was rejected: the format of a row belongs to the fold version, and this program
//!   knows one.
//! - To show the new tables while they grow was rejected, too. A third of the animals looks like a loss, whatever the
//!   page says beside it.

use super::name::SiteName;
use crate::copies::CopyNumber;
use crate::follow::{FollowStatus, HealthReport, LinkState, WriterProbe};
use herd::store::{OpenProgress, Reader, grouped};
use herd::wire::{BarnHead, BarnHealth};
use service::backup::{BackupGauge, BackupReport, BackupStates};
use service::remote::OpeningView;
use service::supervisor::OPENING_STEP_TIMEOUT;
use service::sync::{NotServedError, Served, SyncStats};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// State of a site, as its task last published it.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteState {
    /// True if a complete copy exists, open or not.
    pub(super) has_complete: bool,
    /// The complete copy that is served; `None` until it exists and is open.
    pub(super) shown: Option<Reader>,
    /// The copy that is being made.
    pub(super) building: Option<Reader>,
    /// Number of changes that only kept copies hold, as far as they could be compared; `None` if that is unknown.
    pub(super) only_here: Option<u64>,
    /// Kept copies that could not be compared with the served one.
    pub(super) uncompared: Vec<CopyNumber>,
    /// The reason why replication has stopped.
    pub(super) stopped_because: Option<String>,
    /// The latest step of opening a copy, while one is being opened.
    pub(super) opening: Option<OpeningStep>,
    /// Probe for the writer of the copy that is served.
    pub(super) shown_writer: Option<WriterProbe>,
    /// Probe for the writer of the copy that is being made.
    pub(super) building_writer: Option<WriterProbe>,
    /// Status of the follower of the copy that is being made, beside that of the served one.
    pub(super) building_status: Option<watch::Receiver<FollowStatus>>,
}

/// A step of opening a copy.
#[derive(Clone, Debug)]
pub(super) struct OpeningStep {
    /// The step. Most openings end before they report one.
    pub(super) view: Option<OpeningView>,
    /// Start of the step.
    pub(super) since: Instant,
}

impl OpeningStep {
    /// Creates the step of an opening that has reported nothing yet.
    pub(super) fn first() -> Self {
        Self { view: None, since: Instant::now() }
    }

    pub(super) fn at(progress: &OpenProgress<'_>) -> Self {
        let percent = progress.percent();
        let text = match progress {
            OpenProgress::Checking { .. } => progress.to_string(),
            // The number says how much is here: an upgrade that folds again must not look like a loss.
            OpenProgress::Folding { of, .. } => {
                format!("the copy of {} changes is being folded again, {percent} % done", grouped(of.0))
            }
        };
        Self { view: Some(OpeningView { text, percent: Some(percent) }), since: Instant::now() }
    }
}

impl SiteState {
    /// Returns the copy to serve, or the reason why there is none.
    pub(super) fn served(&self) -> Result<Reader, NotServedError> {
        match &self.shown {
            Some(reader) => Ok(reader.clone()),
            None => Err(self.not_served()),
        }
    }

    fn not_served(&self) -> NotServedError {
        match self.opening() {
            _ if !self.has_complete => NotServedError::NoCopy,
            Some(opening) => NotServedError::Opening(opening.text),
            None => NotServedError::Unreadable,
        }
    }

    /// Returns the progress of opening the complete copy, if it is not served yet.
    ///
    /// The task of a site may not have begun to open it. It has if it stopped or builds another copy.
    pub(super) fn opening(&self) -> Option<OpeningView> {
        let waits = self.has_complete && self.shown.is_none();
        if !waits || self.stopped_because.is_some() || self.building.is_some() {
            return None;
        }
        let view = self.opening.as_ref().and_then(|step| step.view.clone());
        Some(view.unwrap_or_else(|| OpeningView { text: "the copy is being opened".to_owned(), percent: None }))
    }
}

/// A running site as other tasks see it.
#[derive(Debug)]
pub(super) struct SiteView {
    pub(super) name: SiteName,
    state: RwLock<SiteState>,
    status: watch::Receiver<FollowStatus>,
    sync_stats: SyncStats,
    backup: BackupGauge,
}

impl SiteView {
    pub(super) fn new(name: SiteName, status: watch::Receiver<FollowStatus>) -> Self {
        let (sync_stats, backup) = (SyncStats::default(), BackupGauge::default());
        Self { name, state: RwLock::default(), status, sync_stats, backup }
    }

    /// Sets the gauge of the site's nightly backups.
    pub(super) fn with_backups(self, backups: &BackupStates) -> Self {
        Self { backup: backups.of_site(self.name.as_str()), ..self }
    }

    /// Returns the state of the site's nightly backups; `None` if no directory is set.
    pub(super) fn backup(&self) -> Option<BackupReport> {
        self.backup.report()
    }

    pub(super) fn state(&self) -> SiteState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SiteState)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the name of the part that hangs: an opening without progress, or a writer that does not reply in time.
    ///
    /// Returns `None` if the site has neither an opening nor a writer: then nothing can hang.
    pub(super) async fn stalled_part(&self, within: Duration) -> Option<String> {
        let SiteState { shown_writer, building_writer, opening, .. } = self.state();
        if opening.is_some_and(|step| step.since.elapsed() > OPENING_STEP_TIMEOUT) {
            return Some(format!("the opening of the copy of `{}`", self.name));
        }
        let writers = shown_writer.into_iter().chain(building_writer);
        let all = futures::future::join_all(writers.map(async |writer| writer.wait().await));
        timeout(within, all).await.is_err().then(|| format!("a writer of `{}`", self.name))
    }

    /// Returns the status of the follower. If the served copy is not followed any more, because its history is another
    /// one, the follower of the copy that is being made continues it.
    pub(super) fn follow_status(&self) -> FollowStatus {
        let mut status = self.status.borrow().clone();
        if let Some(new) = self.state().building_status.filter(|_| status.link == LinkState::Stopped) {
            status.continue_with_other_copy(new.borrow().clone());
        }
        status
    }

    /// Returns the head of the barn as the follower of the copy that is being made last heard it.
    pub(super) fn head_to_copy(&self) -> Option<u64> {
        let state = self.state();
        let status = state.building_status.as_ref().unwrap_or(&self.status);
        status.borrow().barn.map(|report| report.barn.head.0)
    }
}

/// Serves the copy to mirrors that follow this one.
impl Served for SiteView {
    fn reader(&self) -> Result<Reader, NotServedError> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).served()
    }

    fn barn_head(&self) -> BarnHead {
        let heard = self.status.borrow().barn.map(|heard| heard.aged());
        // Until the barn's first heartbeat, its head is at least the head of this copy.
        let own_head = || self.reader().map(|reader| reader.head().position.sequence).unwrap_or_default();
        heard.unwrap_or_else(|| BarnHead { head: own_head(), age_ms: None, duplicates: 0 })
    }

    fn barn_health(&self) -> BarnHealth {
        self.status.borrow().health.as_ref().map(HealthReport::aged).unwrap_or_default()
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.sync_stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{BarnReport, split_writer};
    use herd::position::{Sequence, StoreId};
    use herd::store::{MemoryDisk, Store};
    use herd::testing::TestBarn;

    /// Catches a site that shows "checking" forever because the disk hangs before a writer exists.
    #[tokio::test(start_paused = true)]
    async fn an_opening_without_progress_is_reported_as_stalled() {
        let (_status, receiver) = watch::channel(FollowStatus::default());
        let site = SiteView::new("north".parse().unwrap(), receiver);
        let within = Duration::from_secs(20);
        for _ in 0..10 {
            site.change(|state| state.opening = Some(OpeningStep::first()));
            tokio::time::advance(OPENING_STEP_TIMEOUT).await;
            assert_eq!(site.stalled_part(within).await, None);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(site.stalled_part(within).await.unwrap(), "the opening of the copy of `north`");
        site.change(|state| state.opening = None);
        assert_eq!(site.stalled_part(within).await, None);
    }

    /// Catches a writer that hangs unseen, be it that of the served copy or of the one that is being made.
    #[tokio::test(start_paused = true)]
    async fn a_writer_that_does_not_reply_is_reported_as_stalled() {
        let store = |n| Store::open_replica(&MemoryDisk::default(), StoreId([n; 16])).unwrap();
        let (busy, writer) = split_writer(store(1));
        let _works = tokio::spawn(writer);
        let (stuck, _never_polled) = split_writer(store(2));
        let (_status, receiver) = watch::channel(FollowStatus::default());
        let site = SiteView::new("north".parse().unwrap(), receiver);
        for (shown, building, stalled) in [
            (Some(busy.probe()), Some(busy.probe()), None),
            (Some(busy.probe()), Some(stuck.probe()), Some("a writer of `north`")),
            (Some(stuck.probe()), None, Some("a writer of `north`")),
        ] {
            site.change(|state| (state.shown_writer, state.building_writer) = (shown, building));
            assert_eq!(site.stalled_part(Duration::from_secs(20)).await.as_deref(), stalled);
        }
    }

    /// Catches a status that stands still with the copy that is not followed any more, one whose counts begin anew while the
    /// served copy goes on, and a lag or a comparison that is told of the served copy and holds for the other.
    #[test]
    fn the_follower_of_a_new_copy_speaks_once_that_of_the_served_one_has_stopped() {
        let report = |head| {
            let barn = BarnHead { head: Sequence(head), age_ms: Some(0), duplicates: 0 };
            Some(BarnReport { barn, at_us: 0, at: Instant::now() })
        };
        let served =
            FollowStatus { link: LinkState::Live, successful_syncs: 3, barn: report(7), ..FollowStatus::default() };
        let refused = FollowStatus { link: LinkState::Stopped, is_refused: true, ..served.clone() };
        let new = FollowStatus {
            link: LinkState::Pulling,
            successful_syncs: 2,
            barn: report(9),
            digest_equal: Some(true),
            ..FollowStatus::default()
        };
        let (status, receiver) = watch::channel(served.clone());
        let (_new, building) = watch::channel(new);
        let site = SiteView::new("north".parse().unwrap(), receiver);
        assert_eq!((site.follow_status(), site.head_to_copy()), (served.clone(), Some(7)));
        site.change(|state| state.building_status = Some(building));
        assert_eq!((site.follow_status(), site.head_to_copy()), (served.clone(), Some(9)));
        status.send_replace(refused);
        let continued = site.follow_status();
        assert_eq!((continued.link, continued.successful_syncs), (LinkState::Pulling, 5));
        assert!(continued.is_refused, "the barn has agreed with the other copy alone");
        // It has caught up with its own copy, which says nothing about the one that is shown.
        assert_eq!((served.lag_changes(Sequence(7)), continued.lag_changes(Sequence(7))), (Some(0), None));
        assert_eq!((continued.digest_equal, continued.barn.map(|heard| heard.barn.head)), (None, Some(Sequence(9))));
    }

    /// Catches an office that tells those behind it a head of the barn that it has not heard, or tells it as new.
    #[tokio::test(start_paused = true)]
    async fn the_forwarded_report_of_the_barn_has_its_age() {
        let barn = TestBarn::with_payloads(&["hxb:A:LF1:UHF1"]);
        let (status, receiver) = watch::channel(FollowStatus::default());
        let site = SiteView::new("north".parse().unwrap(), receiver);
        let unheard = |head| BarnHead { head: Sequence(head), age_ms: None, duplicates: 0 };
        assert_eq!((site.barn_head(), site.barn_health()), (unheard(0), BarnHealth::default()));
        site.change(|state| (state.has_complete, state.shown) = (true, Some(barn.reader())));
        assert_eq!(site.barn_head(), unheard(2));
        let heard = BarnHead { head: Sequence(9), age_ms: Some(10), duplicates: 3 };
        status.send_modify(|status| {
            status.barn = Some(BarnReport { barn: heard, at_us: 0, at: Instant::now() });
            let health = BarnHealth { age_ms: Some(10), findings: Vec::new(), omitted: 2 };
            status.health = Some(HealthReport { health, at: Instant::now() });
        });
        tokio::time::advance(Duration::from_millis(5)).await;
        assert_eq!(site.barn_head(), BarnHead { age_ms: Some(15), ..heard });
        let health = site.barn_health();
        assert_eq!((health.age_ms, health.omitted), (Some(15), 2));
    }
}
