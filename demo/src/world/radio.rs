//! The radio of a barn.
//!
//! The radio hands over the packets that a chip would. The emulated chip has a driver's thread of its own, and a world has one
//! thread; the loop from the radio to the recorder is the shipped one.

use super::seams::BranchLedger;
use herd::store::Reader;
use radio::{Counters, Health, HealthReporter, Packet, Radio, RadioError};
use service::lifecycle::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Number of packets that wait in the radio. A chip's driver has room for 1,024.
pub(super) const AIR_PACKETS: usize = 64;

/// A radio that hands over what the readers send.
pub(super) struct WorldRadio {
    packets: mpsc::Receiver<Vec<u8>>,
    /// The packet that was handed over last. It must be in the log once the next one is asked for.
    in_hand: Option<Vec<u8>>,
    ledger: BranchLedger,
    log: Reader,
    shutdown: Shutdown,
    health: HealthReporter,
}

impl WorldRadio {
    pub(super) fn new(packets: mpsc::Receiver<Vec<u8>>, ledger: BranchLedger, log: Reader, shutdown: Shutdown) -> Self {
        Self { packets, in_hand: None, ledger, log, shutdown, health: HealthReporter::default() }
    }
}

impl Radio for WorldRadio {
    async fn receive(&mut self) -> Result<Packet, RadioError> {
        // At a shutdown, packets are recorded together.
        if let Some(raw) = self.in_hand.take()
            && !self.shutdown.is_requested()
        {
            self.ledger.note_packet(&raw, &self.log);
        }
        let raw = self.packets.recv().await.ok_or(RadioError::Closed)?;
        self.in_hand = Some(raw.clone());
        Ok(Packet {
            bytes: raw,
            rssi_dbm: Some(-80),
            snr_quarter_db: None,
            frequency_error_hz: None,
            received_at: Instant::now(),
        })
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}
