//! The status that a follower publishes.

use herd::fold::FOLD_VERSION;
use herd::store::Head;
use herd::wire::{BarnHead, Heartbeat};
use serde::Serialize;
use service::sync::divergence::Divergence;
use tokio::time::Instant;

/// State of the link to a barn.
///
/// A follower reports every state but `Copying`. The status of a site (`sites::SiteStatus`) adds what the site's copies
/// and its task know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// No live connection: changes are fetched by pulls.
    #[default]
    Pulling,
    /// Connected: each change arrives as the barn commits it.
    Live,
    /// The barn is unreachable, or its replies are invalid.
    Away,
    /// Following has ended. For a site: replication has stopped until an operator decides.
    Stopped,
    /// The first copy of the barn, or a new one, is being made.
    Copying,
}

impl LinkState {
    /// Returns the name in JSON and in the style sheet.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulling => "pulling",
            Self::Live => "live",
            Self::Away => "away",
            Self::Stopped => "stopped",
            Self::Copying => "copying",
        }
    }
}

/// Status of a follower. A sync is one pull, or one page received live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// State of the link to the barn.
    pub link: LinkState,
    /// Syncs attempted.
    pub total_syncs: u64,
    /// Syncs that succeeded.
    pub successful_syncs: u64,
    /// Syncs and connections that failed.
    pub failed_syncs: u64,
    /// Changes received that were new to the copy.
    pub total_records_synced: u64,
    /// Time of the last successful sync, in microseconds since the Unix epoch.
    pub last_sync_at_us: Option<i64>,
    /// The last report about the barn.
    pub barn: Option<BarnReport>,
    /// Result of the last comparison of tables with the barn. Tables are comparable only at the same sequence and with
    /// the same fold version.
    pub digest_equal: Option<bool>,
    /// Error of the last attempt, or `None` if it succeeded.
    pub last_error: Option<String>,
    /// The divergence that ended the follower.
    pub diverged: Option<Divergence>,
}

/// The last report about the barn, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarnReport {
    /// The reported state.
    pub barn: BarnHead,
    /// Arrival by this machine's wall clock, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Arrival by the monotonic clock, which nobody can set.
    pub at: Instant,
}

impl BarnReport {
    /// Returns the reported state with its age increased by the time since the report, for passing it on.
    pub fn aged(&self) -> BarnHead {
        let since_ms = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        BarnHead { age_ms: self.barn.age_ms.map(|age| age.saturating_add(since_ms)), ..self.barn }
    }
}

/// Compares the tables of both sides. Returns `None` unless both are at the same change and of the same fold version.
pub(super) fn tables_equal(own: &Head, theirs: &Heartbeat) -> Option<bool> {
    let comparable = own.folded == theirs.folded && theirs.fold_version == FOLD_VERSION;
    comparable.then(|| own.fold_digest == theirs.fold_digest && own.position.store == theirs.position.store)
}
