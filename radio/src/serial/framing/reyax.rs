//! `+RCV=<address>,<length>,<data>,<rssi>,<snr>`, as Reyax modules report a packet.
//!
//! The data may hold anything, also commas, line ends and what looks like another frame: it is cut by its length. A
//! length that was damaged would so swallow the frames behind it. Therefore bytes are kept until their frame has
//! proved right by its trailer; where it proves wrong, all that is kept is looked at again from behind its mark, and
//! a frame in it is found.

use super::lines::{CR, LF};
use super::{Decode, Found, Frame, FrameError, Notice, signal};
use crate::MAX_PAYLOAD_BYTES;

const MARK: &[u8] = b"+RCV=";
const LONGEST_NOTICE_BYTES: usize = 128;
/// Mark, address, length, data, RSSI and SNR of four characters each, four commas and a line end.
const LONGEST_FRAME_BYTES: usize = MARK.len() + 5 + 3 + MAX_PAYLOAD_BYTES + 4 + 4 + 4 + 2;

#[derive(Debug)]
pub(super) struct Reyax {
    /// What is not settled yet. It begins where a line begins, unless `skipping`.
    held: Vec<u8>,
    /// What comes belongs to something that was wrong, up to a line end or a mark.
    skipping: bool,
}

/// What the bytes at hand are.
enum Step {
    /// It is not clear yet.
    More,
    /// So many bytes are settled, they were this, and the rest is to be skipped or not.
    Settled { bytes: usize, found: Option<Found>, skipping: bool },
}

impl Reyax {
    pub(super) fn new() -> Self {
        Self { held: Vec::with_capacity(LONGEST_FRAME_BYTES), skipping: false }
    }

    fn settle(&mut self, found: &mut Vec<Found>) {
        while let Step::Settled { bytes, found: new, skipping } = step(&self.held, self.skipping) {
            self.held.drain(..bytes);
            self.skipping = skipping;
            found.extend(new);
        }
    }
}

impl Decode for Reyax {
    fn push_byte(&mut self, byte: u8, found: &mut Vec<Found>) {
        self.held.push(byte);
        self.settle(found);
    }

    fn give_up(&mut self, found: &mut Vec<Found>) {
        while self.held.starts_with(MARK) {
            found.push(Found::Wrong(FrameError::Cut { bytes: self.held.len() }));
            self.held.drain(..MARK.len());
            self.skipping = true;
            self.settle(found);
        }
        if !self.skipping && !self.held.is_empty() {
            found.push(Found::Wrong(FrameError::Cut { bytes: self.held.len() }));
        }
        self.held.clear();
        self.skipping = false;
    }

    fn is_partial(&self) -> bool {
        self.skipping || !self.held.is_empty()
    }

    fn held_bytes(&self) -> usize {
        self.held.capacity()
    }
}

fn step(held: &[u8], skipping: bool) -> Step {
    match held {
        [] => Step::More,
        _ if skipping => skip(held),
        [CR | LF, ..] => Step::Settled { bytes: 1, found: None, skipping: false },
        _ if held.starts_with(MARK) => frame(held),
        _ => line(held),
    }
}

/// Passes over bytes up to a line end, or up to a mark or what may become one.
fn skip(held: &[u8]) -> Step {
    let mark = next_mark(held);
    match held.iter().position(|byte| *byte == LF) {
        Some(end) if end < mark => Step::Settled { bytes: end + 1, found: None, skipping: false },
        _ if mark > 0 => Step::Settled { bytes: mark, found: None, skipping: true },
        _ if held.starts_with(MARK) => Step::Settled { bytes: 0, found: None, skipping: false },
        _ => Step::More,
    }
}

/// A line that is no packet: a notice, or something unknown.
fn line(held: &[u8]) -> Step {
    let wrong = |bytes, error, skipping| Step::Settled { bytes, found: Some(Found::Wrong(error)), skipping };
    let mark = next_mark(held);
    match held.iter().position(|byte| *byte == LF) {
        Some(end) if end < mark => Step::Settled { bytes: end + 1, found: Some(notice(&held[..end])), skipping: false },
        _ if held[mark..].starts_with(MARK) => wrong(mark, FrameError::Unknown, false),
        _ if held.len() > LONGEST_NOTICE_BYTES => wrong(mark, FrameError::Overlong, true),
        _ => Step::More,
    }
}

/// Where the first mark begins, or what may become one when more comes; the end, where there is none.
fn next_mark(held: &[u8]) -> usize {
    let may_begin = |rest: &[u8]| rest[0] == MARK[0] && (rest.starts_with(MARK) || MARK.starts_with(rest));
    (0..held.len()).find(|at| may_begin(&held[*at..])).unwrap_or(held.len())
}

fn notice(line: &[u8]) -> Found {
    let line = line.strip_suffix(&[CR]).unwrap_or(line);
    let text = match std::str::from_utf8(line) {
        Ok(text) if text.starts_with('+') && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => text,
        _ => return Found::Wrong(FrameError::Unknown),
    };
    Found::Notice(match text {
        "+READY" => Notice::Ready,
        "+OK" => Notice::Accepted,
        _ if text.starts_with("+ERR=") => Notice::Refused(text.to_owned()),
        _ => Notice::Other(text.to_owned()),
    })
}

/// A frame from its mark on. What proves wrong is settled up to behind the mark alone, so that a frame that begins
/// within it is found.
fn frame(held: &[u8]) -> Step {
    match read_frame(&mut Reader { rest: &held[MARK.len()..] }) {
        Ok((frame, bytes)) => {
            Step::Settled { bytes: MARK.len() + bytes, found: Some(Found::Frame(frame)), skipping: false }
        }
        Err(Stop::More) => Step::More,
        Err(Stop::Wrong(error)) => {
            Step::Settled { bytes: MARK.len(), found: Some(Found::Wrong(error)), skipping: true }
        }
    }
}

/// The frame, and how many bytes it took.
fn read_frame(reader: &mut Reader<'_>) -> Result<(Frame, usize), Stop> {
    let whole = reader.rest.len();
    reader.number(5, FrameError::Header)?;
    reader.expect(b',', FrameError::Header)?;
    let bytes = reader.number(3, FrameError::Header)?.into();
    reader.expect(b',', FrameError::Header)?;
    if bytes == 0 || bytes > MAX_PAYLOAD_BYTES {
        return Err(Stop::Wrong(FrameError::Length { bytes }));
    }
    let payload = reader.take(bytes)?.to_vec();
    reader.expect(b',', FrameError::Trailer)?;
    let rssi_dbm = reader.signed(FrameError::Trailer)?;
    reader.expect(b',', FrameError::Trailer)?;
    let snr_db = reader.signed(FrameError::Trailer)?;
    if reader.rest.first() == Some(&CR) {
        reader.take(1)?;
    }
    reader.expect(LF, FrameError::Trailer)?;
    let (rssi_dbm, snr_quarter_db) = (signal::rssi_dbm(rssi_dbm), signal::snr_quarter_db(snr_db));
    Ok((Frame { payload, rssi_dbm, snr_quarter_db }, whole - reader.rest.len()))
}

/// Why a frame was not read to its end.
enum Stop {
    /// What is there is right so far.
    More,
    Wrong(FrameError),
}

/// Reads fields off the front of what has come.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Stop::More)?;
        self.rest = rest;
        Ok(taken)
    }

    fn expect(&mut self, byte: u8, otherwise: FrameError) -> Result<(), Stop> {
        if self.take(1)? == [byte] { Ok(()) } else { Err(Stop::Wrong(otherwise)) }
    }

    /// Digits up to something else, which must be there.
    fn number(&mut self, most_digits: usize, otherwise: FrameError) -> Result<u16, Stop> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > most_digits {
            return Err(Stop::Wrong(otherwise));
        }
        if digits == self.rest.len() {
            return Err(Stop::More);
        }
        let text = std::str::from_utf8(self.take(digits)?).unwrap_or_default();
        text.parse().map_err(|_| Stop::Wrong(otherwise))
    }

    /// A whole number with or without a sign, up to something else, which must be there.
    fn signed(&mut self, otherwise: FrameError) -> Result<i16, Stop> {
        let sign = usize::from(self.rest.first() == Some(&b'-'));
        let digits = self.rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 3 {
            return Err(Stop::Wrong(otherwise));
        }
        if sign + digits == self.rest.len() {
            return Err(Stop::More);
        }
        signal::integer(self.take(sign + digits)?).ok_or(Stop::Wrong(otherwise))
    }
}

#[cfg(test)]
mod tests;
