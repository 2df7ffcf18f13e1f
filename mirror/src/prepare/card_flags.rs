//! The flags that fill the card's file.

use crate::sites::SiteName;
use service::card::{CardFile, CardMistake, CardRadio, CardRadioKind, CardReading, CardSecret, CardText, CardWifi};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Link to the time zone of this machine.
const LOCAL_TIME: &str = "/etc/localtime";
/// Maximum size of a file with a password or keys.
const MAX_INPUT_BYTES: u64 = 64 * 1024;

/// Values of the card's file. What has no flag can be edited in the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CardFlags {
    /// Time zone of the barn, such as America/Denver [default: that of this machine]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Time server that the barn can reach, if it cannot reach the internet
    #[arg(long, value_name = "HOST")]
    time_server: Option<String>,
    /// Name of the barn's Wi-Fi network; not needed with a cable
    #[arg(long, value_name = "NAME", requires = "wifi_country")]
    wifi_network: Option<String>,
    /// Country of the barn, two letters such as US
    #[arg(long, value_name = "COUNTRY", requires = "wifi_network")]
    wifi_country: Option<String>,
    /// File with the password of the Wi-Fi network; `-` reads standard input
    #[arg(long, value_name = "FILE", requires = "wifi_network")]
    wifi_password_file: Option<PathBuf>,
    /// File with public keys that may log in over SSH, such as a .pub file in ~/.ssh
    #[arg(long, value_name = "FILE")]
    ssh_key_file: Option<PathBuf>,
    /// Kind of the radio: sx127x, serial or none [default: sx127x]
    #[arg(long, value_name = "KIND", value_parser = radio_kind)]
    radio: Option<CardRadioKind>,
    /// Region whose rules apply to an sx127x radio: us902, ca902, eu868 or eu433
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Center of the channel of an sx127x radio, in Hz
    #[arg(long, value_name = "HZ")]
    frequency_hz: Option<u32>,
}

/// Reason why the flags give no file.
#[derive(Debug, thiserror::Error)]
pub enum CardFlagsError {
    /// A file that a flag names cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file that a flag names is too large.
    #[error("{} has more than {MAX_INPUT_BYTES} bytes: is it the right file?", .0.display())]
    TooLarge(PathBuf),
    /// A value is none that the barn accepts.
    #[error("the barn would refuse the file: {0}")]
    Refused(CardMistake),
}

fn radio_kind(name: &str) -> Result<CardRadioKind, String> {
    let kinds = [CardRadioKind::Sx127x, CardRadioKind::Serial, CardRadioKind::None];
    kinds.into_iter().find(|kind| kind.name() == name).ok_or_else(|| "use sx127x, serial or none".to_owned())
}

impl CardFlags {
    /// Returns the values of the file, without a code.
    pub(super) fn card_file(&self, site: &SiteName) -> Result<CardFile, CardFlagsError> {
        Ok(CardFile {
            site: Some(site.to_string()),
            time_zone: self.time_zone.clone().or_else(local_time_zone),
            time_server: self.time_server.clone(),
            wifi: self.wifi()?,
            ssh_keys: self.ssh_keys()?,
            radio: self.card_radio(),
            ..CardFile::default()
        })
    }

    fn wifi(&self) -> Result<Option<CardWifi>, CardFlagsError> {
        let (Some(network), Some(country)) = (&self.wifi_network, &self.wifi_country) else { return Ok(None) };
        let password = match &self.wifi_password_file {
            Some(path) => {
                let text = read_input(path)?;
                Some(CardSecret::Given(text.lines().next().unwrap_or_default().to_owned()))
            }
            None => None,
        };
        Ok(Some(CardWifi { country: country.to_ascii_uppercase(), network: network.clone(), password }))
    }

    fn ssh_keys(&self) -> Result<Vec<String>, CardFlagsError> {
        let Some(path) = &self.ssh_key_file else { return Ok(Vec::new()) };
        let text = read_input(path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    }

    fn card_radio(&self) -> Option<CardRadio> {
        if self.radio.is_none() && self.region.is_none() && self.frequency_hz.is_none() {
            return None;
        }
        let mut settings = toml::Table::new();
        settings.extend(self.region.clone().map(|region| ("region".to_owned(), region.into())));
        settings.extend(self.frequency_hz.map(|hz| ("frequency_hz".to_owned(), i64::from(hz).into())));
        Some(CardRadio { kind: self.radio.unwrap_or(CardRadioKind::Sx127x), settings })
    }
}

/// Renders a file, and reads it back as the barn does.
pub(super) fn checked_text(file: &CardFile) -> Result<String, CardFlagsError> {
    let text = file.render();
    let read = CardText::decode(text.as_bytes()).map(|text| CardReading::of(&text));
    match read.map_err(CardFlagsError::Refused)?.mistakes.into_iter().next() {
        Some(mistake) => Err(CardFlagsError::Refused(mistake)),
        None => Ok(text),
    }
}

/// Returns the name of this machine's time zone, if it has one.
fn local_time_zone() -> Option<String> {
    let target = fs::read_link(LOCAL_TIME).ok()?;
    let (_, zone) = target.to_str()?.split_once("zoneinfo/")?;
    Some(zone.to_owned())
}

fn read_input(path: &Path) -> Result<String, CardFlagsError> {
    let failed = |source: io::Error| CardFlagsError::Read { path: path.into(), source };
    let mut text = String::new();
    let limit = MAX_INPUT_BYTES + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text).map_err(failed)?;
    } else {
        File::open(path).map_err(failed)?.take(limit).read_to_string(&mut text).map_err(failed)?;
    }
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(CardFlagsError::TooLarge(path.into()));
    }
    Ok(text)
}
