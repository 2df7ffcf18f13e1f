//! One payload per line, as a modem in transparent mode writes it.
//!
//! If the module is set to report the signal strength, that byte stands *after* the line end. The module appends it to
//! the packet as received from the air (EBYTE E22 and E220 manuals, register REG3, bit 7), and the last bytes of that
//! packet are the sender's line end. A byte b means -(256 - b) dBm.
//!
//! Two things follow:
//!
//! - A line with its end must fit into one packet of the module, because a longer one gets an RSSI byte in its middle.
//!   The limit is the module's sub-packet length: 240 bytes on the E22, 200 on the E220, or the configured value.
//! - A line is known to be complete only once the byte after it has arrived, or a silence shows that it will not come.

use super::frame::{Decode, Frame, FrameError, Item};
use super::lines::{LF, Lines};
use super::signal;
use crate::MAX_PAYLOAD_BYTES;

/// Weakest signal strength, in dBm, that a byte after a line end can mean. No module receives below about -148 dBm.
///
/// If a module is not set to append its RSSI, the first byte of the next line stands in its place. The lines of the
/// readers in use start with `h` or `e`, which would mean -152 and -155 dBm, so these bytes are not taken for an RSSI.
const WEAKEST_DBM: i16 = -150;

#[derive(Debug)]
pub(super) struct Line {
    lines: Lines,
    rssi_byte: bool,
    /// Set once a line has ended, so that the next byte may be its RSSI.
    ended: bool,
    /// Payload of the line that has ended. `None` if that line was empty or overlong.
    payload: Option<Vec<u8>>,
}

impl Line {
    pub(super) fn new(rssi_byte: bool) -> Self {
        Self { lines: Lines::new(MAX_PAYLOAD_BYTES), rssi_byte, ended: false, payload: None }
    }

    fn end_line(&mut self, rssi_dbm: Option<i16>, items: &mut Vec<Item>) {
        self.ended = false;
        if let Some(payload) = self.payload.take() {
            items.push(Item::Frame(Frame { payload, rssi_dbm, snr_quarter_db: None }));
        }
    }
}

impl Decode for Line {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        if self.ended {
            let rssi_dbm = rssi_of(byte);
            self.end_line(rssi_dbm, items);
            if rssi_dbm.is_some() {
                return;
            }
        }
        match self.lines.push(byte) {
            Some(Ok(payload)) => self.payload = Some(payload),
            Some(Err(error)) => items.push(Item::Error(error)),
            None => {}
        }
        if byte == LF {
            self.ended = true;
            if !self.rssi_byte {
                self.end_line(None, items);
            }
        }
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        self.end_line(None, items);
        let bytes = self.lines.restart();
        if bytes > 0 {
            items.push(Item::Error(FrameError::Truncated { bytes }));
        }
    }

    fn is_partial(&self) -> bool {
        self.lines.is_partial() || self.ended
    }

    fn buffer_bytes(&self) -> usize {
        self.lines.buffer_bytes() + self.payload.as_ref().map_or(0, Vec::capacity)
    }
}

/// Returns the signal strength that a byte after a line end means, or `None` if it cannot be one.
fn rssi_of(byte: u8) -> Option<i16> {
    let rssi_dbm = i16::from(byte) - 256;
    if rssi_dbm < WEAKEST_DBM { None } else { signal::rssi_dbm(rssi_dbm) }
}

#[cfg(test)]
mod tests;
