//! Prints packets, one line each.
//!
//! Bytes off the air must not command the terminal, nor make a line look like another one: hidden characters are shown as
//! escapes, as `show` does.

use crate::tap::ReceivedPacket;
use herd::clock::iso_utc;
use radio::lora::LowDataRateOptimize;
use serde_json::{Value, json};
use service::lifecycle::print_notice;
use service::sheet::{visible, visible_json};
use std::io::{self, ErrorKind, Write};

/// Modulation settings of one step of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScanSettings {
    /// Binary logarithm of the chips per symbol.
    pub spreading_factor: u8,
    /// Width of the channel.
    pub bandwidth_hz: u32,
    /// Byte by which a receiver recognizes its senders.
    pub sync_word: u8,
    /// LowDataRateOptimize. A scan tries the other setting where it finds only wrong CRCs.
    pub low_data_rate_optimize: LowDataRateOptimize,
}

impl ScanSettings {
    /// Returns LowDataRateOptimize as the settings file spells it, unless it is `auto`.
    pub fn low_data_rate_word(&self) -> Option<&'static str> {
        match self.low_data_rate_optimize {
            LowDataRateOptimize::Auto => None,
            LowDataRateOptimize::On => Some("on"),
            LowDataRateOptimize::Off => Some("off"),
        }
    }
}

impl std::fmt::Display for ScanSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let &Self { spreading_factor, bandwidth_hz, sync_word, .. } = self;
        write!(f, "SF{spreading_factor} {bandwidth_hz} Hz {sync_word:#04x}")?;
        match self.low_data_rate_word() {
            Some(word) => write!(f, " LowDataRateOptimize {word}"),
            None => Ok(()),
        }
    }
}

/// Tells the caller of a [`Printer`] whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintStatus {
    /// All requested packets are printed, or the reader of the output is gone.
    Done,
    /// Further packets are welcome.
    More,
}

/// Prints packets up to a limit.
pub struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    /// Packets until the limit; `None` without a limit.
    remaining: Option<u64>,
    settings: Option<ScanSettings>,
}

impl<'a> Printer<'a> {
    /// Creates a printer that writes at most `count` packets to `out`.
    pub fn new(out: &'a mut dyn Write, json: bool, count: Option<u64>) -> Self {
        Self { out, json, remaining: count, settings: None }
    }

    /// Adds these settings to each line from now on.
    pub fn set_settings(&mut self, settings: ScanSettings) {
        self.settings = Some(settings);
    }

    /// Prints a packet.
    pub fn print(&mut self, packet: &ReceivedPacket) -> io::Result<PrintStatus> {
        if self.remaining == Some(0) {
            return Ok(PrintStatus::Done);
        }
        let settings = self.settings;
        let line = if self.json {
            visible_json(&json_line(packet, settings).to_string())
        } else {
            visible(&text_line(packet, settings))
        };
        let status = self.print_line(&line)?;
        self.remaining = self.remaining.map(|remaining| remaining - 1);
        Ok(if self.remaining == Some(0) { PrintStatus::Done } else { status })
    }

    /// Reports packets that were received but cannot be shown any more.
    pub fn print_missed(&mut self, packets: u64) -> io::Result<PrintStatus> {
        if packets == 0 {
            return Ok(PrintStatus::More);
        }
        print_notice(format_args!(
            "{packets} packets arrived faster than they could be shown; the daemon has received them."
        ));
        if self.json { self.print_line(&json!({ "missed": packets }).to_string()) } else { Ok(PrintStatus::More) }
    }

    /// A broken pipe is not an error: the reader has seen enough.
    fn print_line(&mut self, line: &str) -> io::Result<PrintStatus> {
        match writeln!(self.out, "{line}").and_then(|()| self.out.flush()) {
            Ok(()) => Ok(PrintStatus::More),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(PrintStatus::Done),
            Err(error) => Err(error),
        }
    }
}

/// Returns time, channel, dBm, dB, Hz, hex and text, with `-` for values that the modem does not report.
fn text_line(packet: &ReceivedPacket, settings: Option<ScanSettings>) -> String {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rssi = or_dash(packet.rssi_dbm.map(|dbm| format!("{dbm} dBm")));
    let snr = or_dash(packet.snr_quarter_db.map(|quarters| format!("{:.2} dB", decibels(quarters))));
    let error = or_dash(packet.frequency_error_hz.map(|hz| format!("{hz:+} Hz")));
    let settings = settings.map(|settings| format!("  {settings}")).unwrap_or_default();
    let (at, channel) = (iso_utc(packet.at_us), &packet.channel);
    let (hex, text) = (hex::encode(&packet.bytes), String::from_utf8_lossy(&packet.bytes));
    format!("{at}  {channel}{settings}  {rssi:>8}  {snr:>9}  {error:>9}  {hex}  {text}")
}

fn json_line(packet: &ReceivedPacket, settings: Option<ScanSettings>) -> Value {
    let mut line = json!({
        "at": iso_utc(packet.at_us),
        "channel": packet.channel,
        "rssi_dbm": packet.rssi_dbm,
        "snr_db": packet.snr_quarter_db.map(decibels),
        "frequency_error_hz": packet.frequency_error_hz,
        "hex": hex::encode(&packet.bytes),
        "text": String::from_utf8_lossy(&packet.bytes),
    });
    if let Some(settings) = settings {
        let ScanSettings { spreading_factor, bandwidth_hz, sync_word, .. } = settings;
        line["low_data_rate_optimize"] = settings.low_data_rate_word().unwrap_or("auto").into();
        line["spreading_factor"] = spreading_factor.into();
        line["bandwidth_hz"] = bandwidth_hz.into();
        line["sync_word"] = sync_word.into();
    }
    line
}

fn decibels(quarters: i16) -> f64 {
    f64::from(quarters) / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &[u8]) -> ReceivedPacket {
        ReceivedPacket {
            channel: "gate".into(),
            at_us: 1_705_314_920_123_456,
            rssi_dbm: Some(-80),
            snr_quarter_db: Some(-7),
            frequency_error_hz: Some(1_200),
            bytes: bytes.to_vec(),
        }
    }

    fn printed(json: bool, count: Option<u64>, packets: &[ReceivedPacket]) -> (String, Vec<PrintStatus>) {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, json, count);
        let statuses = packets.iter().map(|packet| printer.print(packet).unwrap()).collect();
        (String::from_utf8(out).unwrap(), statuses)
    }

    #[test]
    fn a_packet_is_a_line_of_time_channel_dbm_db_hz_hex_and_text() {
        let (line, _) = printed(false, None, &[packet(b"hxb:1")]);
        let expected = "2024-01-15T10:35:20.123Z  gate   -80 dBm   -1.75 dB   +1200 Hz  6878623a31  hxb:1\n";
        assert_eq!(line, expected);
        let without_signal =
            ReceivedPacket { rssi_dbm: None, snr_quarter_db: None, frequency_error_hz: None, ..packet(b"x") };
        assert_eq!(printed(false, None, &[without_signal]).0.split_whitespace().nth(3), Some("-"));
    }

    #[test]
    fn as_json_a_packet_is_one_object_on_one_line() {
        let (lines, _) = printed(true, None, &[packet(b"a\nb"), packet(&[0xFF])]);
        let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = json!({
            "at": "2024-01-15T10:35:20.123Z", "channel": "gate", "rssi_dbm": -80, "snr_db": -1.75,
            "frequency_error_hz": 1200, "hex": "610a62", "text": "a\nb",
        });
        assert_eq!((objects.len(), &objects[0], &objects[1]["text"]), (2, &expected, &json!("\u{fffd}")));
    }

    /// Catches a packet that commands the terminal or makes its line look like another one, and JSON that loses what was
    /// sent.
    #[test]
    fn hidden_characters_reach_the_terminal_as_escapes_only() {
        let sent = "noise\u{1b}[2J\u{7}\u{9b}2J\u{202e}evil\u{200b}\u{feff}";
        let (text, _) = printed(false, None, &[packet(sent.as_bytes())]);
        let shown = r"noise\u{1b}[2J\u{7}\u{9b}2J\u{202e}evil\u{200b}\u{feff}";
        assert!(text.trim_end().ends_with(shown), "{text}");
        let (json, _) = printed(true, None, &[packet(sent.as_bytes())]);
        assert!(json.is_ascii() && !json.trim_end().contains(char::is_control), "{json:?}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["text"], sent);
    }

    #[test]
    fn the_printer_stops_after_the_requested_number_of_packets() {
        let (lines, statuses) = printed(false, Some(2), &[packet(b"1"), packet(b"2"), packet(b"3")]);
        assert_eq!(
            (lines.lines().count(), statuses),
            (2, vec![PrintStatus::More, PrintStatus::Done, PrintStatus::Done])
        );
    }

    struct FailingOut(ErrorKind);

    impl Write for FailingOut {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_not_an_error_and_a_full_disk_is() {
        let print = |kind| Printer::new(&mut FailingOut(kind), false, None).print(&packet(b"1"));
        assert_eq!(print(ErrorKind::BrokenPipe).unwrap(), PrintStatus::Done);
        assert_eq!(print(ErrorKind::StorageFull).unwrap_err().kind(), ErrorKind::StorageFull);
    }

    /// Catches packets that a program never learns of, and a line for none.
    #[test]
    fn missed_packets_are_an_object_as_json_and_no_line_as_text() {
        for (json, missed, printed) in [(true, 3, "{\"missed\":3}\n"), (true, 0, ""), (false, 3, "")] {
            let mut out = Vec::new();
            assert_eq!(Printer::new(&mut out, json, None).print_missed(missed).unwrap(), PrintStatus::More);
            assert_eq!(String::from_utf8(out).unwrap(), printed);
        }
        let mut closed = FailingOut(ErrorKind::BrokenPipe);
        assert_eq!(Printer::new(&mut closed, true, None).print_missed(3).unwrap(), PrintStatus::Done);
    }

    /// Catches a packet of a scan that does not say with which settings it was received.
    #[test]
    fn a_packet_of_a_scan_has_the_settings_of_its_step() {
        let auto = ScanSettings {
            spreading_factor: 8,
            bandwidth_hz: 500_000,
            sync_word: 0x34,
            low_data_rate_optimize: LowDataRateOptimize::Auto,
        };
        let on = ScanSettings { low_data_rate_optimize: LowDataRateOptimize::On, ..auto };
        let off = ScanSettings { low_data_rate_optimize: LowDataRateOptimize::Off, ..auto };
        for (settings, text, word) in [
            (auto, "  gate  SF8 500000 Hz 0x34   -80 dBm", "auto"),
            (on, "  gate  SF8 500000 Hz 0x34 LowDataRateOptimize on   -80 dBm", "on"),
            (off, "  gate  SF8 500000 Hz 0x34 LowDataRateOptimize off   -80 dBm", "off"),
        ] {
            let line = |json| {
                let mut out = Vec::new();
                let mut printer = Printer::new(&mut out, json, None);
                printer.set_settings(settings);
                printer.print(&packet(b"1")).unwrap();
                String::from_utf8(out).unwrap()
            };
            assert!(line(false).contains(text), "{}", line(false));
            let object: Value = serde_json::from_str(&line(true)).unwrap();
            assert_eq!((&object["spreading_factor"], &object["bandwidth_hz"]), (&json!(8), &json!(500_000)));
            assert_eq!((&object["sync_word"], &object["low_data_rate_optimize"]), (&json!(0x34), &json!(word)));
        }
    }
}
