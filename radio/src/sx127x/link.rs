//! The chip thread's end of the radio: queues, counters, health and the shutdown signal, all of them bounded.
//!
//! When the radio is full, the thread waits with 1,024 packets queued, and the chip overwrites what it receives
//! meanwhile. Dropping packets by choice was rejected: it loses the same packets and hides the loss. By then the
//! recorder is at least 13 s behind.

use super::error::ChipError;
use super::notes::Notes;
use super::transmitter::{Allowance, TransmitError, TransmitRequest};
use crate::{Counters, Health, HealthReporter, Packet};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Maximum number of packets that wait for `receive`: 13 s of back-to-back 16-byte packets at the fastest setting.
pub const MAX_QUEUED_PACKETS: usize = 1_024;
/// Interval at which a thread that waits for room checks the queue, in milliseconds of real time.
const ROOM_CHECK_MS: u64 = 2;

/// The chip thread's view of the radio that owns it.
pub(super) struct RadioLink {
    pub(super) packets: mpsc::Sender<Packet>,
    pub(super) requests: Receiver<TransmitRequest>,
    pub(super) allowance: Allowance,
    pub(super) counters: Counters,
    pub(super) health: HealthReporter,
    pub(super) errors: watch::Sender<Option<Arc<ChipError>>>,
    pub(super) shutdown: Shutdown,
    pub(super) notes: Notes,
}

impl RadioLink {
    /// Hands a packet to the radio, waiting for room if the queue is full. Returns false once the radio shuts down.
    pub(super) fn hand_over(&mut self, packet: Option<Packet>) -> bool {
        let Some(mut packet) = packet else { return true };
        loop {
            packet = match self.packets.try_send(packet) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(packet)) => packet,
            };
            self.refuse_requests(|| TransmitError::Busy);
            if self.shutdown.wait(Duration::from_millis(ROOM_CHECK_MS)) {
                return false;
            }
        }
    }

    /// Answers every queued transmit request with an error.
    pub(super) fn refuse_requests(&self, error: impl Fn() -> TransmitError) {
        for request in self.requests.try_iter() {
            request.answer(Err(error()));
        }
    }

    /// Reports that the radio does not receive, and why.
    pub(super) fn report_failing(&self, error: ChipError) {
        // Logged at debug level: every retry says the same, and the caller that follows the health logs it once, with
        // the radio's name.
        tracing::debug!(%error, "the radio does not receive; setting it up again");
        let sentence = error.to_string();
        // The typed error goes first: a task that wakes on the health change finds it in place.
        self.errors.send_replace(Some(Arc::new(error)));
        self.health.report(Health::Failing(sentence));
    }

    /// Reports an error that does not stop the radio from receiving.
    pub(super) fn report_degraded(&self, error: ChipError) {
        tracing::warn!(%error, "radio degraded: still receiving");
        self.errors.send_replace(Some(Arc::new(error)));
    }

    /// Reports that the radio receives, and what its packets show.
    pub(super) fn report_listening(&self) {
        self.health.report(self.notes.sentence().map_or(Health::Listening, Health::Degraded));
    }
}

/// The signal that ends the chip's thread. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shutdown(Arc<(Mutex<bool>, Condvar)>);

impl Shutdown {
    pub(super) fn request(&self) {
        *self.requested() = true;
        self.0.1.notify_all();
    }

    pub(super) fn is_requested(&self) -> bool {
        *self.requested()
    }

    /// Waits for at most `at_most` of real time. Returns true if the shutdown is requested.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let outcome = self.0.1.wait_timeout_while(self.requested(), at_most, |requested| !*requested);
        *outcome.unwrap_or_else(PoisonError::into_inner).0
    }

    fn requested(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
