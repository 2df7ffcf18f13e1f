//! Counters of what a store has delivered, and of its open connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Values of [`SyncStats`]: totals since the process started, and the connections that are open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncCounts {
    /// Pages of changes: pulled, exported or live.
    pub pages: u64,
    /// Changes on these pages.
    pub changes: u64,
    /// Event messages; an event that goes to several listeners counts once for each.
    pub events: u64,
    /// Live connections of followers.
    pub followers: u64,
    /// Connections that receive events.
    pub listeners: u64,
}

/// Handle on the counters of one store; clones share them.
///
/// The values are read one after the other. Each is exact, but they may be from slightly different moments.
#[derive(Clone, Debug, Default)]
pub struct SyncStats(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    pages: AtomicU64,
    changes: AtomicU64,
    events: AtomicU64,
    followers: AtomicU64,
    listeners: AtomicU64,
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub struct ConnectionGuard {
    cells: Arc<Cells>,
    cell: fn(&Cells) -> &AtomicU64,
}

impl SyncStats {
    /// Returns the current values.
    pub fn counts(&self) -> SyncCounts {
        let cells = &self.0;
        SyncCounts {
            pages: cells.pages.load(Relaxed),
            changes: cells.changes.load(Relaxed),
            events: cells.events.load(Relaxed),
            followers: cells.followers.load(Relaxed),
            listeners: cells.listeners.load(Relaxed),
        }
    }

    /// Counts a page that holds `changes` changes.
    pub fn count_page(&self, changes: usize) {
        self.0.pages.fetch_add(1, Relaxed);
        self.0.changes.fetch_add(changes as u64, Relaxed);
    }

    /// Counts an event that was sent to one listener.
    pub fn count_event(&self) {
        self.0.events.fetch_add(1, Relaxed);
    }

    /// Counts a follower's live connection until the guard is dropped.
    pub fn add_follower(&self) -> ConnectionGuard {
        ConnectionGuard::new(self.0.clone(), |cells| &cells.followers)
    }

    /// Counts a listener's connection until the guard is dropped.
    pub fn add_listener(&self) -> ConnectionGuard {
        ConnectionGuard::new(self.0.clone(), |cells| &cells.listeners)
    }
}

impl ConnectionGuard {
    fn new(cells: Arc<Cells>, cell: fn(&Cells) -> &AtomicU64) -> Self {
        cell(&cells).fetch_add(1, Relaxed);
        Self { cells, cell }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        (self.cell)(&self.cells).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches connections that stay counted after they end, and totals that a closed connection takes along.
    #[test]
    fn a_closed_connection_is_no_longer_counted_and_totals_remain() {
        let stats = SyncStats::default();
        let (follower, _listener) = (stats.add_follower(), stats.clone().add_listener());
        stats.count_page(3);
        stats.count_page(0);
        stats.count_event();
        let expected = SyncCounts { pages: 2, changes: 3, events: 1, followers: 1, listeners: 1 };
        assert_eq!(stats.counts(), expected);
        drop(follower);
        assert_eq!(stats.counts(), SyncCounts { followers: 0, ..expected });
    }
}
