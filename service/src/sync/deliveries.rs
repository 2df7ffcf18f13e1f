//! What was taken from a store, and who is connected to take more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was delivered since the start of the process, and who is connected now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Pages of changes, pulled, exported or live.
    pub pages: u64,
    /// Changes on them.
    pub changes: u64,
    /// Events told, each once for everybody who listens.
    pub events: u64,
    /// Live connections of followers.
    pub followers: u64,
    /// Connections that events are told to.
    pub listeners: u64,
}

/// A handle on the counts; clones count together. The values are read one after the other: each is right, but they
/// need not be of the same instant.
#[derive(Clone, Debug, Default)]
pub struct Deliveries(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    pages: AtomicU64,
    changes: AtomicU64,
    events: AtomicU64,
    followers: AtomicU64,
    listeners: AtomicU64,
}

/// Somebody who is connected, until it is dropped.
#[derive(Debug)]
pub struct Presence {
    cells: Arc<Cells>,
    of: fn(&Cells) -> &AtomicU64,
}

impl Deliveries {
    /// All counts as they stand.
    pub fn read(&self) -> Delivered {
        let cells = &self.0;
        Delivered {
            pages: cells.pages.load(Relaxed),
            changes: cells.changes.load(Relaxed),
            events: cells.events.load(Relaxed),
            followers: cells.followers.load(Relaxed),
            listeners: cells.listeners.load(Relaxed),
        }
    }

    /// Counts a page with so many changes.
    pub fn count_page(&self, changes: usize) {
        self.0.pages.fetch_add(1, Relaxed);
        self.0.changes.fetch_add(changes as u64, Relaxed);
    }

    /// Counts an event told to one listener.
    pub fn count_event(&self) {
        self.0.events.fetch_add(1, Relaxed);
    }

    /// Counts a live connection for as long as the answer is kept.
    pub fn follower(&self) -> Presence {
        Presence::new(self.0.clone(), |cells| &cells.followers)
    }

    /// Counts a connection that events are told to for as long as the answer is kept.
    pub fn listener(&self) -> Presence {
        Presence::new(self.0.clone(), |cells| &cells.listeners)
    }
}

impl Presence {
    fn new(cells: Arc<Cells>, of: fn(&Cells) -> &AtomicU64) -> Self {
        of(&cells).fetch_add(1, Relaxed);
        Self { cells, of }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        (self.of)(&self.cells).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_gone_is_counted_no_more_and_what_was_delivered_stays_counted() {
        let deliveries = Deliveries::default();
        let (follower, _listener) = (deliveries.follower(), deliveries.clone().listener());
        deliveries.count_page(3);
        deliveries.count_page(0);
        deliveries.count_event();
        let expected = Delivered { pages: 2, changes: 3, events: 1, followers: 1, listeners: 1 };
        assert_eq!(deliveries.read(), expected);
        drop(follower);
        assert_eq!(deliveries.read(), Delivered { followers: 0, ..expected });
    }
}
