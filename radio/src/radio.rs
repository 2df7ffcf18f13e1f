//! What every radio promises.

use crate::simulated::{AccountError, LedgerError};
use crate::sx127x::StartError;
use crate::{Counters, Health, Packet};
use std::future::Future;
use tokio::sync::watch;

/// Something that hears packets.
///
/// The promises, all but the last of which the module `contract` checks (feature `contract`):
///
/// - **Length.** A packet holds 1..=255 bytes. What is empty or longer is never delivered.
/// - **Whole.** The radio verified the CRC. A packet with a wrong one is counted in
///   [`crc_errors`](crate::RadioCounters::crc_errors) and never delivered.
/// - **Order.** Packets come in the order they were heard, and `received_at` never goes back.
/// - **Cancel safety.** The future of [`receive`](Radio::receive) may be dropped at any await. No packet is lost or
///   delivered twice by that: the next call goes on where this one stood.
/// - **Counting.** [`received`](crate::RadioCounters::received) is the number of packets that `receive` returned.
/// - **Fairness.** `receive` yields to other tasks now and then, even while packets are always ready.
pub trait Radio: Send {
    /// Waits for the next packet.
    ///
    /// There is no time-out in here, as a barn may be silent for days: a radio that can fail watches itself and
    /// says so. Cancel-safe.
    ///
    /// After [`RadioError::Closed`] every further call returns it again. After any other error the call may be
    /// repeated, and nothing that was heard is lost by that.
    fn receive(&mut self) -> impl Future<Output = Result<Packet, RadioError>> + Send;

    /// A handle on the counters, readable while the radio is receiving.
    fn counters(&self) -> Counters;

    /// How the radio is, readable while it is receiving. A radio that fails says so here, sets itself up again, and
    /// `receive` goes on waiting.
    fn health(&self) -> watch::Receiver<Health>;
}

/// Why a radio has no packet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RadioError {
    /// The radio has ended for good; asking again does not help. A simulation with an end does this, and a radio
    /// whose thread died, which is a defect.
    #[error("the radio has ended, and no further packet will come")]
    Closed,
    /// The simulation could not write down what it is about to deliver. The packet waits; asking again may help.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The driver of a simulated radio could not be started. Asking again may help.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A simulation has ended, and what its chip heard is not what was handed over: the driver has a defect. Asking
    /// again gives the same.
    #[error(transparent)]
    Unaccounted(#[from] AccountError),
}
