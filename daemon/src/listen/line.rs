//! A packet as a line.

use crate::tap::Heard;
use herd::clock::iso_utc;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Write};

/// With what settings a packet was heard, where that is what one wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// Chips in a symbol, as a power of two.
    pub spreading_factor: u8,
    /// Width of the channel.
    pub bandwidth_hz: u32,
    /// What sender and receiver know each other by.
    pub sync_word: u8,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let &Self { spreading_factor, bandwidth_hz, sync_word } = self;
        write!(f, "SF{spreading_factor} {bandwidth_hz} Hz {sync_word:#04x}")
    }
}

/// Whether there is more to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that was asked for is printed, or nobody reads it.
    Yes,
    /// More may come.
    No,
}

/// Prints packets, at most so many.
pub struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    left: Option<u64>,
    setting: Option<Setting>,
}

impl<'a> Printer<'a> {
    /// Prints to `out`, at most `count` packets.
    pub fn new(out: &'a mut dyn Write, json: bool, count: Option<u64>) -> Self {
        Self { out, json, left: count, setting: None }
    }

    /// From now on each line says with what settings its packet was heard.
    pub fn heard_with(&mut self, setting: Setting) {
        self.setting = Some(setting);
    }

    /// Prints a packet.
    pub fn packet(&mut self, heard: &Heard) -> io::Result<Ended> {
        if self.left == Some(0) {
            return Ok(Ended::Yes);
        }
        let line = if self.json { as_json(heard, self.setting).to_string() } else { as_text(heard, self.setting) };
        let ended = self.line(&line)?;
        self.left = self.left.map(|left| left - 1);
        Ok(if self.left == Some(0) { Ended::Yes } else { ended })
    }

    /// Tells that packets were heard and could not be shown.
    pub fn missed(&mut self, packets: u64) -> io::Result<Ended> {
        if packets == 0 {
            return Ok(Ended::No);
        }
        eprintln!("{packets} packets came faster than they were read here, and are not shown; they are recorded.");
        if self.json { self.line(&json!({ "missed": packets }).to_string()) } else { Ok(Ended::No) }
    }

    /// One that reads no more has seen enough.
    fn line(&mut self, line: &str) -> io::Result<Ended> {
        match writeln!(self.out, "{line}").and_then(|()| self.out.flush()) {
            Ok(()) => Ok(Ended::No),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Ended::Yes),
            Err(error) => Err(error),
        }
    }
}

/// Time, channel, dBm, dB, Hz, hex, text; `-` for what the modem does not tell.
fn as_text(heard: &Heard, setting: Option<Setting>) -> String {
    let or_dash = |told: Option<String>| told.unwrap_or_else(|| "-".to_owned());
    let rssi = or_dash(heard.rssi_dbm.map(|dbm| format!("{dbm} dBm")));
    let snr = or_dash(heard.snr_quarter_db.map(|quarters| format!("{:.2} dB", decibels(quarters))));
    let error = or_dash(heard.frequency_error_hz.map(|hz| format!("{hz:+} Hz")));
    let setting = setting.map(|setting| format!("  {setting}")).unwrap_or_default();
    let (at, channel) = (iso_utc(heard.at_us), &heard.channel);
    let (hex, text) = (hex::encode(&heard.bytes), text(&heard.bytes));
    format!("{at}  {channel}{setting}  {rssi:>8}  {snr:>9}  {error:>9}  {hex}  {text}")
}

fn as_json(heard: &Heard, setting: Option<Setting>) -> Value {
    let mut line = json!({
        "at": iso_utc(heard.at_us),
        "channel": heard.channel,
        "rssi_dbm": heard.rssi_dbm,
        "snr_db": heard.snr_quarter_db.map(decibels),
        "frequency_error_hz": heard.frequency_error_hz,
        "hex": hex::encode(&heard.bytes),
        "text": text(&heard.bytes),
    });
    if let Some(Setting { spreading_factor, bandwidth_hz, sync_word }) = setting {
        line["spreading_factor"] = spreading_factor.into();
        line["bandwidth_hz"] = bandwidth_hz.into();
        line["sync_word"] = sync_word.into();
    }
    line
}

fn decibels(quarters: i16) -> f64 {
    f64::from(quarters) / 4.0
}

/// What comes off the air must not command the terminal of whoever looks.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> Heard {
        Heard {
            channel: "gate".into(),
            at_us: 1_705_314_920_123_456,
            rssi_dbm: Some(-80),
            snr_quarter_db: Some(-7),
            frequency_error_hz: Some(1_200),
            bytes: bytes.to_vec(),
        }
    }

    fn printed(json: bool, count: Option<u64>, packets: &[Heard]) -> (String, Vec<Ended>) {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, json, count);
        let ends = packets.iter().map(|heard| printer.packet(heard).unwrap()).collect();
        (String::from_utf8(out).unwrap(), ends)
    }

    #[test]
    fn a_packet_is_a_line_of_time_channel_dbm_db_hz_hex_and_text() {
        let (line, _) = printed(false, None, &[heard(b"hxb:1")]);
        let expected = "2024-01-15T10:35:20.123Z  gate   -80 dBm   -1.75 dB   +1200 Hz  6878623a31  hxb:1\n";
        assert_eq!(line, expected);
        let silent = Heard { rssi_dbm: None, snr_quarter_db: None, frequency_error_hz: None, ..heard(b"x") };
        assert_eq!(printed(false, None, &[silent]).0.split_whitespace().nth(3), Some("-"));
    }

    #[test]
    fn as_json_a_packet_is_one_object_on_one_line() {
        let (lines, _) = printed(true, None, &[heard(b"a\nb"), heard(&[0xFF])]);
        let told: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = json!({
            "at": "2024-01-15T10:35:20.123Z", "channel": "gate", "rssi_dbm": -80, "snr_db": -1.75,
            "frequency_error_hz": 1200, "hex": "610a62", "text": "a\u{fffd}b",
        });
        assert_eq!((told.len(), &told[0], &told[1]["text"]), (2, &expected, &json!("\u{fffd}")));
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        for json in [false, true] {
            let (line, _) = printed(json, None, &[heard(b"noise\x1b[2J\x07")]);
            assert!(line.contains("noise") && !line.trim_end().contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn after_so_many_packets_it_has_ended_and_prints_no_more() {
        let (lines, ends) = printed(false, Some(2), &[heard(b"1"), heard(b"2"), heard(b"3")]);
        assert_eq!((lines.lines().count(), ends), (2, vec![Ended::No, Ended::Yes, Ended::Yes]));
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn where_nobody_reads_any_more_it_ends_in_peace() {
        assert_eq!(Printer::new(&mut Closed, false, None).packet(&heard(b"1")).unwrap(), Ended::Yes);
    }
}
