//! Sync: the one log, in order, to whoever follows it.
//!
//! The same code serves on daemon and mirror, so a mirror can follow a mirror. [`link`] is the seam between a
//! follower and the network: production puts HTTPS behind it, a simulated world puts a wire of its own there.

mod deliveries;
pub mod divergence;
mod export;
pub mod link;
pub mod live;
pub mod query;
pub mod serve;
mod socket;

pub use deliveries::{Delivered, Deliveries, Presence};

use herd::store::Reader;
use herd::wire::BarnHead;

/// What is served: a store that may be replaced by a newer copy while the process runs.
pub trait Served: Send + Sync {
    /// The store as it stands; none while there is no whole copy yet.
    fn reader(&self) -> Option<Reader>;

    /// What is known of the history's own barn.
    fn barn(&self) -> BarnHead;

    /// Counts what is taken from it.
    fn deliveries(&self) -> &Deliveries;
}

/// The barn itself: one store, and a count of the duplicates it heard.
pub struct OwnStore<D> {
    reader: Reader,
    duplicates: D,
    deliveries: Deliveries,
}

impl<D: Fn() -> u64 + Send + Sync> OwnStore<D> {
    /// Serves the store behind `reader`; `duplicates` counts the payloads that were duplicates, in all.
    pub fn new(reader: Reader, duplicates: D) -> Self {
        Self { reader, duplicates, deliveries: Deliveries::default() }
    }
}

impl<D: Fn() -> u64 + Send + Sync> Served for OwnStore<D> {
    fn reader(&self) -> Option<Reader> {
        Some(self.reader.clone())
    }

    fn barn(&self) -> BarnHead {
        let head = self.reader.head().position.sequence;
        BarnHead { head, age_ms: Some(0), duplicates: (self.duplicates)() }
    }

    fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }
}
