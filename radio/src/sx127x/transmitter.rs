//! The handle that transmits through a radio, and its requests to the chip's thread.
//!
//! The queue is bounded, each request is answered within a bounded time, and air time is spent against the legal budget
//! before the chip is touched.

use crate::MAX_PAYLOAD_BYTES;
use crate::lora::{AirTimeBudget, AirTimeError, Modulation, RemainingAirTime};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Maximum number of requests that wait for the chip; further ones fail with [`TransmitError::Busy`].
pub const MAX_QUEUED_TRANSMISSIONS: usize = 8;
/// Time that a transmission may take beyond its air time, for the synthesizer and the amplifier to start.
pub(super) const LEEWAY_MS: u64 = 100;
/// Allowance for a chip's thread that is between two steps of a pause, or in a transfer.
const MAX_STALL: Duration = Duration::from_secs(5);

/// Why a payload was not transmitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransmitError {
    /// The settings do not allow transmitting.
    #[error("this radio may not transmit: set `transmit = true` and a `region`")]
    Off,
    /// The payload is empty or too long.
    #[error("cannot transmit a payload of {bytes} bytes: 1 to 255 are allowed")]
    Length {
        /// Length of the payload.
        bytes: usize,
    },
    /// The queue is full, or the program does not take the received packets. Trying later may help.
    #[error("the radio is busy: transmissions are queued, or received packets are not taken; try later")]
    Busy,
    /// The law does not allow this transmission now.
    #[error("cannot transmit: {0}")]
    AirTime(#[from] AirTimeError),
    /// The radio is being set up.
    #[error("the radio cannot transmit now: {0}")]
    NotListening(String),
    /// The chip did not report the end of the transmission. The radio listens again.
    #[error(
        "the chip did not finish its transmission within {within_ms} ms; it may or may not have been sent; the radio listens again"
    )]
    TimedOut {
        /// Time that the chip was given.
        within_ms: u64,
    },
    /// The chip's thread does not answer: a transfer or a line hangs in the kernel.
    #[error(
        "the radio did not answer within {within_s} s; the payload may or may not have been sent; check the kernel log for SPI errors (`dmesg`), then restart the program"
    )]
    Unanswered {
        /// Time that the thread was given.
        within_s: u64,
    },
    /// The radio was dropped.
    #[error("the radio has shut down")]
    Ended,
}

/// A payload to transmit, and the channel for its outcome.
#[derive(Debug)]
pub(super) struct TransmitRequest {
    pub(super) payload: Vec<u8>,
    pub(super) outcome: oneshot::Sender<Result<(), TransmitError>>,
}

impl TransmitRequest {
    /// Sends the outcome; a caller that no longer waits needs none.
    pub(super) fn answer(self, outcome: Result<(), TransmitError>) {
        drop(self.outcome.send(outcome));
    }
}

/// The air time that a radio may still use, on the clock of this process. Without a budget there is no limit.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    budget: Option<Arc<Mutex<AirTimeBudget>>>,
    /// Origin of the budget's timestamps.
    origin: Instant,
}

impl Allowance {
    pub(super) fn new(budget: Option<AirTimeBudget>) -> Self {
        Self { budget: budget.map(|budget| Arc::new(Mutex::new(budget))), origin: Instant::now() }
    }

    pub(super) fn spend(&self, air_time: Duration) -> Result<(), AirTimeError> {
        self.budget().map_or(Ok(()), |mut budget| budget.spend(self.origin.elapsed(), air_time))
    }

    pub(super) fn record_end(&self) {
        if let Some(mut budget) = self.budget() {
            budget.record_end(self.origin.elapsed());
        }
    }

    fn remaining(&self) -> Option<RemainingAirTime> {
        self.budget()?.remaining(self.origin.elapsed())
    }

    fn budget(&self) -> Option<MutexGuard<'_, AirTimeBudget>> {
        let budget = self.budget.as_ref()?;
        Some(budget.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A handle that transmits through a radio. Clones share its queue.
#[derive(Clone, Debug)]
pub struct Transmitter {
    pub(super) requests: SyncSender<TransmitRequest>,
    pub(super) allowed: bool,
    pub(super) allowance: Allowance,
    /// Timeout after which a request counts as unanswered; see [`answer_timeout`].
    pub(super) answer_timeout: Duration,
}

/// Returns the time within which a live thread answers a request: the request, one in progress and a full queue, each
/// of the longest air time.
pub(super) fn answer_timeout(modulation: &Modulation) -> Duration {
    let each = modulation.air_time(u8::MAX) + Duration::from_millis(LEEWAY_MS);
    each * (u32::try_from(MAX_QUEUED_TRANSMISSIONS).unwrap_or(u32::MAX) + 2) + MAX_STALL
}

impl Transmitter {
    /// Transmits a payload of 1..=255 bytes and waits until it has been sent. The radio does not receive meanwhile.
    ///
    /// Not cancel-safe: if the future is dropped, the payload may still be transmitted, and its outcome is lost.
    pub async fn transmit(&self, payload: &[u8]) -> Result<(), TransmitError> {
        if !self.allowed {
            return Err(TransmitError::Off);
        }
        if !(1..=MAX_PAYLOAD_BYTES).contains(&payload.len()) {
            return Err(TransmitError::Length { bytes: payload.len() });
        }
        let (outcome, answer) = oneshot::channel();
        let request = TransmitRequest { payload: payload.to_vec(), outcome };
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => TransmitError::Busy,
            TrySendError::Disconnected(_) => TransmitError::Ended,
        })?;
        let Ok(answer) = tokio::time::timeout(self.answer_timeout, answer).await else {
            return Err(TransmitError::Unanswered { within_s: self.answer_timeout.as_secs() });
        };
        answer.unwrap_or(Err(TransmitError::Ended))
    }

    /// Returns what remains of the legal air time, by the limit with the smallest share left. `None` if no limit
    /// applies.
    pub fn air_time_left(&self) -> Option<RemainingAirTime> {
        self.allowance.remaining()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a caller that hangs with the chip's thread.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_the_thread_never_answers_times_out() {
        let (requests, _kept_and_never_read) = std::sync::mpsc::sync_channel(MAX_QUEUED_TRANSMISSIONS);
        let answer_timeout = answer_timeout(&Modulation::default());
        let transmitter = Transmitter { requests, allowed: true, allowance: Allowance::new(None), answer_timeout };
        let outcome = tokio::time::timeout(answer_timeout * 2, transmitter.transmit(b"is anybody there")).await;
        assert_eq!(outcome, Ok(Err(TransmitError::Unanswered { within_s: answer_timeout.as_secs() })));
    }
}
