//! What others see of a site: the copy that is shown, and how the following goes.

use super::name::SiteName;
use crate::follow::{FollowStatus, WriterProbe};
use herd::store::Reader;
use herd::sync::{Deliveries, Served};
use herd::wire::BarnHead;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A site as its task leaves it for others to see.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteState {
    /// The whole copy; none before the first one is whole.
    pub(super) shown: Option<Reader>,
    /// A copy that is being built.
    pub(super) building: Option<Reader>,
    /// Why it is not followed.
    pub(super) stopped_because: Option<String>,
    /// How far the opening of a copy is, while it takes time.
    pub(super) opening: Option<String>,
    /// Asks the writer of the copy that is followed into, the shown one or the one being built.
    pub(super) writer: Option<WriterProbe>,
}

/// One site, for those who look.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) name: SiteName,
    state: RwLock<SiteState>,
    status: watch::Receiver<FollowStatus>,
    deliveries: Deliveries,
}

impl Shown {
    pub(super) fn new(name: SiteName, status: watch::Receiver<FollowStatus>) -> Self {
        Self { name, state: RwLock::default(), status, deliveries: Deliveries::default() }
    }

    pub(super) fn state(&self) -> SiteState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SiteState)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Names its writer, where it has one that does not answer in time. Without one nothing hangs.
    pub(super) async fn silent(&self, within: Duration) -> Option<String> {
        let writer = self.state().writer?;
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

    fn barn(&self) -> BarnHead {
        let heard = self.status.borrow().barn.map(|heard| heard.passed_on());
        // A barn that was not heard since the start holds at least what is held here.
        let held = || self.reader().map(|reader| reader.head().position.sequence).unwrap_or_default();
        heard.unwrap_or_else(|| BarnHead { head: held(), age_ms: None, duplicates: 0 })
    }

    fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }
}
