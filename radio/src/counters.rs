//! Counters of a radio.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one radio at one moment. Each counts from the start of the process and never decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RadioCounters {
    /// Packets that `receive` returned.
    pub received: u64,
    /// Packets dropped because their CRC was wrong.
    pub crc_errors: u64,
    /// Packets or frames dropped as malformed: without a CRC, empty, too long, garbage on a serial line, or overwritten
    /// by the next one before they could be read.
    pub malformed: u64,
    /// Packets found by polling, because the interrupt that should have announced them never came.
    pub rescued: u64,
    /// Times the radio was set up again, because it was in a wrong state or its bus had failed.
    pub rebuilt: u64,
}

/// A handle on the counters of a radio.
///
/// Clones share the counters, which can be read while the radio is receiving. The values are read one after the other,
/// so they may belong to slightly different moments.
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
    /// Returns the current counts.
    pub fn read(&self) -> RadioCounters {
        RadioCounters {
            received: self.0.received.load(Relaxed),
            crc_errors: self.0.crc_errors.load(Relaxed),
            malformed: self.0.malformed.load(Relaxed),
            rescued: self.0.rescued.load(Relaxed),
            rebuilt: self.0.rebuilt.load(Relaxed),
        }
    }

    /// Counts a packet that is about to be returned.
    pub fn count_received(&self) {
        self.0.received.fetch_add(1, Relaxed);
    }

    /// Counts a packet dropped because of its CRC.
    pub fn count_crc_error(&self) {
        self.0.crc_errors.fetch_add(1, Relaxed);
    }

    /// Counts a packet or a frame dropped as malformed.
    pub fn count_malformed(&self) {
        self.0.malformed.fetch_add(1, Relaxed);
    }

    /// Counts a packet whose interrupt was lost.
    pub fn count_rescued(&self) {
        self.0.rescued.fetch_add(1, Relaxed);
    }

    /// Counts a renewed set-up of the radio.
    pub fn count_rebuilt(&self) {
        self.0.rebuilt.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_handle_share_their_counters() {
        let counters = Counters::default();
        let radio_side = counters.clone();
        radio_side.count_received();
        radio_side.count_received();
        radio_side.count_crc_error();
        radio_side.count_malformed();
        radio_side.count_rescued();
        radio_side.count_rebuilt();
        assert_eq!(counters.read(), RadioCounters { received: 2, crc_errors: 1, malformed: 1, rescued: 1, rebuilt: 1 });
    }
}
