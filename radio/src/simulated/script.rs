//! A written sequence of packets, each with the time at which it is sent.
//!
//! The text form has one payload per line, `+DELAY_MS payload`:
//!
//! ```text
//! # the gate opens
//! +0 hxb:LOT1:LF1:UHF1
//! +1500 hxb:LOT1:LF2:UHF2\n
//! +20 \x80\x01
//! ```
//!
//! The delay counts from the previous line. A single space ends it. The rest of the line, including further spaces, is
//! the payload. Escapes are `\xNN`, `\n` and `\\`. Empty lines are ignored, and so are lines that start with `#`, with
//! or without leading whitespace.

use crate::MAX_PAYLOAD_BYTES;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Maximum size of a script file.
pub const MAX_SCRIPT_BYTES: u64 = 16 * 1024 * 1024;

/// Allowed signal strengths of a scripted packet: from the noise of the channel to a reader at the antenna.
pub const RSSI_DBM: RangeInclusive<i16> = -120..=0;
/// Allowed signal to noise ratios of a scripted packet: from the lowest that SF7 is received at (data sheet, table 13)
/// to the highest that the chip's register holds.
pub const SNR_QUARTER_DB: RangeInclusive<i16> = -30..=127;

/// Default signal strength of a scripted packet: a reader across the yard.
const DEFAULT_RSSI_DBM: i16 = -80;
/// Default signal to noise ratio of a scripted packet: 9 dB.
const DEFAULT_SNR_QUARTER_DB: i16 = 36;

/// One transmission of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptLine {
    /// Time since the previous line, on the air's clock. If that packet is still on the air, this one waits.
    pub delay_ms: u32,
    /// Payload, 1..=255 bytes.
    pub payload: Vec<u8>,
    /// Signal strength at the barn's antenna, within [`RSSI_DBM`]. The radio may report it 1 dB off, because the chip
    /// distinguishes only 15 of 16 values.
    pub rssi_dbm: i16,
    /// Signal to noise ratio that the radio will report, in quarters of a dB, within [`SNR_QUARTER_DB`].
    pub snr_quarter_db: i16,
    /// Set if the packet arrives with a wrong CRC. The radio counts such a packet and never delivers it.
    pub corrupted: bool,
}

impl ScriptLine {
    /// Creates a packet with a good signal and a right CRC, `delay_ms` after the previous one.
    pub fn new(delay_ms: u32, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into();
        let (rssi_dbm, snr_quarter_db) = (DEFAULT_RSSI_DBM, DEFAULT_SNR_QUARTER_DB);
        Self { delay_ms, payload, rssi_dbm, snr_quarter_db, corrupted: false }
    }
}

/// A list of transmissions, each with a payload of 1..=255 bytes.
///
/// `Display` writes the text form. It holds delays and payloads only. Signal strength, signal to noise ratio and
/// corruption can be set only in a list of [`ScriptLine`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<ScriptLine>);

impl Script {
    /// Creates a script of these lines. An error numbers them from 1.
    pub fn new(lines: Vec<ScriptLine>) -> Result<Self, ScriptError> {
        for (line, number) in lines.iter().zip(1..) {
            let checked = check_length(&line.payload).and_then(|()| check_signal(line));
            checked.map_err(|error| ScriptError::Line { number, error })?;
        }
        Ok(Self(lines))
    }

    /// Reads a script from a file of at most [`MAX_SCRIPT_BYTES`].
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let read_error = |source| ScriptError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let mut file = File::open(path).map_err(read_error)?.take(MAX_SCRIPT_BYTES + 1);
        let length = file.read_to_string(&mut text).map_err(read_error)?;
        if length as u64 > MAX_SCRIPT_BYTES {
            return Err(ScriptError::TooLong { path: path.to_owned() });
        }
        text.parse()
    }

    /// Returns the lines in order.
    pub fn lines(&self) -> &[ScriptLine] {
        &self.0
    }

    pub(super) fn into_lines(self) -> Vec<ScriptLine> {
        self.0
    }
}

/// A script that cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file could not be read, or is not UTF-8.
    #[error("cannot read the script {}: {source}", path.display())]
    Read {
        /// File of the script.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is longer than [`MAX_SCRIPT_BYTES`].
    #[error("the script {} is longer than {MAX_SCRIPT_BYTES} bytes; split it in two", path.display())]
    TooLong {
        /// File of the script.
        path: PathBuf,
    },
    /// A line is invalid.
    #[error("line {number} of the script: {error}")]
    Line {
        /// Number of the line, from 1.
        number: usize,
        /// Error of the line.
        error: ScriptLineError,
    },
}

/// Why a line of a script is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptLineError {
    /// The line does not start with `+`.
    #[error("a line must be `+DELAY_MS payload`, or a comment that starts with `#`")]
    NoDelay,
    /// The delay is not a number of milliseconds.
    #[error("`{0}` is not a delay; write milliseconds, 0..=4294967295, in digits only")]
    BadDelay(String),
    /// The delay is not followed by a payload.
    #[error("the payload is missing; write it after the delay and a single space")]
    NoPayload,
    /// The payload does not fit into a packet.
    #[error("the payload has {bytes} bytes; a LoRa packet carries at most {MAX_PAYLOAD_BYTES}")]
    PayloadTooLong {
        /// Length with escapes resolved.
        bytes: usize,
    },
    /// The chip cannot receive such a signal, or cannot report it.
    #[error(
        "the chip cannot report {rssi_dbm} dBm with an SNR of {snr_quarter_db} quarters of a dB; use {RSSI_DBM:?} dBm \
         and {SNR_QUARTER_DB:?} quarters"
    )]
    Signal {
        /// Signal strength of the line.
        rssi_dbm: i16,
        /// Signal to noise ratio of the line, in quarters of a dB.
        snr_quarter_db: i16,
    },
    /// A backslash is not part of a known escape.
    #[error("`{0}` is not an escape; write \\xNN (two hex digits), \\n, or \\\\ for a backslash")]
    BadEscape(String),
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            lines.push(parse_line(line).map_err(|error| ScriptError::Line { number, error })?);
        }
        Ok(Self(lines))
    }
}

fn parse_line(line: &str) -> Result<ScriptLine, ScriptLineError> {
    let rest = line.strip_prefix('+').ok_or(ScriptLineError::NoDelay)?;
    let (digits, payload) = rest.split_once(' ').unwrap_or((rest, ""));
    let delay_ms = parse_delay_ms(digits).ok_or_else(|| ScriptLineError::BadDelay(digits.to_owned()))?;
    let payload = unescape(payload)?;
    check_length(&payload)?;
    Ok(ScriptLine::new(delay_ms, payload))
}

/// Parses a delay of digits only. `u32::from_str` alone would also accept a second `+`.
fn parse_delay_ms(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn check_length(payload: &[u8]) -> Result<(), ScriptLineError> {
    match payload.len() {
        0 => Err(ScriptLineError::NoPayload),
        1..=MAX_PAYLOAD_BYTES => Ok(()),
        bytes => Err(ScriptLineError::PayloadTooLong { bytes }),
    }
}

fn check_signal(line: &ScriptLine) -> Result<(), ScriptLineError> {
    let &ScriptLine { rssi_dbm, snr_quarter_db, .. } = line;
    let is_valid = RSSI_DBM.contains(&rssi_dbm) && SNR_QUARTER_DB.contains(&snr_quarter_db);
    is_valid.then_some(()).ok_or(ScriptLineError::Signal { rssi_dbm, snr_quarter_db })
}

fn unescape(text: &str) -> Result<Vec<u8>, ScriptLineError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('\\');
    bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    while let Some(piece) = pieces.next() {
        let rest = if piece.is_empty() {
            // Two backslashes in a row stand for one. The piece after the second is plain text.
            bytes.push(b'\\');
            pieces.next().ok_or_else(|| ScriptLineError::BadEscape("\\".to_owned()))?
        } else {
            let (byte, rest) = unescape_one(piece).ok_or_else(|| bad_escape(piece))?;
            bytes.push(byte);
            rest
        };
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

/// Returns the byte of an escape and the plain text after it. `piece` starts after the backslash.
fn unescape_one(piece: &str) -> Option<(u8, &str)> {
    if let Some(rest) = piece.strip_prefix('n') {
        return Some((b'\n', rest));
    }
    let (digits, rest) = piece.strip_prefix('x')?.split_at_checked(2)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten().map(|byte| (byte, rest))
}

fn bad_escape(piece: &str) -> ScriptLineError {
    let shown = if piece.starts_with('x') { 3 } else { 1 };
    ScriptLineError::BadEscape(std::iter::once('\\').chain(piece.chars().take(shown)).collect())
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            write!(f, "+{} ", line.delay_ms)?;
            for &byte in &line.payload {
                match byte {
                    b'\n' => f.write_str("\\n")?,
                    b'\\' => f.write_str("\\\\")?,
                    b' '..=b'~' => f.write_char(char::from(byte))?,
                    other => write!(f, "\\x{other:02x}")?,
                }
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line_error(text: &str) -> (usize, ScriptLineError) {
        match text.parse::<Script>() {
            Err(ScriptError::Line { number, error }) => (number, error),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_script_keeps_delays_and_payloads_as_written() {
        let text = "# the gate\n\n+0 hxb:LOT1:LF1:UHF1\r\n  # later\n+1500  two  blanks \\x80\\\\n\\n# no comment\n";
        let expected = vec![
            ScriptLine::new(0, "hxb:LOT1:LF1:UHF1"),
            ScriptLine::new(1500, b" two  blanks \x80\\n\n# no comment".to_vec()),
        ];
        assert_eq!(text.parse::<Script>().unwrap().lines(), expected);
    }

    #[test]
    fn every_error_names_its_line_and_its_reason() {
        assert_eq!(line_error("+1 a\n#\nhxb:1"), (3, ScriptLineError::NoDelay));
        assert_eq!(line_error("+x a"), (1, ScriptLineError::BadDelay("x".into())));
        assert_eq!(line_error("++1 a"), (1, ScriptLineError::BadDelay("+1".into())));
        assert_eq!(line_error("+4294967296 a"), (1, ScriptLineError::BadDelay("4294967296".into())));
        assert_eq!(line_error("+ a"), (1, ScriptLineError::BadDelay(String::new())));
        assert_eq!(line_error("+1"), (1, ScriptLineError::NoPayload));
        assert_eq!(line_error("+1 "), (1, ScriptLineError::NoPayload));
        assert_eq!(line_error("+1 a\\t"), (1, ScriptLineError::BadEscape("\\t".into())));
        assert_eq!(line_error("+1 a\\x+1"), (1, ScriptLineError::BadEscape("\\x+1".into())));
        assert_eq!(line_error("+1 a\\x1"), (1, ScriptLineError::BadEscape("\\x1".into())));
        assert_eq!(line_error("+1 a\\x\u{e9}"), (1, ScriptLineError::BadEscape("\\x\u{e9}".into())));
        assert_eq!(line_error("+1 a\\"), (1, ScriptLineError::BadEscape("\\".into())));
        assert_eq!(line_error(&format!("+1 {}", "a".repeat(256))), (1, ScriptLineError::PayloadTooLong { bytes: 256 }));
    }

    #[test]
    fn a_list_with_an_empty_payload_is_rejected() {
        let lines = vec![ScriptLine::new(0, "a"), ScriptLine::new(0, "")];
        assert!(matches!(Script::new(lines), Err(ScriptError::Line { number: 2, error: ScriptLineError::NoPayload })));
    }

    #[test]
    fn a_signal_that_the_chip_cannot_report_is_rejected() {
        for (rssi_dbm, snr_quarter_db) in [(-121, 36), (1, 36), (-80, -31), (-80, 128)] {
            let line = ScriptLine { rssi_dbm, snr_quarter_db, ..ScriptLine::new(0, "a") };
            let result = Script::new(vec![line]);
            assert!(matches!(result, Err(ScriptError::Line { number: 1, error: ScriptLineError::Signal { .. } })));
        }
    }

    #[test]
    fn an_error_names_the_missing_file() {
        let text = Script::read(Path::new("/nowhere/script")).unwrap_err().to_string();
        assert!(text.contains("/nowhere/script"), "{text}");
    }

    prop_compose! {
        fn any_line()(delay_ms: u32, payload in prop::collection::vec(any::<u8>(), 1..=255)) -> ScriptLine {
            ScriptLine::new(delay_ms, payload)
        }
    }

    proptest! {
        #[test]
        fn any_script_survives_a_round_trip_through_text(lines in prop::collection::vec(any_line(), 0..8)) {
            let script = Script::new(lines).unwrap();
            prop_assert_eq!(script.to_string().parse::<Script>().unwrap(), script);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*|([+#\\\\xn0-9a-f \\n\u{e9}]{0,40})") {
            if let Ok(script) = text.parse::<Script>() {
                prop_assert!(script.lines().iter().all(|line| (1..=255).contains(&line.payload.len())));
            }
        }
    }
}
