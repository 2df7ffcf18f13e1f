//! Watching an idle chip: the DIO0 line, which may fail, and the chip, which may have reset itself.
//!
//! A DIO0 that never signals is reported once and tolerated. Setting the chip up again for it was rejected: polling
//! receives every packet, and a set-up costs 40 ms of reception.

use super::error::ChipError;
use super::link::RadioLink;
use super::receive::DrainOutcome;
use super::register::{RECEIVING, Register, op_mode};
use super::setup::Chip;
use crate::board::{Board, EdgeLine, Wake};
use crate::lora::{CodingRate, Modulation};
use embedded_hal_02::blocking::delay::DelayMs;
use std::time::Duration;

/// Longest wait between two looks, so that a shutdown and a failed chip are noticed.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// Waiting time after which a health check is due.
const CHECK_AFTER: Duration = Duration::from_millis(100);
/// Number of looks after which a health check is due, however little time was spent waiting.
const CHECK_AFTER_LOOKS: u32 = 64;
/// Silence after which an idle receiver is restarted. No packet with a usual preamble takes half as long: the longest
/// one, at SF12 and 7.8 kHz, is on the air for less than four minutes.
const REFRESH_AFTER: Duration = Duration::from_secs(600);
/// Number of packets in a row without an edge after which DIO0 is reported as silent, once.
const SILENT_AFTER: u32 = 16;
/// Number of edges in a row without a packet after which DIO0 is ignored.
const CHATTER_AFTER: u32 = 64;

/// Returns the longest wait that cannot miss a packet: half the air time of the shortest packet that any sender can
/// send with these settings. Two packets cannot end within it.
fn polling_interval(modulation: &Modulation) -> Duration {
    let shortest = Modulation {
        // The header of a packet names its coding rate, and its preamble may be shorter than ours (data sheet,
        // 4.1.1.6).
        coding_rate: CodingRate::FourFifths,
        preamble_symbols: modulation.preamble_symbols.min(6),
        ..*modulation
    };
    (shortest.air_time(1) / 2).min(MAX_WAIT)
}

/// Statistics of DIO0, and the time since the last health check.
#[derive(Debug)]
pub(super) struct Watch {
    max_wait: Duration,
    rescued_in_a_row: u32,
    edges_in_a_row: u32,
    since_check: Duration,
    looks_since_check: u32,
    /// Time spent waiting since the last packet, good or not.
    silence: Duration,
}

/// Behavior of DIO0 during one wait and the look after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineVerdict {
    /// An edge came with a packet, or neither came.
    Normal,
    /// A packet came without an edge.
    Rescue,
    /// Enough packets in a row came without an edge to report it. Holds their number.
    Silent(u32),
    /// Enough edges in a row came without a packet to report it. Holds their number.
    Chattering(u32),
}

impl Watch {
    pub(super) fn new(modulation: &Modulation) -> Self {
        Self {
            max_wait: polling_interval(modulation),
            rescued_in_a_row: 0,
            edges_in_a_row: 0,
            since_check: Duration::ZERO,
            looks_since_check: 0,
            silence: Duration::ZERO,
        }
    }

    /// Records how a wait ended and how many packets the look after it found.
    pub(super) fn record(&mut self, wake: Wake, found: u32) -> LineVerdict {
        self.looks_since_check += 1;
        if found > 0 {
            self.silence = Duration::ZERO;
        }
        match (wake, found) {
            (Wake::Edge, 0) => {
                self.edges_in_a_row = self.edges_in_a_row.saturating_add(1);
                if self.edges_in_a_row == CHATTER_AFTER {
                    LineVerdict::Chattering(CHATTER_AFTER)
                } else {
                    LineVerdict::Normal
                }
            }
            (Wake::Edge, _) => {
                (self.rescued_in_a_row, self.edges_in_a_row) = (0, 0);
                LineVerdict::Normal
            }
            (Wake::TimedOut, 0) => {
                self.edges_in_a_row = 0;
                LineVerdict::Normal
            }
            (Wake::TimedOut, _) => {
                self.edges_in_a_row = 0;
                self.rescued_in_a_row = self.rescued_in_a_row.saturating_add(1);
                if self.rescued_in_a_row == SILENT_AFTER {
                    LineVerdict::Silent(SILENT_AFTER)
                } else {
                    LineVerdict::Rescue
                }
            }
        }
    }

    fn ignores_line(&self) -> bool {
        self.edges_in_a_row >= CHATTER_AFTER
    }

    /// Returns true if a health check is due, and starts the next period.
    fn take_check_due(&mut self) -> bool {
        let due = self.since_check >= CHECK_AFTER || self.looks_since_check >= CHECK_AFTER_LOOKS;
        if due {
            (self.since_check, self.looks_since_check) = (Duration::ZERO, 0);
        }
        due
    }
}

impl<B: Board> Chip<B> {
    /// Waits for an edge on DIO0, or until it is time to look anyway.
    pub(super) fn wait(&mut self, watch: &mut Watch) -> Result<Wake, ChipError> {
        let wake = if watch.ignores_line() {
            self.pause(watch.max_wait);
            self.pending_edge()?
        } else {
            self.dio0.wait(watch.max_wait)?
        };
        if wake == Wake::TimedOut || watch.ignores_line() {
            watch.since_check += watch.max_wait;
            watch.silence += watch.max_wait;
        }
        Ok(wake)
    }

    /// Returns [`Wake::Edge`] if an edge came since the last wait. A packet may end during the look that finds it.
    pub(super) fn pending_edge(&mut self) -> Result<Wake, ChipError> {
        Ok(self.dio0.wait(Duration::ZERO)?)
    }

    /// Reads all settings back if a check is due. Returns true if it was.
    pub(super) fn check_if_due(&mut self, watch: &mut Watch) -> Result<bool, ChipError> {
        let due = watch.take_check_due();
        if due {
            self.check("checking the chip's settings")?;
        }
        Ok(due)
    }

    /// Restarts the receiver after a long silence: standby, sleep, and receive again. A receiver that is on a packet is
    /// left alone, unless it claims so for longer than any packet takes.
    pub(super) fn refresh_if_silent(
        &mut self,
        watch: &mut Watch,
        link: &mut RadioLink,
    ) -> Result<DrainOutcome, ChipError> {
        if watch.silence < REFRESH_AFTER {
            return Ok(DrainOutcome::Clear(0));
        }
        let status = self.port.read(Register::ModemStat).map_err(ChipError::from_bus("looking for a preamble"))?;
        if status & RECEIVING != 0 && watch.silence < 2 * REFRESH_AFTER {
            return Ok(DrainOutcome::Clear(0));
        }
        watch.silence = Duration::ZERO;
        self.upstream.stand_by()?;
        self.settle(op_mode::STANDBY)?;
        // A packet that ended since the last look is in the FIFO, which sleep mode would wipe.
        if self.drain_in(op_mode::STANDBY, link)? == DrainOutcome::Shutdown {
            return Ok(DrainOutcome::Shutdown);
        }
        self.upstream.sleep()?;
        self.upstream.stand_by()?;
        self.listen()?;
        link.counters.count_refreshed();
        Ok(DrainOutcome::Clear(0))
    }

    fn pause(&mut self, duration: Duration) {
        self.delay.delay_ms(u8::try_from(duration.as_millis()).unwrap_or(u8::MAX).max(1));
    }
}

#[cfg(test)]
mod tests;
