//! `+EVT:RXP2P:<rssi>:<snr>:<hex>`, the packet report of a RAK3172 with RUI3 firmware.
//!
//! A plus occurs only at the start of a line. It therefore starts a new line even after noise without a line end.

use super::frame::{Decode, Frame, FrameError, Item, Notice};
use super::lines::Lines;
use super::signal;
use crate::MAX_PAYLOAD_BYTES;

const MARK: &[u8] = b"+EVT:RXP2P:";
/// Start of a report by firmware before RUI3, which takes two lines.
const OLD_MARK: &[u8] = b"+EVT:RXP2P,";
const START: u8 = b'+';
/// Length of the longest report: the mark, RSSI and SNR of four characters each, two colons, two digits per byte.
const MAX_REPORT_BYTES: usize = MARK.len() + 2 * (4 + 1) + 2 * MAX_PAYLOAD_BYTES;

#[derive(Debug)]
pub(super) struct Rak(Lines);

impl Rak {
    pub(super) fn new() -> Self {
        Self(Lines::new(MAX_REPORT_BYTES))
    }
}

impl Decode for Rak {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        if byte == START && self.0.restart() > 0 {
            items.push(Item::Error(FrameError::Unexpected));
        }
        match self.0.push(byte) {
            Some(Ok(line)) => items.push(parse_line(&line)),
            Some(Err(error)) => items.push(Item::Error(error)),
            None => {}
        }
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        let bytes = self.0.restart();
        if bytes > 0 {
            items.push(Item::Error(FrameError::Truncated { bytes }));
        }
    }

    fn is_partial(&self) -> bool {
        self.0.is_partial()
    }

    fn buffer_bytes(&self) -> usize {
        self.0.buffer_bytes()
    }
}

fn parse_line(line: &[u8]) -> Item {
    if let Some(report) = line.strip_prefix(MARK) {
        return parse_report(report).map_or_else(Item::Error, Item::Frame);
    }
    match std::str::from_utf8(line) {
        _ if line.starts_with(OLD_MARK) => Item::Error(FrameError::Header),
        Ok("OK") => Item::Notice(Notice::Accepted),
        Ok(text) if is_rejection(text) => Item::Notice(Notice::Rejected(text.to_owned())),
        Ok(text) if text.starts_with("+EVT:") => Item::Notice(Notice::Other(text.to_owned())),
        _ => Item::Error(FrameError::Unexpected),
    }
}

fn is_rejection(text: &str) -> bool {
    text.starts_with("AT_") && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Parses a report after its mark.
fn parse_report(report: &[u8]) -> Result<Frame, FrameError> {
    let mut fields = report.split(|byte| *byte == b':');
    let (Some(rssi), Some(snr), Some(hex), None) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
        return Err(FrameError::Header);
    };
    let (Some(rssi_dbm), Some(snr_db)) = (signal::integer(rssi), signal::integer(snr)) else {
        return Err(FrameError::Header);
    };
    let payload = parse_hex(hex).ok_or(FrameError::Hex)?;
    if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES {
        return Err(FrameError::Length { bytes: payload.len() });
    }
    let (rssi_dbm, snr_quarter_db) = (signal::rssi_dbm(rssi_dbm), signal::snr_quarter_db(snr_db));
    Ok(Frame { payload, rssi_dbm, snr_quarter_db })
}

fn parse_hex(hex: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(parse_digit(*high)? << 4 | parse_digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn parse_digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'F' => Some(character - b'A' + 10),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
