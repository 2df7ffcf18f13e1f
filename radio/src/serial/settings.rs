//! What can be set about a modem at a serial port.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::Serial;
use super::framing::{Decoder, Framing};
use super::port::{Opens, PortError, Tty};
use crate::SettingsError;

/// What adapters and modules offer.
const BAUD: RangeInclusive<u32> = 300..=921_600;

/// The settings of one modem at a serial port, as they stand in a configuration file. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SerialSettings {
    /// The port. Default `/dev/ttyUSB0`; better is its name in `/dev/serial/by-id`, which stays the same when several
    /// adapters are plugged in.
    pub path: String,
    /// Speed of the line in bit/s: 300..=921,600, always 8 data bits, no parity, 1 stop bit. Default 9600, at which
    /// EBYTE modules start; Reyax and RAK modules start at 115200.
    pub baud: u32,
    /// How the modem marks where payloads begin and end: `line`, `reyax`, `cobs` or `rak`. Default `line`.
    pub framing: Framing,
    /// With `framing = "line"` only: the module is set to append a byte of strength to each packet (EBYTE E22, E220:
    /// REG3, bit 7). Default false.
    pub rssi_byte: bool,
}

impl Default for SerialSettings {
    fn default() -> Self {
        Self { path: "/dev/ttyUSB0".to_owned(), baud: 9_600, framing: Framing::default(), rssi_byte: false }
    }
}

impl SerialSettings {
    /// Names the first value that is out of its range. Opens nothing.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let refused =
            |key, value: String, allowed: &str| Err(SettingsError { key, value, allowed: allowed.to_owned() });
        if !self.path.starts_with('/') || self.path.contains('\0') {
            return refused("path", format!("{:?}", self.path), "an absolute path, as /dev/serial/by-id lists them");
        }
        if !BAUD.contains(&self.baud) {
            return refused("baud", self.baud.to_string(), &format!("{}..={}", BAUD.start(), BAUD.end()));
        }
        if self.rssi_byte && self.framing != Framing::Line {
            let allowed =
                "true only with `framing = \"line\"`: the other framings carry the strength themselves or not at all";
            return refused("rssi_byte", true.to_string(), allowed);
        }
        Ok(())
    }

    /// Makes the radio. The port is opened by its first `receive`, and need not be there yet: a port that cannot be
    /// opened makes the radio [`Failing`](crate::Health::Failing), and is tried again.
    pub fn open(&self) -> Result<Serial, SettingsError> {
        self.validate()?;
        Ok(Serial::new(self))
    }

    /// Opens the port and closes it again, so that one can ask what is wrong with it. While a radio has it open, it is
    /// [`Busy`](PortError::Busy).
    pub async fn probe(&self) -> Result<(), PortError> {
        self.port().open().await.map(drop)
    }

    pub(super) fn port(&self) -> Tty {
        Tty::new(&self.path, self.baud)
    }

    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.framing, self.rssi_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SerialSettings, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn nothing_said_is_what_the_original_heard_and_valid() {
        let settings = read("").unwrap();
        assert_eq!((settings.path.as_str(), settings.baud), ("/dev/ttyUSB0", 9_600));
        assert_eq!((settings.framing, settings.rssi_byte), (Framing::Line, false));
        settings.open().unwrap();
    }

    #[test]
    fn settings_written_down_are_read_back_the_same() {
        for framing in Framing::ALL {
            let path = "/dev/serial/by-id/usb-1".to_owned();
            let settings = SerialSettings { path, baud: 115_200, framing, rssi_byte: framing == Framing::Line };
            settings.validate().unwrap();
            assert_eq!(read(&toml::to_string(&settings).unwrap()).unwrap(), settings);
        }
    }

    #[test]
    fn unknown_keys_and_framings_are_refused_by_their_names() {
        for (text, named) in [("bauds = 9600", "bauds"), ("framing = 'slip'", "slip"), ("baud = -1", "-1")] {
            let said = read(text).unwrap_err().to_string();
            assert!(said.contains(named), "{said}");
        }
    }

    #[test]
    fn every_value_out_of_its_range_is_refused_by_key_and_value() {
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
            let error = read(text).unwrap().open().unwrap_err();
            assert_eq!((error.key, error.value.as_str()), (key, value), "{text}");
        }
    }
}
