//! What a follower tells about itself.

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

/// A follower, as it is shown. A sync is one pull, or one page that came live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// How it stands to its barn.
    pub link: LinkState,
    /// Syncs tried.
    pub total_syncs: u64,
    /// Syncs that ended well.
    pub successful_syncs: u64,
    /// Syncs and connections that did not.
    pub failed_syncs: u64,
    /// Changes that were new here.
    pub total_records_synced: u64,
    /// When the last sync ended well, microseconds since 1970 UTC.
    pub last_sync_at_us: Option<i64>,
    /// What was last heard of the barn.
    pub barn: Option<Heard>,
    /// Whether both sides made the same tables, where that could be compared: at one sequence, by one fold.
    pub digest_equal: Option<bool>,
    /// Why the last try failed; none while all is well.
    pub last_error: Option<String>,
    /// Why it stopped.
    pub diverged: Option<Divergence>,
}

/// The barn, as it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it said.
    pub barn: BarnHead,
    /// When, by this machine's wall clock, microseconds since 1970 UTC.
    pub at_us: i64,
    /// When, by time that no one can set.
    pub at: Instant,
}

impl Heard {
    /// The barn's head as it is passed on: older by the time since it was heard.
    pub fn passed_on(&self) -> BarnHead {
        let since_ms = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        BarnHead { age_ms: self.barn.age_ms.map(|age| age.saturating_add(since_ms)), ..self.barn }
    }
}

/// Compares the tables of both sides, where they stand at the same change and are made by the same fold.
pub(super) fn tables_equal(own: &Head, theirs: &Heartbeat) -> Option<bool> {
    let comparable = own.folded == theirs.folded && theirs.fold_version == FOLD_VERSION;
    comparable.then(|| own.fold_digest == theirs.fold_digest && own.position.store == theirs.position.store)
}
