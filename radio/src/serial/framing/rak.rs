//! `+EVT:RXP2P:<rssi>:<snr>:<hex>`, as a RAK3172 with RUI3 firmware reports a packet.
//!
//! A plus stands nowhere but at the beginning of a line, so that it begins one also behind noise without a line end.

use super::lines::Lines;
use super::{Decode, Found, Frame, FrameError, Notice, signal};
use crate::MAX_PAYLOAD_BYTES;

const MARK: &[u8] = b"+EVT:RXP2P:";
/// Firmware before RUI3 reports in two lines, of which this begins the first.
const OLD_MARK: &[u8] = b"+EVT:RXP2P,";
const BEGIN: u8 = b'+';
/// Mark, RSSI and SNR of four characters each, two colons, two digits a byte.
const LONGEST_BYTES: usize = MARK.len() + 2 * (4 + 1) + 2 * MAX_PAYLOAD_BYTES;

#[derive(Debug)]
pub(super) struct Rak(Lines);

impl Rak {
    pub(super) fn new() -> Self {
        Self(Lines::new(LONGEST_BYTES))
    }
}

impl Decode for Rak {
    fn push_byte(&mut self, byte: u8, found: &mut Vec<Found>) {
        if byte == BEGIN && self.0.restart() > 0 {
            found.push(Found::Wrong(FrameError::Unknown));
        }
        match self.0.push(byte) {
            Some(Ok(line)) => found.push(judge(&line)),
            Some(Err(error)) => found.push(Found::Wrong(error)),
            None => {}
        }
    }

    fn give_up(&mut self, found: &mut Vec<Found>) {
        let bytes = self.0.restart();
        if bytes > 0 {
            found.push(Found::Wrong(FrameError::Cut { bytes }));
        }
    }

    fn is_partial(&self) -> bool {
        self.0.is_partial()
    }

    fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }
}

fn judge(line: &[u8]) -> Found {
    if let Some(report) = line.strip_prefix(MARK) {
        return frame_of(report).map_or_else(Found::Wrong, Found::Frame);
    }
    match std::str::from_utf8(line) {
        _ if line.starts_with(OLD_MARK) => Found::Wrong(FrameError::Header),
        Ok("OK") => Found::Notice(Notice::Accepted),
        Ok(text) if is_refusal(text) => Found::Notice(Notice::Refused(text.to_owned())),
        Ok(text) if text.starts_with("+EVT:") => Found::Notice(Notice::Other(text.to_owned())),
        _ => Found::Wrong(FrameError::Unknown),
    }
}

fn is_refusal(text: &str) -> bool {
    text.starts_with("AT_") && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn frame_of(report: &[u8]) -> Result<Frame, FrameError> {
    let mut fields = report.split(|byte| *byte == b':');
    let (Some(rssi), Some(snr), Some(hex), None) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
        return Err(FrameError::Header);
    };
    let (Some(rssi_dbm), Some(snr_db)) = (signal::integer(rssi), signal::integer(snr)) else {
        return Err(FrameError::Header);
    };
    let payload = bytes_of_hex(hex).ok_or(FrameError::Hex)?;
    if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES {
        return Err(FrameError::Length { bytes: payload.len() });
    }
    let (rssi_dbm, snr_quarter_db) = (signal::rssi_dbm(rssi_dbm), signal::snr_quarter_db(snr_db));
    Ok(Frame { payload, rssi_dbm, snr_quarter_db })
}

fn bytes_of_hex(hex: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'F' => Some(character - b'A' + 10),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
