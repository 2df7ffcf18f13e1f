//! Transmitting on the chip: bounded in time, and back to listening whatever the outcome.

use super::bus::BusError;
use super::convert::IrqFlags;
use super::error::ChipError;
use super::link::{RadioLink, Shutdown};
use super::receive::DrainOutcome;
use super::register::{Register, TX_BASE, dio0, op_mode};
use super::setup::{Chip, carrier_bytes, refuse_dead};
use super::transmitter::{LEEWAY_MS, TransmitError, TransmitRequest};
use crate::board::{Board, EdgeLine, Wake};
use embedded_hal_02::blocking::delay::DelayMs;
use std::time::Duration;

/// Longest wait between two looks at the flags, in milliseconds of the board's clock.
const LOOK_INTERVAL_MS: u64 = 50;
/// Length of the burst from the mode to the flags.
const FLAGS_BYTES: usize = (Register::IrqFlags.address() - Register::OpMode.address()) as usize + 1;
/// Pause after an edge without TxDone, in milliseconds. A chattering line must neither keep the thread busy nor cut a
/// transmission short.
const EDGE_PAUSE_MS: u8 = 1;

impl<B: Board> Chip<B> {
    /// Transmits, listens again, and answers the request. An error concerns the chip; the request is answered anyway.
    ///
    /// A packet that the chip has received completely is delivered first. One that is being received is lost.
    pub(super) fn fulfill(&mut self, request: TransmitRequest, link: &mut RadioLink) -> Result<(), ChipError> {
        // Spent even if the chip fails: nobody knows how much of the packet went out.
        if let Err(refusal) = link.allowance.spend(self.air_time(&request.payload)) {
            request.answer(Err(refusal.into()));
            return Ok(());
        }
        let transmitted = self.transmit(&request.payload, link);
        // The packet started later than it was spent: filling the FIFO and starting the amplifier take time.
        link.allowance.record_end();
        let outcome = match transmitted {
            Ok(()) => Ok(()),
            Err(TransmitFailure::Request(error)) => Err(error),
            Err(TransmitFailure::Chip(error)) => {
                request.answer(Err(TransmitError::NotListening(error.to_string())));
                return Err(error);
            }
        };
        // Listen before answering: the caller may expect a reply over the air at once.
        let listening = self.listen_again();
        request.answer(outcome);
        listening
    }

    fn transmit(&mut self, payload: &[u8], link: &mut RadioLink) -> Result<(), TransmitFailure> {
        self.upstream.stand_by()?;
        self.settle(op_mode::STANDBY)?;
        // Loading clears all flags, including that of a packet that ended since the last look.
        if self.drain_in(op_mode::STANDBY, link)? == DrainOutcome::Shutdown {
            return Err(TransmitError::Ended.into());
        }
        self.load(payload).map_err(ChipError::from_bus("loading a packet"))?;
        self.upstream.transmit()?;
        let within = self.air_time(payload) + Duration::from_millis(LEEWAY_MS);
        if self.wait_for_tx_done(within, &link.shutdown)? {
            return Ok(());
        }
        if link.shutdown.is_requested() {
            return Err(TransmitError::Ended.into());
        }
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(within_ms, "the chip did not finish its transmission in time");
        Err(TransmitError::TimedOut { within_ms }.into())
    }

    fn air_time(&self, payload: &[u8]) -> Duration {
        self.modulation.air_time(u8::try_from(payload.len()).unwrap_or(u8::MAX))
    }

    /// Writes a packet to the FIFO and maps TxDone to DIO0 (data sheet, section 4.1.6.1).
    fn load(&mut self, payload: &[u8]) -> Result<(), BusError> {
        let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        let port = &mut self.port;
        port.write_from(Register::FrfMsb, &carrier_bytes(self.modulation.frequency_hz))?;
        port.change(Register::DioMapping1, dio0::MASK, dio0::TX_DONE)?;
        port.write(Register::IrqFlags, IrqFlags::ALL)?;
        port.write(Register::FifoAddrPtr, TX_BASE)?;
        port.write_from(Register::Fifo, payload)?;
        port.write(Register::PayloadLength, length)
    }

    /// Waits for TxDone. The flag is read at intervals, so a dead DIO0 does not matter.
    fn wait_for_tx_done(&mut self, within: Duration, shutdown: &Shutdown) -> Result<bool, ChipError> {
        let mut remaining = within;
        while !remaining.is_zero() && !shutdown.is_requested() {
            let wait = remaining.min(Duration::from_millis(LOOK_INTERVAL_MS));
            let wake = self.dio0.wait(wait)?;
            if self.read_flags()?.tx_done() {
                return Ok(true);
            }
            let waited = match wake {
                Wake::TimedOut => wait,
                Wake::Edge => {
                    self.delay.delay_ms(EDGE_PAUSE_MS);
                    Duration::from_millis(EDGE_PAUSE_MS.into())
                }
            };
            remaining = remaining.saturating_sub(waited);
        }
        Ok(false)
    }

    /// Reads the flags in a burst with other registers, because on a bus stuck at ones every flag looks set.
    fn read_flags(&mut self) -> Result<IrqFlags, ChipError> {
        const CONTEXT: &str = "waiting for a packet to leave";
        let values: [u8; FLAGS_BYTES] = self.port.read_from(Register::OpMode).map_err(ChipError::from_bus(CONTEXT))?;
        refuse_dead(CONTEXT, &values)?;
        let [.., flags] = values;
        Ok(IrqFlags(flags))
    }

    fn listen_again(&mut self) -> Result<(), ChipError> {
        self.upstream.stand_by()?;
        self.listen()?;
        self.check("listening again after a transmission")
    }
}

/// Why [`Chip::transmit`] failed: the request alone, or the chip, which must then be set up again.
enum TransmitFailure {
    Request(TransmitError),
    Chip(ChipError),
}

impl From<TransmitError> for TransmitFailure {
    fn from(error: TransmitError) -> Self {
        Self::Request(error)
    }
}

impl From<ChipError> for TransmitFailure {
    fn from(error: ChipError) -> Self {
        Self::Chip(error)
    }
}

#[cfg(test)]
mod tests;
