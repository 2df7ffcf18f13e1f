//! What the pages need to know of the process around them.

use herd::position::Position;
use herd::store::Reader;

/// The sites that this office follows.
pub trait Office: Send + Sync {
    /// The names of the paired sites, in the order in which they are shown.
    fn sites(&self) -> Vec<String>;

    /// A handle on the copy of a site; none while there is no whole one yet.
    fn reader(&self, site: &str) -> Option<Reader>;

    /// How the sync with a site goes; none for a site that is not paired.
    fn status(&self, site: &str) -> Option<SiteStatus>;
}

/// The link to a barn, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// The live connection stands: changes come as they are kept.
    Live,
    /// No live connection; changes are asked for at intervals.
    Pulling,
    /// The barn cannot be reached.
    Away,
    /// Following has stopped: the histories differ, and an operator must look.
    Stopped,
    /// The first copy, or a new one, is being made.
    Copying,
}

impl LinkState {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "Live",
            Self::Pulling => "Pulling",
            Self::Away => "Away",
            Self::Stopped => "Stopped",
            Self::Copying => "Copying",
        }
    }

    /// The name in JSON and in the style sheet.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Pulling => "pulling",
            Self::Away => "away",
            Self::Stopped => "stopped",
            Self::Copying => "copying",
        }
    }

    /// What it means, as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Live => "Reads arrive here as the barn keeps them.",
            Self::Pulling => "The barn is asked for new reads at intervals.",
            Self::Away => "The barn cannot be reached. What it keeps meanwhile arrives when it is back.",
            Self::Stopped => "Following has stopped. An operator must look at it.",
            Self::Copying => "A copy of the barn is being made.",
        }
    }
}

/// Payloads that the barn held already: they make no change, so that a copy knows of them what the barn says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HeardDuplicates {
    /// How many, in all.
    pub count: u64,
    /// How long ago the barn said so, milliseconds.
    pub age_ms: Option<u64>,
}

/// How the sync with one site goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteStatus {
    /// The site.
    pub name: String,
    /// Whether its follower runs.
    pub running: bool,
    /// How often it asks while there is no live connection, seconds.
    pub sync_interval_s: u64,
    /// When it last asked or was told with success, microseconds since 1970 UTC.
    pub last_sync_time: Option<i64>,
    /// Syncs tried.
    pub total_syncs: u64,
    /// Those of them that succeeded.
    pub successful_syncs: u64,
    /// Those of them that failed.
    pub failed_syncs: u64,
    /// Changes that came.
    pub total_records_synced: u64,
    /// The link.
    pub link: LinkState,
    /// What is durable here.
    pub head: Option<Position>,
    /// The last change that the barn is known to hold.
    pub barn_head: Option<u64>,
    /// How many changes this copy is behind it.
    pub lag_changes: Option<u64>,
    /// When the barn was last heard, microseconds since 1970 UTC.
    pub barn_heard_at_us: Option<i64>,
    /// What the barn counted as duplicates, as far as it was heard.
    pub duplicates: Option<HeardDuplicates>,
    /// Why following has stopped, and what to do.
    pub stopped_because: Option<String>,
    /// Why the tables stand before the log, and what to do.
    pub blocked: Option<String>,
    /// Of a copy that is being made: changes that came, and how many there are.
    pub copied: Option<(u64, u64)>,
}
