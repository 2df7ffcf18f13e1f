//! Transmitting: off unless the settings allow it, bounded in time, and back to listening whatever comes of it.

use std::ops::RangeInclusive;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedded_hal_02::blocking::delay::DelayMs;
use tokio::sync::oneshot;

use super::convert::IrqFlags;
use super::fault::Fault;
use super::owner::{Owner, Stop};
use super::receive::Drained;
use super::register::{Register, TX_BASE, dio0, op_mode};
use super::setup::{Chip, carrier_bytes, refuse_dead};
use crate::MAX_PAYLOAD_BYTES;
use crate::board::{Board, EdgeLine, Wake};
use crate::lora::{AirTimeBudget, Left, Modulation, NotYet};

/// Orders that wait for the chip.
pub const WAITING_ORDERS: usize = 8;
/// A transmission may take so much longer than its air time: the synthesizer and the amplifier have to rise.
const LEEWAY_MS: u64 = 100;
/// The chip's thread may be between two pieces of a pause, or in a transfer.
const STANDS_STILL: Duration = Duration::from_secs(5);
/// The longest wait before the flags are looked at, in milliseconds of the board's clock.
const LOOK_MS: u64 = 50;
/// From the mode to the flags.
const FLAGS_BYTES: usize = (Register::IrqFlags.address() - Register::OpMode.address()) as usize + 1;
/// After an edge that brought nothing so much is waited, in milliseconds: a line that chatters neither keeps the thread
/// busy nor cuts a transmission short.
const EDGE_PAUSE_MS: u8 = 1;

/// That the radio may transmit, and how strongly. Whether it is lawful is judged by [`crate::lora`]'s regions before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransmitSettings {
    /// At the module's antenna pin, in dBm: 2..=17, or 20 (data sheet, sections 5.4.2 and 5.4.3).
    pub power_dbm: u8,
}

impl TransmitSettings {
    /// What the boosted output can do without its high-power mode, in dBm.
    pub const CONTINUOUS_DBM: RangeInclusive<u8> = 2..=17;
    /// The high-power mode, in dBm; at most 1 % of the time (data sheet, section 5.4.3).
    pub const HIGH_DBM: u8 = 20;

    /// Whether the chip can do this.
    pub fn is_possible(&self) -> bool {
        Self::CONTINUOUS_DBM.contains(&self.power_dbm) || self.power_dbm == Self::HIGH_DBM
    }
}

/// Why a payload was not transmitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransmitError {
    /// The settings do not allow it.
    #[error("this radio does not transmit: its settings do not allow it; set `transmit = true` and a region")]
    Off,
    /// Empty or too long.
    #[error("a payload of {bytes} bytes cannot be transmitted: 1 to 255 are possible")]
    Length {
        /// So long it was.
        bytes: usize,
    },
    /// Others wait to be transmitted already, or nobody takes what was heard. Trying later may help.
    #[error("the radio is busy: others wait to be transmitted, or nobody takes what was heard; try later")]
    Busy,
    /// The law lets nothing so long be sent now.
    #[error("nothing is transmitted: {0}")]
    NotYet(#[from] NotYet),
    /// The radio is being set up.
    #[error("the radio cannot transmit now: {0}")]
    NotListening(String),
    /// The chip did not say that the packet has left. It listens again.
    #[error(
        "the chip did not end its transmission within {within_ms} ms; whether it was heard is unknown; the radio listens again"
    )]
    TimedOut {
        /// So long it was waited.
        within_ms: u64,
    },
    /// The chip's thread says nothing any more: a transfer or a line hangs in the system.
    #[error(
        "the radio gave no answer within {within_s} s; whether the payload was transmitted is unknown; see what the kernel says about SPI (`dmesg`), and start the program again"
    )]
    Unanswered {
        /// So long it was waited.
        within_s: u64,
    },
    /// The radio was dropped.
    #[error("the radio has ended")]
    Ended,
}

/// A payload to be transmitted, and who waits for the outcome.
#[derive(Debug)]
pub(super) struct Order {
    payload: Vec<u8>,
    outcome: oneshot::Sender<Result<(), TransmitError>>,
}

impl Order {
    /// Who does not wait any more needs no answer.
    pub(super) fn answer(self, outcome: Result<(), TransmitError>) {
        drop(self.outcome.send(outcome));
    }
}

/// The air time that a radio may still use, on the clock of this process; without a budget, any.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    budget: Option<Arc<Mutex<AirTimeBudget>>>,
    /// Where the budget's moments begin.
    origin: Instant,
}

impl Allowance {
    pub(super) fn new(budget: Option<AirTimeBudget>) -> Self {
        Self { budget: budget.map(|budget| Arc::new(Mutex::new(budget))), origin: Instant::now() }
    }

    fn spend(&self, air_time: Duration) -> Result<(), NotYet> {
        self.budget().map_or(Ok(()), |mut budget| budget.spend(self.origin.elapsed(), air_time))
    }

    fn ended(&self) {
        if let Some(mut budget) = self.budget() {
            budget.ended(self.origin.elapsed());
        }
    }

    fn left(&self) -> Option<Left> {
        self.budget()?.left(self.origin.elapsed())
    }

    fn budget(&self) -> Option<MutexGuard<'_, AirTimeBudget>> {
        let budget = self.budget.as_ref()?;
        Some(budget.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A handle that transmits through a radio. Clones share its queue.
#[derive(Debug, Clone)]
pub struct Transmitter {
    pub(super) orders: SyncSender<Order>,
    pub(super) allowed: bool,
    pub(super) allowance: Allowance,
    /// An order that has no answer by then gets none.
    pub(super) answered_within: Duration,
}

/// By then an order is answered, if the chip's thread runs at all: those before it and itself, each as long as can be.
pub(super) fn answered_within(modulation: &Modulation) -> Duration {
    let each = modulation.air_time(u8::MAX) + Duration::from_millis(LEEWAY_MS);
    each * (u32::try_from(WAITING_ORDERS).unwrap_or(u32::MAX) + 2) + STANDS_STILL
}

impl Transmitter {
    /// Transmits a payload of 1..=255 bytes and waits until it has left. Meanwhile the radio does not hear.
    ///
    /// Not cancel-safe: dropped, the payload may still be transmitted, and the outcome is lost.
    pub async fn transmit(&self, payload: &[u8]) -> Result<(), TransmitError> {
        if !self.allowed {
            return Err(TransmitError::Off);
        }
        if !(1..=MAX_PAYLOAD_BYTES).contains(&payload.len()) {
            return Err(TransmitError::Length { bytes: payload.len() });
        }
        let (outcome, answer) = oneshot::channel();
        self.orders.try_send(Order { payload: payload.to_vec(), outcome }).map_err(|error| match error {
            TrySendError::Full(_) => TransmitError::Busy,
            TrySendError::Disconnected(_) => TransmitError::Ended,
        })?;
        let Ok(answer) = tokio::time::timeout(self.answered_within, answer).await else {
            return Err(TransmitError::Unanswered { within_s: self.answered_within.as_secs() });
        };
        answer.unwrap_or(Err(TransmitError::Ended))
    }

    /// What is left of the air time that the law allows, by the limit of which the least is left; none where nothing is
    /// limited.
    pub fn air_time_left(&self) -> Option<Left> {
        self.allowance.left()
    }
}

impl<B: Board> Chip<B> {
    /// Transmits, answers, and listens again. An error is of the chip, not of the order: that was answered.
    ///
    /// A packet that was heard to its end is taken first; one that is being heard is lost.
    pub(super) fn fulfil(&mut self, order: Order, owner: &mut Owner) -> Result<(), Fault> {
        // Spent even if the chip fails at it: nobody knows how much of it went out.
        if let Err(not_yet) = owner.allowance.spend(self.air_time(&order.payload)) {
            order.answer(Err(not_yet.into()));
            return Ok(());
        }
        let transmitted = self.transmit(&order.payload, owner);
        // It began later than it was spent: the FIFO was filled, the amplifier rose.
        owner.allowance.ended();
        let outcome = match transmitted {
            Ok(outcome) => outcome,
            Err(fault) => {
                order.answer(Err(TransmitError::NotListening(fault.to_string())));
                return Err(fault);
            }
        };
        // First listening, then the answer: who is told that it has left may expect a reply by air at once.
        let listening = self.listen_again();
        order.answer(outcome);
        listening
    }

    fn transmit(&mut self, payload: &[u8], owner: &mut Owner) -> Result<Result<(), TransmitError>, Fault> {
        self.named.stand_by()?;
        self.settle(op_mode::STANDING_BY)?;
        // Loading clears the flags, also that of a packet that ended since the last look.
        if self.drain_in(op_mode::STANDING_BY, owner)? == Drained::Stopped {
            return Ok(Err(TransmitError::Ended));
        }
        self.load(payload).map_err(Fault::of_bus("loading a packet"))?;
        self.named.transmit()?;
        let within = self.air_time(payload) + Duration::from_millis(LEEWAY_MS);
        if self.has_left(within, &owner.stop)? {
            return Ok(Ok(()));
        }
        if owner.stop.is_wished() {
            return Ok(Err(TransmitError::Ended));
        }
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(within_ms, "the chip did not end its transmission");
        Ok(Err(TransmitError::TimedOut { within_ms }))
    }

    fn air_time(&self, payload: &[u8]) -> Duration {
        self.modulation.air_time(u8::try_from(payload.len()).unwrap_or(u8::MAX))
    }

    /// Puts a packet into the FIFO, and lets DIO0 say when it has left (data sheet, section 4.1.6.1).
    fn load(&mut self, payload: &[u8]) -> Result<(), super::bus::BusFault> {
        let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        let port = &mut self.port;
        port.write_from(Register::FrfMsb, &carrier_bytes(self.modulation.frequency_hz))?;
        port.change(Register::DioMapping1, dio0::MASK, dio0::TX_DONE)?;
        port.write(Register::IrqFlags, IrqFlags::ALL)?;
        port.write(Register::FifoAddrPtr, TX_BASE)?;
        port.write_from(Register::Fifo, payload)?;
        port.write(Register::PayloadLength, length)
    }

    /// Waits for TxDone, looking at the flag whether DIO0 tells or not.
    fn has_left(&mut self, within: Duration, stop: &Stop) -> Result<bool, Fault> {
        let mut left = within;
        while !left.is_zero() && !stop.is_wished() {
            let wait = left.min(Duration::from_millis(LOOK_MS));
            let wake = self.dio0.wait(wait)?;
            if self.flags_of_sender()?.tx_done() {
                return Ok(true);
            }
            let waited = match wake {
                Wake::TimedOut => wait,
                Wake::Edge => {
                    self.delay.delay_ms(EDGE_PAUSE_MS);
                    Duration::from_millis(EDGE_PAUSE_MS.into())
                }
            };
            left = left.saturating_sub(waited);
        }
        Ok(false)
    }

    /// Not read alone: on a bus of ones, every flag is set.
    fn flags_of_sender(&mut self) -> Result<IrqFlags, Fault> {
        const DOING: &str = "waiting for a packet to leave";
        let values: [u8; FLAGS_BYTES] = self.port.read_from(Register::OpMode).map_err(Fault::of_bus(DOING))?;
        refuse_dead(DOING, &values)?;
        let [.., flags] = values;
        Ok(IrqFlags(flags))
    }

    fn listen_again(&mut self) -> Result<(), Fault> {
        self.named.stand_by()?;
        self.listen()?;
        self.check("listening again after a transmission")
    }
}

#[cfg(test)]
mod tests;
