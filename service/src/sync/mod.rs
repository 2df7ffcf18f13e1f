//! Sync: serves the one log, in order, to followers.
//!
//! Daemon and mirror serve with the same code, so a mirror can follow a mirror. [`link`] is the seam between a follower
//! and the network: production puts HTTPS behind it, a simulated world its own wire.
//!
//! | module | holds |
//! |---|---|
//! | [`serve`] | the four calls: schema, changes, full export, live |
//! | [`query`] | a position in the query of a URL |
//! | [`divergence`] | the check of a follower's position, and the kinds of divergence |
//! | [`live`] | the source's side of a live connection |
//! | `export` | a whole history as one response |
//! | [`lost_end`] | the call by which a follower shows a barn that it lost changes |
//! | [`refusal`] | the answer of a source that refuses |
//! | [`link`] | the follower's side of the network, as traits |

pub mod divergence;
mod export;
pub mod link;
pub mod live;
pub mod lost_end;
pub mod query;
pub mod refusal;
pub mod serve;
mod socket;
mod stats;
#[cfg(test)]
mod tests;

pub use stats::{ConnectionGuard, SyncCounts, SyncStats};

use herd::store::Reader;
use herd::wire::{BarnHead, BarnHealth};

/// A store to serve; a newer copy may replace it while the process runs.
pub trait Served: Send + Sync {
    /// Returns the current store, or the reason why there is none at the moment.
    fn reader(&self) -> Result<Reader, NotServedError>;

    /// Returns the barn's head and duplicate count as this process last learned them, with their age.
    fn barn_head(&self) -> BarnHead;

    /// Returns the barn's health as this process last learned it, with its age.
    fn barn_health(&self) -> BarnHealth {
        BarnHealth::default()
    }

    /// Returns the counters of this store's deliveries.
    fn sync_stats(&self) -> &SyncStats;
}

/// Reason why a process has no store to serve at the moment.
///
/// The reasons are kept apart because an operator acts on them: "no copy yet" about a copy that is only being opened
/// would read as a loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServedError {
    /// No copy of the barn has been complete yet.
    #[error("the first copy is not complete yet")]
    NoCopy,
    /// The copy is complete and is being opened, with its progress. An upgrade may have to fold its tables again.
    #[error("{0}")]
    Opening(String),
    /// The copy is complete and cannot be opened.
    #[error("the copy of the barn cannot be opened; the log says why")]
    Unreadable,
}

/// The barn's own store, with the number of duplicates that the barn received.
pub struct OwnStore<D> {
    reader: Reader,
    duplicates: D,
    stats: SyncStats,
}

impl<D: Fn() -> u64 + Send + Sync> OwnStore<D> {
    /// Serves the store behind `reader`; `duplicates` returns the total number of duplicate payloads.
    pub fn new(reader: Reader, duplicates: D) -> Self {
        Self { reader, duplicates, stats: SyncStats::default() }
    }
}

impl<D: Fn() -> u64 + Send + Sync> Served for OwnStore<D> {
    fn reader(&self) -> Result<Reader, NotServedError> {
        Ok(self.reader.clone())
    }

    fn barn_head(&self) -> BarnHead {
        let head = self.reader.head().position.sequence;
        BarnHead { head, age_ms: Some(0), duplicates: (self.duplicates)() }
    }

    fn sync_stats(&self) -> &SyncStats {
        &self.stats
    }
}
