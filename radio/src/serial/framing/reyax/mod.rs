//! `+RCV=<address>,<length>,<data>,<rssi>,<snr>`, the packet report of Reyax modules.
//!
//! The data may contain anything, including commas, line ends and bytes that look like another report, so its length
//! delimits it. A damaged length would then swallow the reports after it. Bytes are therefore buffered until the
//! trailer proves their report right. If it proves wrong, everything after its mark is scanned again, and a report
//! within it is found.

use super::frame::{Decode, Frame, FrameError, Item, Notice};
use super::lines::{CR, LF};
use super::signal;
use crate::MAX_PAYLOAD_BYTES;

const MARK: &[u8] = b"+RCV=";
const MAX_NOTICE_BYTES: usize = 128;
/// Length of the longest report: the mark, address, length, data, RSSI and SNR of four characters each, four commas and
/// a line end.
const MAX_REPORT_BYTES: usize = MARK.len() + 5 + 3 + MAX_PAYLOAD_BYTES + 4 + 4 + 4 + 2;

#[derive(Debug)]
pub(super) struct Reyax {
    /// Bytes that are not settled yet. They start at the start of a line, unless `skipping`.
    buffer: Vec<u8>,
    /// Set while bytes belong to something invalid, until a line end or a mark.
    skipping: bool,
}

/// Result of looking at the buffer.
enum Step {
    /// More bytes are needed.
    Incomplete,
    /// The first `bytes` are settled. They were `item`, if anything, and `skipping` applies to the bytes after them.
    Settled { bytes: usize, item: Option<Item>, skipping: bool },
}

impl Reyax {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::with_capacity(MAX_REPORT_BYTES), skipping: false }
    }

    fn settle(&mut self, items: &mut Vec<Item>) {
        while let Step::Settled { bytes, item, skipping } = step(&self.buffer, self.skipping) {
            self.buffer.drain(..bytes);
            self.skipping = skipping;
            items.extend(item);
        }
    }
}

impl Decode for Reyax {
    fn push_byte(&mut self, byte: u8, items: &mut Vec<Item>) {
        self.buffer.push(byte);
        self.settle(items);
    }

    fn flush(&mut self, items: &mut Vec<Item>) {
        while self.buffer.starts_with(MARK) {
            items.push(Item::Error(FrameError::Truncated { bytes: self.buffer.len() }));
            self.buffer.drain(..MARK.len());
            self.skipping = true;
            self.settle(items);
        }
        if !self.skipping && !self.buffer.is_empty() {
            items.push(Item::Error(FrameError::Truncated { bytes: self.buffer.len() }));
        }
        self.buffer.clear();
        self.skipping = false;
    }

    fn is_partial(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

fn step(buffer: &[u8], skipping: bool) -> Step {
    match buffer {
        [] => Step::Incomplete,
        _ if skipping => skip(buffer),
        [CR | LF, ..] => Step::Settled { bytes: 1, item: None, skipping: false },
        _ if buffer.starts_with(MARK) => report(buffer),
        _ => line(buffer),
    }
}

/// Skips bytes up to a line end, or up to a mark or the beginning of one.
fn skip(buffer: &[u8]) -> Step {
    let mark = next_mark(buffer);
    match buffer.iter().position(|byte| *byte == LF) {
        Some(end) if end < mark => Step::Settled { bytes: end + 1, item: None, skipping: false },
        _ if mark > 0 => Step::Settled { bytes: mark, item: None, skipping: true },
        _ if buffer.starts_with(MARK) => Step::Settled { bytes: 0, item: None, skipping: false },
        _ => Step::Incomplete,
    }
}

/// Settles a line that is not a report: a notice, or something unexpected.
fn line(buffer: &[u8]) -> Step {
    let failed = |bytes, error, skipping| Step::Settled { bytes, item: Some(Item::Error(error)), skipping };
    let mark = next_mark(buffer);
    match buffer.iter().position(|byte| *byte == LF) {
        Some(end) if end < mark => {
            Step::Settled { bytes: end + 1, item: Some(parse_notice(&buffer[..end])), skipping: false }
        }
        _ if buffer[mark..].starts_with(MARK) => failed(mark, FrameError::Unexpected, false),
        _ if buffer.len() > MAX_NOTICE_BYTES => failed(mark, FrameError::Overlong, true),
        _ => Step::Incomplete,
    }
}

/// Returns the position of the first mark, or of a beginning of one at the end of the buffer. Returns the length of the
/// buffer if there is neither.
fn next_mark(buffer: &[u8]) -> usize {
    let may_begin = |rest: &[u8]| rest[0] == MARK[0] && (rest.starts_with(MARK) || MARK.starts_with(rest));
    (0..buffer.len()).find(|at| may_begin(&buffer[*at..])).unwrap_or(buffer.len())
}

fn parse_notice(line: &[u8]) -> Item {
    let line = line.strip_suffix(&[CR]).unwrap_or(line);
    let text = match std::str::from_utf8(line) {
        Ok(text) if text.starts_with('+') && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => text,
        _ => return Item::Error(FrameError::Unexpected),
    };
    Item::Notice(match text {
        "+READY" => Notice::Ready,
        "+OK" => Notice::Accepted,
        _ if text.starts_with("+ERR=") => Notice::Rejected(text.to_owned()),
        _ => Notice::Other(text.to_owned()),
    })
}

/// Settles a report that starts with its mark. Of an invalid report only the mark is settled, so that a report that
/// starts within it is found.
fn report(buffer: &[u8]) -> Step {
    match parse_report(&mut Parser { rest: &buffer[MARK.len()..] }) {
        Ok((frame, bytes)) => {
            Step::Settled { bytes: MARK.len() + bytes, item: Some(Item::Frame(frame)), skipping: false }
        }
        Err(Stop::Incomplete) => Step::Incomplete,
        Err(Stop::Error(error)) => Step::Settled { bytes: MARK.len(), item: Some(Item::Error(error)), skipping: true },
    }
}

/// Parses a report after its mark. Returns the frame and the number of bytes that it took.
fn parse_report(parser: &mut Parser<'_>) -> Result<(Frame, usize), Stop> {
    let whole = parser.rest.len();
    parser.number(5, FrameError::Header)?;
    parser.expect(b',', FrameError::Header)?;
    let bytes = parser.number(3, FrameError::Header)?.into();
    parser.expect(b',', FrameError::Header)?;
    if bytes == 0 || bytes > MAX_PAYLOAD_BYTES {
        return Err(Stop::Error(FrameError::Length { bytes }));
    }
    let payload = parser.take(bytes)?.to_vec();
    parser.expect(b',', FrameError::Trailer)?;
    let rssi_dbm = parser.signed(FrameError::Trailer)?;
    parser.expect(b',', FrameError::Trailer)?;
    let snr_db = parser.signed(FrameError::Trailer)?;
    if parser.rest.first() == Some(&CR) {
        parser.take(1)?;
    }
    parser.expect(LF, FrameError::Trailer)?;
    let (rssi_dbm, snr_quarter_db) = (signal::rssi_dbm(rssi_dbm), signal::snr_quarter_db(snr_db));
    Ok((Frame { payload, rssi_dbm, snr_quarter_db }, whole - parser.rest.len()))
}

/// Why a report was not parsed to its end.
enum Stop {
    /// The bytes so far are right, and more are needed.
    Incomplete,
    Error(FrameError),
}

/// Parses fields off the front of the buffer.
struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Stop> {
        let (front, rest) = self.rest.split_at_checked(bytes).ok_or(Stop::Incomplete)?;
        self.rest = rest;
        Ok(front)
    }

    fn expect(&mut self, byte: u8, error: FrameError) -> Result<(), Stop> {
        if self.take(1)? == [byte] { Ok(()) } else { Err(Stop::Error(error)) }
    }

    /// Parses digits up to a byte that is not one, which must have arrived.
    fn number(&mut self, max_digits: usize, error: FrameError) -> Result<u16, Stop> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > max_digits {
            return Err(Stop::Error(error));
        }
        if digits == self.rest.len() {
            return Err(Stop::Incomplete);
        }
        let text = std::str::from_utf8(self.take(digits)?).unwrap_or_default();
        text.parse().map_err(|_| Stop::Error(error))
    }

    /// Parses a whole number with an optional minus sign, up to a byte that is not a digit, which must have arrived.
    fn signed(&mut self, error: FrameError) -> Result<i16, Stop> {
        let sign = usize::from(self.rest.first() == Some(&b'-'));
        let digits = self.rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 3 {
            return Err(Stop::Error(error));
        }
        if sign + digits == self.rest.len() {
            return Err(Stop::Incomplete);
        }
        signal::integer(self.take(sign + digits)?).ok_or(Stop::Error(error))
    }
}

#[cfg(test)]
mod tests;
