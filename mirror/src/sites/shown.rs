//! What others see of a site: the copy that is shown, and how the following goes.

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

/// A site as its task leaves it for others to see.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteState {
    /// The whole copy; none before the first one is whole.
    pub(super) shown: Option<Reader>,
    /// A copy that is being built.
    pub(super) building: Option<Reader>,
    /// Why it is not followed.
    pub(super) stopped_because: Option<String>,
    /// The opening of a copy, while it is under way.
    pub(super) opening: Option<OpeningStep>,
    /// Asks the writer of the copy that is followed into, the shown one or the one being built.
    pub(super) writer: Option<WriterProbe>,
}

/// How far an opening is.
#[derive(Clone, Debug)]
pub(super) struct OpeningStep {
    /// In words, once there are any: most openings are done before.
    pub(super) at: Option<String>,
    /// Since when.
    pub(super) since: Instant,
}

impl OpeningStep {
    pub(super) fn now(at: Option<String>) -> Self {
        Self { at, since: Instant::now() }
    }
}

/// One site, for those who look.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) name: SiteName,
    state: RwLock<SiteState>,
    status: watch::Receiver<FollowStatus>,
    deliveries: SyncStats,
}

impl Shown {
    pub(super) fn new(name: SiteName, status: watch::Receiver<FollowStatus>) -> Self {
        Self { name, state: RwLock::default(), status, deliveries: SyncStats::default() }
    }

    pub(super) fn state(&self) -> SiteState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SiteState)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Names its writer, where it has one that does not answer in time, or the opening of its copy, where that goes no
    /// further. Without either nothing hangs.
    pub(super) async fn silent(&self, within: Duration) -> Option<String> {
        let SiteState { writer, opening, .. } = self.state();
        if opening.is_some_and(|step| step.since.elapsed() > OPENING_STEP_TIMEOUT) {
            return Some(format!("the opening of the copy of `{}`", self.name));
        }
        let writer = writer?;
        timeout(within, writer.ask()).await.is_err().then(|| format!("the writer of `{}`", self.name))
    }

    pub(super) fn follow_status(&self) -> FollowStatus {
        self.status.borrow().clone()
    }
}

/// A mirror behind this mirror follows what is shown here.
impl Served for Shown {
    fn reader(&self) -> Option<Reader> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).shown.clone()
    }

    fn barn_head(&self) -> BarnHead {
        let heard = self.status.borrow().barn.map(|heard| heard.passed_on());
        // A barn that was not heard since the start holds at least what is held here.
        let held = || self.reader().map(|reader| reader.head().position.sequence).unwrap_or_default();
        heard.unwrap_or_else(|| BarnHead { head: held(), age_ms: None, duplicates: 0 })
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.deliveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches an office that shows "checking" for ever, because the disk hangs before there is a writer to ask.
    #[tokio::test(start_paused = true)]
    async fn an_opening_that_goes_no_further_is_named_and_one_that_does_is_not() {
        let (_status, seen) = watch::channel(FollowStatus::default());
        let shown = Shown::new("north".parse().unwrap(), seen);
        let within = Duration::from_secs(20);
        for _ in 0..10 {
            shown.change(|state| state.opening = Some(OpeningStep::now(None)));
            tokio::time::advance(OPENING_STEP_TIMEOUT).await;
            assert_eq!(shown.silent(within).await, None);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(shown.silent(within).await.unwrap(), "the opening of the copy of `north`");
        shown.change(|state| state.opening = None);
        assert_eq!(shown.silent(within).await, None);
    }
}
