//! `applied.json`: what was taken from the card, and how far it came.
//!
//! # Decisions
//!
//! - **This file is the commit.** It is replaced as a whole, and all other files in its directory follow from it. Each
//!   boot makes them again where they differ. So a power cut leaves the old settings or the new ones, never a mixture.
//! - **Digests say what was applied**: that of the file as it was read, and that of the file with blanked secrets. A
//!   file with either of them is not read again.
//! - **A key or code waits here until `local.redb` has it**, and is then forgotten. If it were stored at each boot, a
//!   key that was revoked would come back.
//! - **A code that `local.redb` does not take is remembered**, until a file brings another one. It is looked for only
//!   once, but each boot must tell the person the same.
//! - Fields may come, but none may change: after an update that was taken back, the older version reads this file.

use super::durable::{Steps, read, replace};
use super::{FirstBootError, Places};
use serde::{Deserialize, Serialize};
use service::card::CardRadio;
use std::fmt;

/// Maximum size of the file. A real one has about two kilobytes.
const MAX_BYTES: usize = 256 * 1024;
/// Mode of the file: it holds the password of the Wi-Fi.
const MODE: u32 = 0o600;

/// A secret that a file on the card contained. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Password(pub(super) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Everything that was taken from the card.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Values of `herdlinx.toml`.
    pub(super) file: JudgedFile,
    /// Values of the files of Raspberry Pi Imager.
    pub(super) imager: JudgedFile,
    /// Key and code that `local.redb` does not have yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Pending>,
    /// Reason why the one-time code of `herdlinx.toml` pairs no office, as `local.redb` told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_code: Option<DeadCode>,
}

/// Values of one source, and the digests of its content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct JudgedFile {
    /// BLAKE3 digests in hex: as applied, and with blanked secrets.
    pub(super) digests: Vec<String>,
    pub(super) values: Values,
}

/// Values that a source sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Values {
    pub(super) site: Option<String>,
    pub(super) host_name: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) time_server: Option<String>,
    pub(super) log_server: Option<String>,
    pub(super) wifi: Option<Wifi>,
    pub(super) ssh_keys: Vec<String>,
    pub(super) radio: Option<CardRadio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backup: Option<toml::Table>,
    pub(super) office: Option<Access>,
}

/// A Wi-Fi network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wifi {
    pub(super) country: String,
    pub(super) network: String,
    /// `None` if the network is open.
    pub(super) password: Option<Password>,
}

/// The way in which the card lets an office in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Access {
    ApiKey,
    PairingCode,
}

/// Reason why a one-time code pairs no office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeadCode {
    /// An office has paired by it before.
    Used,
    /// There were too many wrong proofs.
    Disabled,
}

/// A key and a code on their way into `local.redb`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pending {
    /// Hash of the API key, in hex.
    pub(super) api_key_hash: Option<String>,
    pub(super) pairing_code: Option<Password>,
}

impl Record {
    /// Reads the file; the default if there is none. A damaged one is reported, and counts as none: the machine boots.
    pub(super) fn load(places: &Places) -> Result<Self, FirstBootError> {
        let path = places.applied();
        let Some(bytes) = read(&path, MAX_BYTES).map_err(|source| FirstBootError::read(&path, source))? else {
            return Ok(Self::default());
        };
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::error!(%error, file = %path.display(), "the record of applied settings is damaged; starting without it");
            Self::default()
        }))
    }

    pub(super) fn store(&self, places: &Places, steps: &dyn Steps) -> Result<(), FirstBootError> {
        let path = places.applied();
        let failed = |source| FirstBootError::write(&path, source);
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        replace(steps, &path, &bytes, Some(MODE)).map_err(failed)
    }

    /// Returns the values in effect: those of `herdlinx.toml`, and below them those of Raspberry Pi Imager.
    pub(super) fn effective(&self) -> Values {
        let (file, imager) = (self.file.values.clone(), self.imager.values.clone());
        let host_name = file.site.as_deref().map(service::card::site_host_name).or(imager.host_name);
        Values {
            host_name,
            time_zone: file.time_zone.or(imager.time_zone),
            wifi: file.wifi.or(imager.wifi),
            ssh_keys: if file.ssh_keys.is_empty() { imager.ssh_keys } else { file.ssh_keys },
            ..file
        }
    }
}

/// Returns the digest by which a content is recognized.
pub(super) fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
