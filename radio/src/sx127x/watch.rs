//! Watching while nothing comes: the line DIO0 that may be lost, and the chip that may have reset itself.

use std::time::Duration;

use embedded_hal_02::blocking::delay::DelayMs;

use super::fault::Fault;
use super::setup::Chip;
use crate::board::{Board, EdgeLine, Wake};
use crate::lora::{CodingRate, Modulation};

/// The longest wait between two looks, so that a wish to stop and a chip that failed are noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// So much waiting, or so many looks, lie between two health checks.
const CHECK_AFTER: Duration = Duration::from_millis(100);
const CHECK_AFTER_LOOKS: u32 = 64;
/// So many packets in a row of which DIO0 did not tell, and it is said once.
const SILENT_AFTER: u32 = 16;
/// So many edges in a row that brought nothing, and the line is left alone.
const CHATTER_AFTER: u32 = 64;

/// The longest wait that cannot miss a packet: half the air time of the shortest one that any sender can send at
/// these settings. Two packets cannot end within it.
pub(super) fn longest_wait(modulation: &Modulation) -> Duration {
    let shortest = Modulation {
        // The header of a packet says its coding rate, and a preamble may be shorter than ours (data sheet, 4.1.1.6).
        coding_rate: CodingRate::FourFifths,
        preamble_symbols: modulation.preamble_symbols.min(6),
        ..*modulation
    };
    (shortest.air_time(1) / 2).min(LONGEST_WAIT)
}

/// What has been seen of DIO0, and how long ago the chip was checked.
#[derive(Debug)]
pub(super) struct Watch {
    at_most: Duration,
    rescued_in_a_row: u32,
    edges_in_a_row: u32,
    since_check: Duration,
    looks_since_check: u32,
}

/// What a wait and the look after it say of DIO0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noticed {
    /// It tells of packets, or there were none.
    Nothing,
    /// A packet was there of which it did not tell.
    Rescue,
    /// The same, so often in a row that it is to be said.
    Silence(u32),
    /// It tells and tells, and there is nothing.
    Chatter(u32),
}

impl Watch {
    pub(super) fn new(modulation: &Modulation) -> Self {
        Self {
            at_most: longest_wait(modulation),
            rescued_in_a_row: 0,
            edges_in_a_row: 0,
            since_check: Duration::ZERO,
            looks_since_check: 0,
        }
    }

    /// Counts how a wait ended, and what was found after it.
    pub(super) fn note(&mut self, wake: Wake, found: u32) -> Noticed {
        self.looks_since_check += 1;
        match (wake, found) {
            (Wake::Edge, 0) => {
                self.edges_in_a_row = self.edges_in_a_row.saturating_add(1);
                if self.edges_in_a_row == CHATTER_AFTER { Noticed::Chatter(CHATTER_AFTER) } else { Noticed::Nothing }
            }
            (Wake::Edge, _) => {
                (self.rescued_in_a_row, self.edges_in_a_row) = (0, 0);
                Noticed::Nothing
            }
            (Wake::TimedOut, 0) => {
                self.edges_in_a_row = 0;
                Noticed::Nothing
            }
            (Wake::TimedOut, _) => {
                self.edges_in_a_row = 0;
                self.rescued_in_a_row = self.rescued_in_a_row.saturating_add(1);
                if self.rescued_in_a_row == SILENT_AFTER { Noticed::Silence(SILENT_AFTER) } else { Noticed::Rescue }
            }
        }
    }

    fn ignores_line(&self) -> bool {
        self.edges_in_a_row >= CHATTER_AFTER
    }

    /// Whether a health check is due; asking begins the next period.
    fn is_check_due(&mut self) -> bool {
        let due = self.since_check >= CHECK_AFTER || self.looks_since_check >= CHECK_AFTER_LOOKS;
        if due {
            (self.since_check, self.looks_since_check) = (Duration::ZERO, 0);
        }
        due
    }
}

impl<B: Board> Chip<B> {
    /// Waits until DIO0 tells, or until it is time to look all the same.
    pub(super) fn wait(&mut self, watch: &mut Watch) -> Result<Wake, Fault> {
        let wake = if watch.ignores_line() {
            self.pause(watch.at_most);
            self.has_pending_edge()?
        } else {
            self.dio0.wait(watch.at_most)?
        };
        if wake == Wake::TimedOut || watch.ignores_line() {
            watch.since_check += watch.at_most;
        }
        Ok(wake)
    }

    /// Whether an edge came since the last wait: a packet may end while the look goes on that finds it.
    pub(super) fn has_pending_edge(&mut self) -> Result<Wake, Fault> {
        Ok(self.dio0.wait(Duration::ZERO)?)
    }

    /// Reads all settings back, when it is time.
    pub(super) fn check_when_due(&mut self, watch: &mut Watch) -> Result<bool, Fault> {
        let due = watch.is_check_due();
        if due {
            self.check("checking the chip's settings")?;
        }
        Ok(due)
    }

    fn pause(&mut self, duration: Duration) {
        self.delay.delay_ms(u8::try_from(duration.as_millis()).unwrap_or(u8::MAX).max(1));
    }
}

#[cfg(test)]
mod tests;
