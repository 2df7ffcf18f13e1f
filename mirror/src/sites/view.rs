//! Shared view of a running site: the copy that is served, and the status of its follower.
//!
//! The task of a site writes the view; pages, API clients, mirrors behind this one and the supervisor read it.
//!
//! Copies are opened after the process has reported that it is ready, because the pages of one site need not wait until
//! the tables of another are rebuilt. A fixed limit on the opening was rejected: a repair on a slow card takes long, but
//! it reports step after step. An opening without a step for [`OPENING_STEP_TIMEOUT`] counts as a writer that hangs.

use super::name::SiteName;
use crate::follow::{FollowStatus, WriterProbe};
use herd::store::Reader;
use herd::wire::BarnHead;
use service::supervisor::OPENING_STEP_TIMEOUT;
use service::sync::{Served, SyncStats};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// State of a site, as its task last published it.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteState {
    /// The complete copy that is served; `None` until the first one is complete.
    pub(super) shown: Option<Reader>,
    /// The copy that is being made.
    pub(super) building: Option<Reader>,
    /// The reason why replication has stopped.
    pub(super) stopped_because: Option<String>,
    /// The latest step of opening a copy, while one is being opened.
    pub(super) opening: Option<OpeningStep>,
    /// Probe for the writer of the copy that receives changes: the served one, or the one being made.
    pub(super) writer: Option<WriterProbe>,
}

/// A step of opening a copy.
#[derive(Clone, Debug)]
pub(super) struct OpeningStep {
    /// Description of the step. Most openings end before they report one.
    pub(super) text: Option<String>,
    /// Start of the step.
    pub(super) since: Instant,
}

impl OpeningStep {
    pub(super) fn now(text: Option<String>) -> Self {
        Self { text, since: Instant::now() }
    }
}

/// A running site as other tasks see it.
#[derive(Debug)]
pub(super) struct SiteView {
    pub(super) name: SiteName,
    state: RwLock<SiteState>,
    status: watch::Receiver<FollowStatus>,
    sync_stats: SyncStats,
}

impl SiteView {
    pub(super) fn new(name: SiteName, status: watch::Receiver<FollowStatus>) -> Self {
        Self { name, state: RwLock::default(), status, sync_stats: SyncStats::default() }
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
        let SiteState { writer, opening, .. } = self.state();
        if opening.is_some_and(|step| step.since.elapsed() > OPENING_STEP_TIMEOUT) {
            return Some(format!("the opening of the copy of `{}`", self.name));
        }
        let writer = writer?;
        timeout(within, writer.wait()).await.is_err().then(|| format!("the writer of `{}`", self.name))
    }

    pub(super) fn follow_status(&self) -> FollowStatus {
        self.status.borrow().clone()
    }
}

/// Serves the copy to mirrors that follow this one.
impl Served for SiteView {
    fn reader(&self) -> Option<Reader> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).shown.clone()
    }

    fn barn_head(&self) -> BarnHead {
        let heard = self.status.borrow().barn.map(|heard| heard.aged());
        // Until the barn's first heartbeat, its head is at least the head of this copy.
        let own_head = || self.reader().map(|reader| reader.head().position.sequence).unwrap_or_default();
        heard.unwrap_or_else(|| BarnHead { head: own_head(), age_ms: None, duplicates: 0 })
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.sync_stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a site that shows "checking" forever because the disk hangs before a writer exists.
    #[tokio::test(start_paused = true)]
    async fn an_opening_without_progress_is_reported_as_stalled() {
        let (_status, receiver) = watch::channel(FollowStatus::default());
        let site = SiteView::new("north".parse().unwrap(), receiver);
        let within = Duration::from_secs(20);
        for _ in 0..10 {
            site.change(|state| state.opening = Some(OpeningStep::now(None)));
            tokio::time::advance(OPENING_STEP_TIMEOUT).await;
            assert_eq!(site.stalled_part(within).await, None);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(site.stalled_part(within).await.unwrap(), "the opening of the copy of `north`");
        site.change(|state| state.opening = None);
        assert_eq!(site.stalled_part(within).await, None);
    }
}
