//! Settings of a modem on a serial port.

use crate::SettingsError;
use crate::serial::framing::{Decoder, Framing};
use crate::serial::{ControlLines, ListenerOptions, PortError, SILENCE, Serial, Tty};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Line speeds that adapters and modules support.
const BAUD: RangeInclusive<u32> = 300..=921_600;

/// Pause that ends a burst, plus the time of [`BURST_PAUSE_BITS`]. USB adapters deliver bytes every 16 ms.
const BURST_PAUSE: Duration = Duration::from_millis(50);
/// Four characters of ten bits each.
const BURST_PAUSE_BITS: f64 = 40.0;
/// Maximum number of commands in `init`, and the maximum length of one.
const MAX_COMMANDS: usize = 16;
const MAX_COMMAND_BYTES: usize = 128;

/// Settings of one modem on a serial port, as in the settings file. Unknown keys are rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SerialSettings {
    /// Path of the port. Default `/dev/ttyUSB0`. Prefer its name in `/dev/serial/by-id`, which stays the same if
    /// several adapters are plugged in.
    pub path: String,
    /// Speed of the line in bit/s: 300..=921,600, always 8 data bits, no parity, 1 stop bit. Default 9600, the factory
    /// setting of EBYTE modules. Reyax and RAK modules start at 115200.
    pub baud: u32,
    /// Protocol by which the modem separates payloads: `line`, `burst`, `reyax`, `cobs` or `rak`. Default `line`.
    pub framing: Framing,
    /// Set if the module appends an RSSI byte to each packet (EBYTE E22, E220: REG3, bit 7). Only with `framing = "line"`
    /// or `"burst"`. Default false.
    pub rssi_byte: bool,
    /// Commands that the modem needs before it receives, without line ends, at most 16 of at most 128 characters. They are
    /// sent when the port opens, when the modem has started, and when it has stopped receiving. Only with
    /// `framing = "rak"` or `"reyax"`. Default none.
    pub init: Vec<String>,
    /// Level of the line DTR while the port is open. Default: as the system sets it, which is on.
    pub dtr: Option<bool>,
    /// Level of the line RTS while the port is open. Default: as the system sets it.
    pub rts: Option<bool>,
}

impl Default for SerialSettings {
    fn default() -> Self {
        Self {
            path: "/dev/ttyUSB0".to_owned(),
            baud: 9_600,
            framing: Framing::default(),
            rssi_byte: false,
            init: Vec::new(),
            dtr: None,
            rts: None,
        }
    }
}

impl SerialSettings {
    /// Returns an error for the first value that is out of range. Opens nothing.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if !self.path.starts_with('/') || self.path.contains('\0') {
            let path = format!("{:?}", self.path);
            return Err(SettingsError::new("path", path, "an absolute path, such as one in /dev/serial/by-id"));
        }
        if !BAUD.contains(&self.baud) {
            let allowed = format!("{}..={}", BAUD.start(), BAUD.end());
            return Err(SettingsError::new("baud", self.baud, allowed));
        }
        if self.rssi_byte && !matches!(self.framing, Framing::Line | Framing::Burst) {
            let allowed = "`true` with `framing = \"line\"` or `\"burst\"` only: other framings have a field for the RSSI, \
                           or none";
            return Err(SettingsError::new("rssi_byte", true, allowed));
        }
        self.check_init()
    }

    fn check_init(&self) -> Result<(), SettingsError> {
        let refuse = |allowed: &str| Err(SettingsError::new("init", format!("{:?}", self.init), allowed));
        if !self.init.is_empty() && !matches!(self.framing, Framing::Rak | Framing::Reyax) {
            return refuse("commands with `framing = \"rak\"` or `\"reyax\"` only: other modems take none");
        }
        let is_command = |command: &String| {
            (1..=MAX_COMMAND_BYTES).contains(&command.len())
                && command.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        };
        if self.init.len() > MAX_COMMANDS || !self.init.iter().all(is_command) {
            return refuse("at most 16 commands of 1 to 128 printable ASCII characters, without line ends");
        }
        Ok(())
    }

    /// Returns the silence that ends a frame of this framing.
    fn silence(&self) -> Duration {
        match self.framing {
            Framing::Burst => BURST_PAUSE + Duration::from_secs_f64(BURST_PAUSE_BITS / f64::from(self.baud.max(1))),
            _ => SILENCE,
        }
    }

    /// Validates the settings and returns the radio.
    ///
    /// The first `receive` opens the port, which may be missing until then. While the port cannot be opened the radio
    /// is [`Failing`](crate::Health::Failing) and keeps trying.
    pub fn open(&self) -> Result<Serial, SettingsError> {
        self.validate()?;
        let options = ListenerOptions { silence: self.silence(), init: self.init.clone() };
        Ok(Serial::new(self.port(), Decoder::new(self.framing, self.rssi_byte), options))
    }

    /// Opens the port and closes it again, to find out whether it works. Returns [`PortError::Busy`] while a radio has
    /// it open.
    pub async fn probe(&self) -> Result<(), PortError> {
        self.port().probe().await
    }

    fn port(&self) -> Tty {
        Tty::new(&self.path, self.baud, ControlLines { dtr: self.dtr, rts: self.rts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SerialSettings, toml::de::Error> {
        toml::from_str(text)
    }

    /// Catches a default that no longer fits the modems that the original software was used with.
    #[test]
    fn the_defaults_are_those_of_the_original_and_valid() {
        let settings = parse("").unwrap();
        assert_eq!((settings.path.as_str(), settings.baud), ("/dev/ttyUSB0", 9_600));
        assert_eq!((settings.framing, settings.rssi_byte), (Framing::Line, false));
        settings.open().unwrap();
    }

    #[test]
    fn settings_survive_a_round_trip_through_toml() {
        for framing in Framing::ALL {
            let path = "/dev/serial/by-id/usb-1".to_owned();
            let init = if framing == Framing::Rak { vec!["AT+PRECV=65534".to_owned()] } else { Vec::new() };
            let (rssi_byte, dtr) = (framing == Framing::Line, (framing == Framing::Burst).then_some(false));
            let settings = SerialSettings { path, baud: 115_200, framing, rssi_byte, init, dtr, rts: None };
            settings.validate().unwrap();
            assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
        }
    }

    #[test]
    fn unknown_keys_and_framings_are_rejected_by_name() {
        for (text, name) in [
            ("bauds = 9600", "bauds"),
            ("framing = 'slip'", "slip"),
            ("framing = 'pause'", "burst"),
            ("dtr = 'on'", "on"),
            ("baud = -1", "-1"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn values_out_of_range_are_rejected_with_key_and_value() {
        for (text, key, value) in [
            ("path = ''", "path", "\"\""),
            ("path = 'ttyUSB0'", "path", "\"ttyUSB0\""),
            (r#"path = "/dev/\u0000""#, "path", r#""/dev/\0""#),
            ("baud = 299", "baud", "299"),
            ("baud = 921601", "baud", "921601"),
            ("framing = 'reyax'\nrssi_byte = true", "rssi_byte", "true"),
            ("framing = 'cobs'\nrssi_byte = true", "rssi_byte", "true"),
            ("framing = 'rak'\nrssi_byte = true", "rssi_byte", "true"),
            ("init = ['AT']", "init", "[\"AT\"]"),
            ("framing = 'burst'\ninit = ['AT']", "init", "[\"AT\"]"),
            ("framing = 'rak'\ninit = ['']", "init", "[\"\"]"),
            ("framing = 'rak'\ninit = [\"AT\\r\"]", "init", "[\"AT\\r\"]"),
            ("framing = 'reyax'\ninit = ['AT+NAME=\u{e9}']", "init", "[\"AT+NAME=\u{e9}\"]"),
        ] {
            let error = parse(text).unwrap().open().unwrap_err();
            assert_eq!((error.key, error.value.as_str()), (key, value), "{text}");
        }
    }
}
