//! A written course of events: which payload is heard when.
//!
//! As text, a script has one payload a line, `+DELAY_MS payload`:
//!
//! ```text
//! # the gate opens
//! +0 hxb:LOT1:LF1:UHF1
//! +1500 hxb:LOT1:LF2:UHF2\n
//! +20 \x80\x01
//! ```
//!
//! The delay counts from the line before. One blank ends it, and all that follows up to the line end is the payload,
//! blanks included. Escapes are `\xNN`, `\n` and `\\`. Empty lines, and lines whose first sign is `#`, say nothing.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::MAX_PAYLOAD_BYTES;

/// The largest script that is read from a file.
pub const MAX_SCRIPT_BYTES: u64 = 16 * 1024 * 1024;

/// Strengths that a packet of a script may have: from the noise of the channel to a reader at the antenna.
pub const RSSI_DBM: RangeInclusive<i16> = -120..=0;
/// Signal to noise ratios that it may have: those that are heard at SF7 (data sheet, table 13), up to what the chip's
/// register holds.
pub const SNR_QUARTER_DB: RangeInclusive<i16> = -30..=127;

/// How strong a scripted packet is unless it says otherwise: a reader across the yard.
const USUAL_RSSI_DBM: i16 = -80;
/// 9 dB.
const USUAL_SNR_QUARTER_DB: i16 = 36;

/// One transmission of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptLine {
    /// Time since the line before, on the air's clock. Where that one is still on the air, this one waits.
    pub delay_ms: u32,
    /// 1..=255 bytes.
    pub payload: Vec<u8>,
    /// At the barn's antenna: [`RSSI_DBM`]. The chip tells 15 strengths out of 16, so it may be reported 1 dB off.
    pub rssi_dbm: i16,
    /// As the radio will report it, in quarters of a dB: [`SNR_QUARTER_DB`].
    pub snr_quarter_db: i16,
    /// The packet arrives with a wrong CRC: counted by the radio, never delivered.
    pub corrupted: bool,
}

impl ScriptLine {
    /// A packet that is heard whole and well, `delay_ms` after the one before.
    pub fn new(delay_ms: u32, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into();
        let (rssi_dbm, snr_quarter_db) = (USUAL_RSSI_DBM, USUAL_SNR_QUARTER_DB);
        Self { delay_ms, payload, rssi_dbm, snr_quarter_db, corrupted: false }
    }
}

/// A list of transmissions, every payload of 1..=255 bytes.
///
/// `Display` gives the text form, which holds delays and payloads; how strong a packet is, and that it is corrupted,
/// can only be said in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script(Vec<ScriptLine>);

impl Script {
    /// A script of these lines. An error counts them from 1.
    pub fn new(lines: Vec<ScriptLine>) -> Result<Self, ScriptError> {
        for (line, number) in lines.iter().zip(1..) {
            let checked = check_length(&line.payload).and_then(|()| check_signal(line));
            checked.map_err(|fault| ScriptError::Line { number, fault })?;
        }
        Ok(Self(lines))
    }

    /// Reads a script from a file of at most [`MAX_SCRIPT_BYTES`].
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let unreadable = |source| ScriptError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let mut file = File::open(path).map_err(unreadable)?.take(MAX_SCRIPT_BYTES + 1);
        let length = file.read_to_string(&mut text).map_err(unreadable)?;
        if length as u64 > MAX_SCRIPT_BYTES {
            return Err(ScriptError::TooLong { path: path.to_owned() });
        }
        text.parse()
    }

    /// The lines, in order.
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
        /// The file.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The file is longer than a script may be.
    #[error("the script {} is longer than {MAX_SCRIPT_BYTES} bytes; cut it in two", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("line {number} of the script: {fault}")]
    Line {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
}

/// What is wrong with a line of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// It does not begin with `+`.
    #[error("a line is `+DELAY_MS payload`, or a comment that begins with `#`")]
    NoDelay,
    /// What follows the `+` is no number of milliseconds.
    #[error("`{0}` is no delay; give milliseconds, 0..=4294967295, as digits only")]
    BadDelay(String),
    /// There is nothing behind the delay.
    #[error("there is no payload; write one blank and the payload behind the delay")]
    NoPayload,
    /// The payload is longer than a packet can be.
    #[error("the payload has {bytes} bytes; a LoRa packet carries at most {MAX_PAYLOAD_BYTES}")]
    PayloadTooLong {
        /// Its length, escapes resolved.
        bytes: usize,
    },
    /// No chip hears it, or tells of it, like that.
    #[error(
        "a packet of {rssi_dbm} dBm and an SNR of {snr_quarter_db} quarters of a dB cannot be heard as written; allowed \
         are {RSSI_DBM:?} dBm and {SNR_QUARTER_DB:?} quarters"
    )]
    Signal {
        /// As written.
        rssi_dbm: i16,
        /// As written.
        snr_quarter_db: i16,
    },
    /// A backslash begins nothing known.
    #[error("`{0}` is no escape; write \\xNN (two hex digits), \\n, or \\\\ for a backslash")]
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
            lines.push(parse_line(line).map_err(|fault| ScriptError::Line { number, fault })?);
        }
        Ok(Self(lines))
    }
}

fn parse_line(line: &str) -> Result<ScriptLine, LineFault> {
    let rest = line.strip_prefix('+').ok_or(LineFault::NoDelay)?;
    let (digits, payload) = rest.split_once(' ').unwrap_or((rest, ""));
    let delay_ms = parse_delay_ms(digits).ok_or_else(|| LineFault::BadDelay(digits.to_owned()))?;
    let payload = unescape(payload)?;
    check_length(&payload)?;
    Ok(ScriptLine::new(delay_ms, payload))
}

/// Digits only, as `u32::from_str` would also take a second `+`.
fn parse_delay_ms(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn check_length(payload: &[u8]) -> Result<(), LineFault> {
    match payload.len() {
        0 => Err(LineFault::NoPayload),
        1..=MAX_PAYLOAD_BYTES => Ok(()),
        bytes => Err(LineFault::PayloadTooLong { bytes }),
    }
}

fn check_signal(line: &ScriptLine) -> Result<(), LineFault> {
    let &ScriptLine { rssi_dbm, snr_quarter_db, .. } = line;
    let heard = RSSI_DBM.contains(&rssi_dbm) && SNR_QUARTER_DB.contains(&snr_quarter_db);
    heard.then_some(()).ok_or(LineFault::Signal { rssi_dbm, snr_quarter_db })
}

fn unescape(text: &str) -> Result<Vec<u8>, LineFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('\\');
    bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    while let Some(piece) = pieces.next() {
        let rest = if piece.is_empty() {
            // Two backslashes in a row: one is meant, and what follows the second is plain.
            bytes.push(b'\\');
            pieces.next().ok_or_else(|| LineFault::BadEscape("\\".to_owned()))?
        } else {
            let (byte, rest) = unescape_one(piece).ok_or_else(|| bad_escape(piece))?;
            bytes.push(byte);
            rest
        };
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

/// The byte that an escape stands for, and the plain text behind it. The backslash is already off.
fn unescape_one(piece: &str) -> Option<(u8, &str)> {
    if let Some(rest) = piece.strip_prefix('n') {
        return Some((b'\n', rest));
    }
    let (digits, rest) = piece.strip_prefix('x')?.split_at_checked(2)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten().map(|byte| (byte, rest))
}

fn bad_escape(piece: &str) -> LineFault {
    let shown = if piece.starts_with('x') { 3 } else { 1 };
    LineFault::BadEscape(std::iter::once('\\').chain(piece.chars().take(shown)).collect())
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
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> (usize, LineFault) {
        match text.parse::<Script>() {
            Err(ScriptError::Line { number, fault }) => (number, fault),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_script_is_read_as_written() {
        let text = "# the gate\n\n+0 hxb:LOT1:LF1:UHF1\r\n  # later\n+1500  two  blanks \\x80\\\\n\\n# no comment\n";
        let expected = vec![
            ScriptLine::new(0, "hxb:LOT1:LF1:UHF1"),
            ScriptLine::new(1500, b" two  blanks \x80\\n\n# no comment".to_vec()),
        ];
        assert_eq!(text.parse::<Script>().unwrap().lines(), expected);
    }

    #[test]
    fn every_fault_names_its_line_and_itself() {
        assert_eq!(fault("+1 a\n#\nhxb:1"), (3, LineFault::NoDelay));
        assert_eq!(fault("+x a"), (1, LineFault::BadDelay("x".into())));
        assert_eq!(fault("++1 a"), (1, LineFault::BadDelay("+1".into())));
        assert_eq!(fault("+4294967296 a"), (1, LineFault::BadDelay("4294967296".into())));
        assert_eq!(fault("+ a"), (1, LineFault::BadDelay(String::new())));
        assert_eq!(fault("+1"), (1, LineFault::NoPayload));
        assert_eq!(fault("+1 "), (1, LineFault::NoPayload));
        assert_eq!(fault("+1 a\\t"), (1, LineFault::BadEscape("\\t".into())));
        assert_eq!(fault("+1 a\\x+1"), (1, LineFault::BadEscape("\\x+1".into())));
        assert_eq!(fault("+1 a\\x1"), (1, LineFault::BadEscape("\\x1".into())));
        assert_eq!(fault("+1 a\\x\u{e9}"), (1, LineFault::BadEscape("\\x\u{e9}".into())));
        assert_eq!(fault("+1 a\\"), (1, LineFault::BadEscape("\\".into())));
        assert_eq!(fault(&format!("+1 {}", "a".repeat(256))), (1, LineFault::PayloadTooLong { bytes: 256 }));
    }

    #[test]
    fn a_list_with_a_payload_no_radio_can_send_is_refused() {
        let lines = vec![ScriptLine::new(0, "a"), ScriptLine::new(0, "")];
        assert!(matches!(Script::new(lines), Err(ScriptError::Line { number: 2, fault: LineFault::NoPayload })));
    }

    #[test]
    fn a_signal_that_no_chip_would_report_is_refused() {
        for (rssi_dbm, snr_quarter_db) in [(-121, 36), (1, 36), (-80, -31), (-80, 128)] {
            let line = ScriptLine { rssi_dbm, snr_quarter_db, ..ScriptLine::new(0, "a") };
            let refused = Script::new(vec![line]);
            assert!(matches!(refused, Err(ScriptError::Line { number: 1, fault: LineFault::Signal { .. } })));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
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
        fn any_script_written_down_is_read_back_the_same(lines in prop::collection::vec(any_line(), 0..8)) {
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
