//! The packet reports of a RAK3172: `+EVT:RXP2P:<rssi>:<snr>:<hex>` of RUI3 firmware, and the two lines of firmware
//! before it, `+EVT:RXP2P, RSSI <rssi>, SNR <snr>` and `+EVT:<hex>`.
//!
//! A plus occurs only at the start of a line, or after the `AT` of a command that the module echoes. Elsewhere it starts
//! a new line, so that a report after noise without a line end is found.

use super::frame::{Decode, Frame, FrameError, Item, Notice};
use super::lines::Lines;
use super::signal;
use crate::MAX_PAYLOAD_BYTES;

const EVENT: &[u8] = b"+EVT:";
const MARK: &[u8] = b"+EVT:RXP2P:";
/// Start of the first line of a report by firmware before RUI3.
const OLD_MARK: &[u8] = b"+EVT:RXP2P, RSSI ";
/// Between the two values of that line.
const OLD_SNR: &str = ", SNR ";
/// Start of a command, as the module echoes it.
const COMMAND: &[u8] = b"AT";
/// Last line of the banner that the module writes when it starts.
const STARTED: &str = "Current Work Mode";
/// Starts of the lines before it.
const BANNER: [&str; 5] = ["RAKwireless", "RUI", "Version", "--", "=="];
const START: u8 = b'+';
/// Length of the longest report: the mark, RSSI and SNR of four characters each, two colons, two digits per byte.
const MAX_REPORT_BYTES: usize = MARK.len() + 2 * (4 + 1) + 2 * MAX_PAYLOAD_BYTES;

#[derive(Debug)]
pub(super) struct Rak {
    lines: Lines,
    /// The first line of a report in two lines, whose second one comes next.
    first_line: Option<FirstLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FirstLine {
    rssi_dbm: i16,
    snr_db: i16,
    bytes: usize,
}

impl Rak {
    pub(super) fn new() -> Self {
        Self { lines: Lines::new(MAX_REPORT_BYTES), first_line: None }
    }

    fn take_line(&mut self, line: &[u8], items: &mut Vec<Item>) {
        match (self.first_line.take(), line.strip_prefix(EVENT).and_then(parse_hex)) {
            (Some(first), Some(payload)) => {
                items.push(frame(payload, first.rssi_dbm, first.snr_db).map_or_else(Item::Error, Item::Frame));
            }
            (Some(_), None) => {
                items.push(Item::Error(FrameError::Header));
                self.take_first_line(line, items);
            }
            (None, _) => self.take_first_line(line, items),
        }
    }

    /// Takes a line that is no second line of a report.
    fn take_first_line(&mut self, line: &[u8], items: &mut Vec<Item>) {
        match line.strip_prefix(OLD_MARK).map(parse_old_header) {
            Some(Some((rssi_dbm, snr_db))) => {
                self.first_line = Some(FirstLine { rssi_dbm, snr_db, bytes: line.len() });
            }
            Some(None) => items.push(Item::Error(FrameError::Header)),
            None => items.push(parse_line(line)),
        }
    }
}

impl Decode for Rak {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        if byte == START && self.lines.content() != COMMAND && self.lines.restart() > 0 {
            items.push(Item::Error(FrameError::Unexpected));
        }
        match self.lines.push(byte) {
            Some(Ok(line)) => self.take_line(&line, items),
            Some(Err(error)) => items.push(Item::Error(error)),
            None => {}
        }
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        let bytes = self.lines.restart() + self.first_line.take().map_or(0, |first| first.bytes);
        if bytes > 0 {
            items.push(Item::Error(FrameError::Truncated { bytes }));
        }
    }

    fn is_partial(&self) -> bool {
        self.lines.is_partial() || self.first_line.is_some()
    }

    fn buffer_bytes(&self) -> usize {
        self.lines.buffer_bytes()
    }
}

fn parse_line(line: &[u8]) -> Item {
    if let Some(report) = line.strip_prefix(MARK) {
        return parse_report(report).map_or_else(Item::Error, Item::Frame);
    }
    match std::str::from_utf8(line) {
        Ok("OK") => Item::Notice(Notice::Accepted),
        Ok(text) if is_rejection(text) => Item::Notice(Notice::Rejected(text.to_owned())),
        Ok(text) if is_event(text, "RECEIVE ERROR") => Item::Error(FrameError::Air),
        Ok(text) if is_event(text, "RECEIVE TIMEOUT") => Item::Notice(Notice::ReceiveEnded),
        Ok(text) if text.starts_with(STARTED) => Item::Notice(Notice::Ready),
        Ok(text) if text.starts_with("+EVT:") && !text.starts_with("+EVT:RXP2P,") => {
            Item::Notice(Notice::Other(text.to_owned()))
        }
        Ok(text) if text.starts_with("AT+") || BANNER.iter().any(|start| text.starts_with(start)) => {
            Item::Notice(Notice::Other(text.to_owned()))
        }
        _ if line.starts_with(b"+EVT:RXP2P,") => Item::Error(FrameError::Header),
        _ => Item::Error(FrameError::Unexpected),
    }
}

/// Returns true if the line is this event of the receiver. Firmware writes the words with blanks or underscores.
fn is_event(line: &str, event: &str) -> bool {
    line.strip_prefix("+EVT:RXP2P").is_some_and(|rest| rest.replace('_', " ").trim() == event)
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
    frame(payload, rssi_dbm, snr_db)
}

/// Parses what follows the mark in the first of two lines.
fn parse_old_header(rest: &[u8]) -> Option<(i16, i16)> {
    let (rssi, snr) = std::str::from_utf8(rest).ok()?.split_once(OLD_SNR)?;
    Some((signal::integer(rssi.as_bytes())?, signal::integer(snr.as_bytes())?))
}

fn frame(payload: Vec<u8>, rssi_dbm: i16, snr_db: i16) -> Result<Frame, FrameError> {
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
