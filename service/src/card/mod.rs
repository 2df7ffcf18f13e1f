//! `herdlinx.toml` on the boot partition of a flashed card: the one file that a person edits, on any computer.
//!
//! [`CardText`] decodes the bytes as an editor left them, [`CardReading`] finds the values and every mistake, and
//! [`CardFile`] is the result. [`CardFile::render`] writes the commented file.
//!
//! # Decisions
//!
//! - **All mistakes of a file are reported at once.** Each round costs a person a way to the barn and back. The `toml`
//!   crate recovers from errors and gives the place of every value, so there is no parser of our own.
//! - **Notepad's habits are no mistakes**: UTF-16, a byte order mark, Windows line ends and tabs are read as they are.
//!   Curly quotes are one. A guess at where the text ends could store a wrong password in silence.
//! - **An empty secret means: keep what was applied.** The secrets are blanked on the card after they were applied, so
//!   a file that is edited again has none. An empty value of any other key is the same as no value.
//! - **The values of a radio and of the backups are not judged here.** They are the daemon's own settings under the same
//!   names, and the daemon judges them, so one word has one meaning. This module knows only which keys a card may have.
//! - **Only the secrets change when they are blanked.** Comments, order and encoding are the person's.

mod error;
mod keys;
mod parse;
mod render;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use error::{CardError, CardMistake};
pub use keys::closest;
pub use parse::CardReading;
pub use text::{CardText, Encoding, MAX_CARD_FILE_BYTES};
pub use values::{check_country, check_host, check_network, check_password, check_ssh_key, check_time_zone, is_psk};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of the file on the card.
pub const CARD_FILE: &str = "herdlinx.toml";

/// Start of every host name that is made from a site's name.
const HOST_PREFIX: &str = "herdlinx";
/// Maximum length of one label of a host name (RFC 1035).
const MAX_HOST_CHARS: usize = 63;

/// Values of the file. Every one is optional, because a card works without the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardFile {
    /// Name of the barn.
    pub site: Option<String>,
    /// Time zone, such as `America/Denver`.
    pub time_zone: Option<String>,
    /// Time server of the local network.
    pub time_server: Option<String>,
    /// URL of a server that collects the journal.
    pub log_server: Option<String>,
    /// Wi-Fi network.
    pub wifi: Option<CardWifi>,
    /// Public keys that may log in over SSH.
    pub ssh_keys: Vec<String>,
    /// The radio.
    pub radio: Option<CardRadio>,
    /// Nightly backups, with the names and values of the daemon's `[backup]`.
    pub backup: Option<toml::Table>,
    /// API key of the office.
    pub api_key: Option<CardSecret>,
    /// One-time code by which office and barn find and prove each other.
    pub pairing_code: Option<CardSecret>,
}

/// A Wi-Fi network.
#[derive(Clone, Debug, PartialEq)]
pub struct CardWifi {
    /// Two letters of ISO 3166, in capitals.
    pub country: String,
    /// Name of the network (SSID).
    pub network: String,
    /// Its password; `None` if the network is open.
    pub password: Option<CardSecret>,
}

/// Settings of the radio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardRadio {
    /// Kind of the radio, under the daemon's name.
    pub kind: CardRadioKind,
    /// Settings of its kind, with the names and values of the daemon's settings file.
    pub settings: toml::Table,
}

/// Kind of a radio. The names are those of the daemon's setting `radio.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardRadioKind {
    /// No radio: reads come over HTTPS only.
    None,
    /// A module with a Semtech SX1276 to SX1279 on the SPI bus.
    Sx127x,
    /// A modem on a serial port.
    Serial,
}

impl CardRadioKind {
    /// Returns the name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sx127x => "sx127x",
            Self::Serial => "serial",
        }
    }
}

/// A secret in the file. `Debug` hides its text.
#[derive(Clone, PartialEq, Eq)]
pub enum CardSecret {
    /// The text.
    Given(String),
    /// An empty text: keep the secret that was applied before.
    Blank,
}

impl fmt::Debug for CardSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(..)",
            Self::Blank => "Blank",
        })
    }
}

impl CardFile {
    /// Returns the host name of the card.
    ///
    /// `None` if there is no site name. Another setting may then name the machine.
    pub fn host_name(&self) -> Option<String> {
        self.site.as_deref().map(site_host_name)
    }
}

/// Returns the host name of the barn with this name: `herdlinx-north-barn` for `North Barn`.
///
/// It is found in the local network under this name with `.local` appended. Characters that no host name has become
/// hyphens. A name without any other character gives `herdlinx`.
pub fn site_host_name(site: &str) -> String {
    let mut name = HOST_PREFIX.to_owned();
    let words = site.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        name.push('-');
        name.push_str(&word.to_ascii_lowercase());
    }
    name.truncate(MAX_HOST_CHARS);
    name.trim_end_matches('-').to_owned()
}
