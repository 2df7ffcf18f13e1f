//! Settings of a modem on a serial port.

use crate::SettingsError;
use crate::serial::framing::{Decoder, Framing};
use crate::serial::{PortError, Serial, Tty};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Line speeds that adapters and modules support.
const BAUD: RangeInclusive<u32> = 300..=921_600;

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
    /// Protocol by which the modem separates payloads: `line`, `reyax`, `cobs` or `rak`. Default `line`.
    pub framing: Framing,
    /// Set if the module appends an RSSI byte to each packet (EBYTE E22, E220: REG3, bit 7). Only with
    /// `framing = "line"`. Default false.
    pub rssi_byte: bool,
}

impl Default for SerialSettings {
    fn default() -> Self {
        Self { path: "/dev/ttyUSB0".to_owned(), baud: 9_600, framing: Framing::default(), rssi_byte: false }
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
        if self.rssi_byte && self.framing != Framing::Line {
            let allowed = "`true` with `framing = \"line\"` only: other framings have a field for the RSSI, or none";
            return Err(SettingsError::new("rssi_byte", true, allowed));
        }
        Ok(())
    }

    /// Validates the settings and returns the radio.
    ///
    /// The first `receive` opens the port, which may be missing until then. While the port cannot be opened the radio
    /// is [`Failing`](crate::Health::Failing) and keeps trying.
    pub fn open(&self) -> Result<Serial, SettingsError> {
        self.validate()?;
        Ok(Serial::new(self.port(), Decoder::new(self.framing, self.rssi_byte)))
    }

    /// Opens the port and closes it again, to find out whether it works. Returns [`PortError::Busy`] while a radio has
    /// it open.
    pub async fn probe(&self) -> Result<(), PortError> {
        self.port().probe().await
    }

    fn port(&self) -> Tty {
        Tty::new(&self.path, self.baud)
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
            let settings = SerialSettings { path, baud: 115_200, framing, rssi_byte: framing == Framing::Line };
            settings.validate().unwrap();
            assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
        }
    }

    #[test]
    fn unknown_keys_and_framings_are_rejected_by_name() {
        for (text, name) in [("bauds = 9600", "bauds"), ("framing = 'slip'", "slip"), ("baud = -1", "-1")] {
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
        ] {
            let error = parse(text).unwrap().open().unwrap_err();
            assert_eq!((error.key, error.value.as_str()), (key, value), "{text}");
        }
    }
}
