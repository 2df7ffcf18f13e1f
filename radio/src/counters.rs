//! What a radio counts while it listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one radio at one moment. Each counts from the start of the process and never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RadioCounters {
    /// Packets that `receive` handed over.
    pub received: u64,
    /// Packets whose CRC was wrong: dropped, and known only from this count.
    pub crc_errors: u64,
    /// Packets or frames dropped as malformed: without a CRC, without a payload, overlong, garbage on a line, overwritten
    /// by the next one before they could be read.
    pub malformed: u64,
    /// Packets found by looking, although the interrupt that should have announced them never came.
    pub rescued: u64,
    /// Times the radio was found in a wrong state, or its bus gone, and was set up again from the start.
    pub rebuilt: u64,
}

/// A handle on the counters of a radio.
///
/// Clones count together, and can be read while the radio is receiving. The values are read one after the
/// other: each is right, but they need not be of the same instant.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    received: AtomicU64,
    crc_errors: AtomicU64,
    malformed: AtomicU64,
    rescued: AtomicU64,
    rebuilt: AtomicU64,
}

impl Counters {
    /// All counts as they stand.
    pub fn read(&self) -> RadioCounters {
        RadioCounters {
            received: self.0.received.load(Relaxed),
            crc_errors: self.0.crc_errors.load(Relaxed),
            malformed: self.0.malformed.load(Relaxed),
            rescued: self.0.rescued.load(Relaxed),
            rebuilt: self.0.rebuilt.load(Relaxed),
        }
    }

    /// Counts a packet that is about to be handed over.
    pub fn count_received(&self) {
        self.0.received.fetch_add(1, Relaxed);
    }

    /// Counts a packet dropped for its CRC.
    pub fn count_crc_error(&self) {
        self.0.crc_errors.fetch_add(1, Relaxed);
    }

    /// Counts a packet or a frame dropped as malformed.
    pub fn count_malformed(&self) {
        self.0.malformed.fetch_add(1, Relaxed);
    }

    /// Counts a packet whose announcement was lost.
    pub fn count_rescued(&self) {
        self.0.rescued.fetch_add(1, Relaxed);
    }

    /// Counts a radio set up again.
    pub fn count_rebuilt(&self) {
        self.0.rebuilt.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_handle_count_together() {
        let counters = Counters::default();
        let kept_by_the_radio = counters.clone();
        kept_by_the_radio.count_received();
        kept_by_the_radio.count_received();
        kept_by_the_radio.count_crc_error();
        kept_by_the_radio.count_malformed();
        kept_by_the_radio.count_rescued();
        kept_by_the_radio.count_rebuilt();
        assert_eq!(counters.read(), RadioCounters { received: 2, crc_errors: 1, malformed: 1, rescued: 1, rebuilt: 1 });
    }
}
