//! The contract of every radio.

use crate::{Counters, Health, Packet, RadioError};
use std::future::Future;
use tokio::sync::watch;

/// A receiver of packets.
///
/// Every radio keeps the following contract. The module `contract` (feature `contract`) checks all of it but the last
/// point:
///
/// - **Length.** A packet has 1..=255 bytes. Empty or longer ones are never delivered.
/// - **Integrity.** The radio has verified the CRC. A packet with a wrong CRC is counted in
///   [`crc_errors`](crate::RadioCounters::crc_errors) and never delivered.
/// - **Order.** Packets are delivered in the order of their reception, and `received_at` never decreases.
/// - **Cancel safety.** The future of [`receive`](Radio::receive) may be dropped at any await point. No packet is lost
///   or delivered twice: the next call continues where this one stopped.
/// - **Counting.** [`received`](crate::RadioCounters::received) is the number of packets that `receive` returned.
/// - **Fairness.** `receive` yields to other tasks regularly, even if packets are always ready.
pub trait Radio: Send {
    /// Waits for the next packet.
    ///
    /// There is no timeout, because a barn may be silent for days. A radio that can fail monitors itself and reports a
    /// failure as its health. Cancel-safe.
    ///
    /// # Errors
    ///
    /// After [`RadioError::Closed`] or [`RadioError::Crashed`] every further call returns it again. After any other error
    /// the call may be repeated, and no received packet is lost. The packets that a crashed radio had queued come before
    /// its error.
    fn receive(&mut self) -> impl Future<Output = Result<Packet, RadioError>> + Send;

    /// Returns a handle on the counters and on the fill level of the queue, which can be read while the radio is receiving.
    fn counters(&self) -> Counters;

    /// Returns the health of the radio, which can be read while it is receiving. A radio that fails reports it here and
    /// sets itself up again, while `receive` keeps waiting.
    fn health(&self) -> watch::Receiver<Health>;
}
