//! Counters of a radio, and the fill level of its queue.

use crate::Packet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// The counters of one radio at one moment. Each counts from the start of the process and never decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RadioCounters {
    /// Packets that `receive` returned.
    pub received: u64,
    /// Packets dropped because their CRC was wrong.
    pub crc_errors: u64,
    /// Packets that were sent without a CRC. They are dropped, unless the settings make the CRC optional.
    pub without_crc: u64,
    /// Packets or frames dropped as malformed: empty, too long, garbage on a serial line, overwritten by the next one before
    /// they could be read, or, at a serial port, whole but without a place in a full queue.
    pub malformed: u64,
    /// Packets found by polling, because the interrupt that should have announced them never came.
    pub rescued: u64,
    /// Times the radio was set up again, because it was in a wrong state or its bus had failed.
    pub rebuilt: u64,
    /// Times an idle receiver was restarted as a precaution, because it had received nothing for a long time.
    pub refreshed: u64,
    /// Payloads of a serial line that lacked their end. They are delivered with a mark that no payload contains.
    pub cut: u64,
}

/// Fill level of the queue in which packets wait for `receive`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLevel {
    /// Packets that wait.
    pub packets: usize,
    /// Maximum of `packets`. At that level the radio takes no more, and packets are lost.
    pub capacity: usize,
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
    without_crc: AtomicU64,
    malformed: AtomicU64,
    rescued: AtomicU64,
    rebuilt: AtomicU64,
    refreshed: AtomicU64,
    cut: AtomicU64,
    /// The queue, as long as the radio holds its sender.
    queue: OnceLock<mpsc::WeakSender<Packet>>,
}

impl Counters {
    /// Returns the current counts.
    pub fn read(&self) -> RadioCounters {
        RadioCounters {
            received: self.0.received.load(Relaxed),
            crc_errors: self.0.crc_errors.load(Relaxed),
            without_crc: self.0.without_crc.load(Relaxed),
            malformed: self.0.malformed.load(Relaxed),
            rescued: self.0.rescued.load(Relaxed),
            rebuilt: self.0.rebuilt.load(Relaxed),
            refreshed: self.0.refreshed.load(Relaxed),
            cut: self.0.cut.load(Relaxed),
        }
    }

    /// Returns the fill level of the radio's queue. Both numbers are 0 before the radio has started and after its end.
    pub fn queue(&self) -> QueueLevel {
        let queue = self.0.queue.get().and_then(mpsc::WeakSender::upgrade);
        queue.map_or_else(QueueLevel::default, |queue| {
            let capacity = queue.max_capacity();
            QueueLevel { packets: capacity.saturating_sub(queue.capacity()), capacity }
        })
    }

    /// Sets the queue whose fill level is reported. A radio has one, so only the first call counts.
    pub fn watch_queue(&self, queue: &mpsc::Sender<Packet>) {
        // An error means that there is one already.
        let _ = self.0.queue.set(queue.downgrade());
    }

    /// Counts a packet that is about to be returned.
    pub fn count_received(&self) {
        self.0.received.fetch_add(1, Relaxed);
    }

    /// Counts a packet dropped because of its CRC.
    pub fn count_crc_error(&self) {
        self.0.crc_errors.fetch_add(1, Relaxed);
    }

    /// Counts a packet that was sent without a CRC.
    pub fn count_without_crc(&self) {
        self.0.without_crc.fetch_add(1, Relaxed);
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

    /// Counts a restart of an idle receiver.
    pub fn count_refreshed(&self) {
        self.0.refreshed.fetch_add(1, Relaxed);
    }

    /// Counts a payload that lacks its end.
    pub fn count_cut(&self) {
        self.0.cut.fetch_add(1, Relaxed);
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
        radio_side.count_without_crc();
        radio_side.count_refreshed();
        radio_side.count_cut();
        let expected = RadioCounters {
            received: 2,
            crc_errors: 1,
            without_crc: 1,
            malformed: 1,
            rescued: 1,
            rebuilt: 1,
            refreshed: 1,
            cut: 1,
        };
        assert_eq!(counters.read(), expected);
    }

    /// Catches a level that counts packets which were taken, and one that outlives its radio.
    #[test]
    fn the_queue_has_the_packets_that_wait_while_the_radio_lives() {
        let (counters, (sender, mut packets)) = (Counters::default(), mpsc::channel(4));
        assert_eq!(counters.queue(), QueueLevel::default());
        counters.watch_queue(&sender);
        for byte in 0..3 {
            let received_at = tokio::time::Instant::now();
            let (rssi_dbm, snr_quarter_db, frequency_error_hz) = (None, None, None);
            let packet = Packet { bytes: vec![byte], rssi_dbm, snr_quarter_db, frequency_error_hz, received_at };
            sender.try_send(packet).unwrap();
        }
        packets.try_recv().unwrap();
        assert_eq!(counters.clone().queue(), QueueLevel { packets: 2, capacity: 4 });
        drop(sender);
        assert_eq!(counters.queue(), QueueLevel::default());
    }
}
