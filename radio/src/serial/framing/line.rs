//! A payload a line, as a modem in transparent mode writes it.
//!
//! The strength, where the module is set to report it, stands *behind* the line end: the module appends it to the
//! packet as it came out of the air (EBYTE E22 and E220 manuals, register REG3, bit 7), and the last bytes of that
//! packet are the sender's line end. One byte b means -(256 - b) dBm.
//!
//! Two things follow from that. A line with its end must fit into one packet of the module, as a longer one gets a
//! strength in its middle: its sub-packet length (240 bytes on the E22, 200 on the E220, or what was set). And a line
//! is known to be whole only when the byte behind it is there, or a silence says that it will not come.

use super::lines::{LF, Lines};
use super::{Decode, Found, Frame, FrameError, signal};
use crate::MAX_PAYLOAD_BYTES;

/// The weakest strength that is taken for one, in dBm. No module hears below about -148 dBm.
///
/// A module that was not set to append a strength sends the first byte of the next line here. Those of the
/// readers in use begin with `h` or `e`, which would mean -152 and -155 dBm: so they are not eaten.
const WEAKEST_DBM: i16 = -150;

#[derive(Debug)]
pub(super) struct Line {
    lines: Lines,
    rssi_byte: bool,
    /// The line has ended, and the next byte may be its strength.
    ended: bool,
    /// The payload of the line that has ended. None where that was empty or overlong.
    payload: Option<Vec<u8>>,
}

impl Line {
    pub(super) fn new(rssi_byte: bool) -> Self {
        Self { lines: Lines::new(MAX_PAYLOAD_BYTES), rssi_byte, ended: false, payload: None }
    }

    fn give(&mut self, rssi_dbm: Option<i16>, found: &mut Vec<Found>) {
        self.ended = false;
        if let Some(payload) = self.payload.take() {
            found.push(Found::Frame(Frame { payload, rssi_dbm, snr_quarter_db: None }));
        }
    }
}

impl Decode for Line {
    fn push_byte(&mut self, byte: u8, found: &mut Vec<Found>) {
        if self.ended {
            let strength = strength_dbm(byte);
            self.give(strength, found);
            if strength.is_some() {
                return;
            }
        }
        match self.lines.push(byte) {
            Some(Ok(payload)) => self.payload = Some(payload),
            Some(Err(error)) => found.push(Found::Wrong(error)),
            None => {}
        }
        if byte == LF {
            self.ended = true;
            if !self.rssi_byte {
                self.give(None, found);
            }
        }
    }

    fn give_up(&mut self, found: &mut Vec<Found>) {
        self.give(None, found);
        let bytes = self.lines.restart();
        if bytes > 0 {
            found.push(Found::Wrong(FrameError::Cut { bytes }));
        }
    }

    fn is_partial(&self) -> bool {
        self.lines.is_partial() || self.ended
    }

    fn held_bytes(&self) -> usize {
        self.lines.held_bytes() + self.payload.as_ref().map_or(0, Vec::capacity)
    }
}

/// The strength that a byte behind a line end means, if it can mean one.
fn strength_dbm(byte: u8) -> Option<i16> {
    let strength_dbm = i16::from(byte) - 256;
    if strength_dbm < WEAKEST_DBM { None } else { signal::rssi_dbm(strength_dbm) }
}

#[cfg(test)]
mod tests;
