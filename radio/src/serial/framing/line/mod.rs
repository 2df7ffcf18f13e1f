//! One payload per line, as a modem in transparent mode writes it.
//!
//! # Decisions
//!
//! - **LF, CR and CR LF end a line.** Senders write each of them, and a CR in a payload would be a mistake anyway.
//! - **What a silence or the longest length ends is no payload.** Its last field may be half a tag, which would be
//!   another animal's. The bytes are kept, as cut.
//! - **A byte is taken for a signal strength only if it can be one.** If the module is set to report it, that byte
//!   stands *after* the line end. The module appends it to the packet as received from the air (EBYTE E22 and E220
//!   manuals, register REG3, bit 7), and the last bytes of that packet are the sender's line end. A byte b means
//!   -(256 - b) dBm. The chip in these modules counts in half dBm with eight bits, so it measures nothing below
//!   -128 dBm, and no byte of ASCII text is a strength.
//!
//! Two things follow from the last one:
//!
//! - A line with its end must fit into one packet of the module, because a longer one gets an RSSI byte in its middle.
//!   The limit is the module's sub-packet length: 240 bytes on the E22, 200 on the E220, or the configured value.
//! - A line is known to be complete only once the byte after it has arrived, or a silence shows that it will not come.

use super::frame::{Decode, Frame, FrameError, Item};
use super::lines::{CR, LF};
use super::signal;
use crate::MAX_PAYLOAD_BYTES;

#[derive(Debug)]
pub(super) struct Line {
    buffer: Vec<u8>,
    rssi_byte: bool,
    state: State,
    /// Set after a CR: an LF that follows belongs to the same line end.
    after_cr: bool,
    /// Payload of the line that has ended. `None` if that line was empty or overlong.
    payload: Option<Vec<u8>>,
}

/// Position within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next byte belongs to a line, or starts one.
    Open,
    /// The rest of an overlong line is skipped, until its end.
    Skipping,
    /// A line has ended, and the next byte may be its RSSI.
    Ended,
}

impl Line {
    pub(super) fn new(rssi_byte: bool) -> Self {
        let buffer = Vec::with_capacity(MAX_PAYLOAD_BYTES);
        Self { buffer, rssi_byte, state: State::Open, after_cr: false, payload: None }
    }

    fn end_line(&mut self, byte: u8, items: &mut Vec<Item>) {
        self.after_cr = byte == CR;
        self.payload = (!self.buffer.is_empty()).then(|| self.buffer.clone());
        self.buffer.clear();
        self.state = State::Ended;
        if !self.rssi_byte {
            self.deliver(None, items);
        }
    }

    fn deliver(&mut self, rssi_dbm: Option<i16>, items: &mut Vec<Item>) {
        self.state = State::Open;
        if let Some(payload) = self.payload.take() {
            items.push(Item::Frame(Frame { payload, rssi_dbm, snr_quarter_db: None }));
        }
    }

    fn cut(&mut self, error: FrameError, items: &mut Vec<Item>) {
        items.push(Item::Cut { bytes: self.buffer.clone(), error });
        self.buffer.clear();
    }
}

impl Decode for Line {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        if std::mem::take(&mut self.after_cr) && byte == LF {
            return;
        }
        if self.state == State::Ended {
            let rssi_dbm = signal::rssi_of_byte(byte);
            self.deliver(rssi_dbm, items);
            if rssi_dbm.is_some() {
                return;
            }
        }
        match byte {
            CR | LF => self.end_line(byte, items),
            _ if self.state == State::Skipping => {}
            _ if self.buffer.len() == MAX_PAYLOAD_BYTES => {
                self.cut(FrameError::Overlong, items);
                self.state = State::Skipping;
            }
            _ => self.buffer.push(byte),
        }
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        self.deliver(None, items);
        let bytes = self.buffer.len();
        if bytes > 0 {
            self.cut(FrameError::Truncated { bytes }, items);
        }
        self.after_cr = false;
    }

    fn is_partial(&self) -> bool {
        self.state != State::Open || !self.buffer.is_empty()
    }

    fn buffer_bytes(&self) -> usize {
        self.buffer.capacity() + self.payload.as_ref().map_or(0, Vec::capacity)
    }
}

#[cfg(test)]
mod tests;
