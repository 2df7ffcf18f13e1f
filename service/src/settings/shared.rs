//! Settings that both programs have.

use super::SettingsError;
use crate::door::certificate::IdentityFiles;
use crate::logging::{LOG_FILE_RULE, is_log_file};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The operator's own certificate and key: both or neither. Without them the process makes a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Certificate chain in PEM, leaf first.
    pub certificate: Option<PathBuf>,
    /// Private key of the leaf in PEM.
    pub key: Option<PathBuf>,
}

impl TlsSettings {
    /// Returns true if neither file is set.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the files, or `None` if the process makes a pair.
    pub fn files(&self) -> Option<IdentityFiles> {
        let (certificate, key) = (self.certificate.clone()?, self.key.clone()?);
        Some(IdentityFiles { certificate, key })
    }

    /// Refuses one without the other.
    pub fn check(&self) -> Result<(), SettingsError> {
        match (&self.certificate, &self.key) {
            (Some(_), Some(_)) | (None, None) => Ok(()),
            (Some(only), None) | (None, Some(only)) => {
                let allowed = "both `certificate` and `key`, or neither";
                Err(SettingsError::value("tls", only.to_string_lossy(), allowed))
            }
        }
    }
}

/// Refuses an empty `state_dir`.
pub fn check_state_dir(path: &Path) -> Result<(), SettingsError> {
    if path.as_os_str().is_empty() {
        return Err(SettingsError::value("state_dir", "", "a directory"));
    }
    Ok(())
}

/// Refuses a `log_file` that cannot be rotated.
pub fn check_log_file(path: Option<&Path>) -> Result<(), SettingsError> {
    match path.filter(|path| !is_log_file(path)) {
        Some(path) => Err(SettingsError::value("log_file", path.to_string_lossy(), LOG_FILE_RULE)),
        None => Ok(()),
    }
}
