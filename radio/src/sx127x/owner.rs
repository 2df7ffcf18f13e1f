//! The chip's thread and the radio that owns it: what goes from one to the other, all of it bounded.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use std::sync::mpsc::Receiver;
use tokio::sync::{mpsc, watch};

use super::fault::Fault;
use super::transmit::{Allowance, Order, TransmitError};
use crate::{Counters, Health, Packet, Reporting};

/// Packets that wait for `receive`. At the fastest setting 13 s of back-to-back packets of 16 bytes.
pub const WAITING_PACKETS: usize = 1_024;
/// So often a thread that waits for room looks for it, in milliseconds of real time.
const ROOM_LOOK_MS: u64 = 2;

/// What the thread sees of the radio.
pub(super) struct Owner {
    pub(super) packets: mpsc::Sender<Packet>,
    pub(super) orders: Receiver<Order>,
    pub(super) allowance: Allowance,
    pub(super) counters: Counters,
    pub(super) health: Reporting,
    pub(super) faults: watch::Sender<Option<Arc<Fault>>>,
    pub(super) stop: Stop,
}

impl Owner {
    /// Hands a packet over, and waits for room where there is none. False when the owner wants no more.
    pub(super) fn hand_over(&mut self, packet: Option<Packet>) -> bool {
        let Some(mut packet) = packet else { return true };
        loop {
            packet = match self.packets.try_send(packet) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(packet)) => packet,
            };
            self.refuse_orders(|| TransmitError::Busy);
            if self.stop.wait(Duration::from_millis(ROOM_LOOK_MS)) {
                return false;
            }
        }
    }

    /// Answers all that wait to be transmitted with an error.
    pub(super) fn refuse_orders(&self, error: impl Fn() -> TransmitError) {
        for order in self.orders.try_iter() {
            order.answer(Err(error()));
        }
    }

    /// The radio does not hear, and why.
    pub(super) fn report_failing(&self, fault: Fault) {
        // Each try says the same; whoever follows the health says it once, and of which radio.
        tracing::debug!(error = %fault, "the radio does not hear and is set up again");
        let sentence = fault.to_string();
        // The type first: who wakes by the health finds it there.
        self.faults.send_replace(Some(Arc::new(fault)));
        self.health.report(Health::Failing(sentence));
    }

    /// Something is wrong, and the radio hears all the same.
    pub(super) fn report_nuisance(&self, fault: Fault) {
        tracing::warn!(error = %fault, "the radio hears, and something is wrong with it");
        self.faults.send_replace(Some(Arc::new(fault)));
    }

    pub(super) fn report_listening(&self) {
        self.health.report(Health::Listening);
    }
}

/// The wish that a thread ends. Clones wish together.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub(super) fn wish(&self) {
        *self.wished() = true;
        self.0.1.notify_all();
    }

    pub(super) fn is_wished(&self) -> bool {
        *self.wished()
    }

    /// Waits so long in real time, or until it is wished. True if it is.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let outcome = self.0.1.wait_timeout_while(self.wished(), at_most, |wished| !*wished);
        *outcome.unwrap_or_else(PoisonError::into_inner).0
    }

    fn wished(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
