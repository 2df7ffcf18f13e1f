//! What the office tells programs that ask about a site: its copy, and how the following of the barn is.

use super::shown::Shown;
use super::status::site_status;
use herd::clock::iso_utc;
use herd::remote::{Process, Remote, ReplicaState};
use herd::store::Reader;
use herd::sync::Served;
use herd::wire::BarnHead;
use std::sync::Arc;
use std::time::Duration;

/// A site, for programs. Duplicates make no change, so that of them the office knows what the barn's heartbeat says.
pub(super) struct ToldSite {
    shown: Arc<Shown>,
    sync_interval: Duration,
}

impl ToldSite {
    pub(super) fn new(shown: Arc<Shown>, sync_interval: Duration) -> Self {
        Self { shown, sync_interval }
    }
}

impl Served for ToldSite {
    fn reader(&self) -> Option<Reader> {
        self.shown.reader()
    }

    fn barn(&self) -> BarnHead {
        self.shown.barn()
    }
}

impl Remote for ToldSite {
    fn site(&self) -> String {
        self.shown.name.to_string()
    }

    fn process(&self) -> Process {
        let status = site_status(&self.shown, self.sync_interval);
        Process::Replica(ReplicaState {
            link: status.link.as_str(),
            lag_changes: status.lag_changes,
            barn_heard_at: status.barn_heard_at_us.map(iso_utc),
            digest_equal: self.shown.follow_status().digest_equal,
            stopped_because: status.stopped_because,
            copied: status.copied,
        })
    }
}
