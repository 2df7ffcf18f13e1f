//! A service in a directory, for the tests of its commands.

use service::logging::{LogLevel, ServiceLog};
use service::process::{ServiceCommandError, ServiceSettings, StartCheck};
use service::settings::{SettingsError, TlsSettings};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

const NO_TLS: TlsSettings = TlsSettings { certificate: None, key: None };

/// Settings of a service in a directory.
pub(crate) struct Settings {
    pub(crate) state_dir: PathBuf,
    pub(crate) log_file: PathBuf,
}

impl Settings {
    pub(crate) fn new(place: &Path) -> Self {
        Self { state_dir: place.join("state"), log_file: place.join("log") }
    }
}

impl ServiceSettings for Settings {
    fn log(&self) -> ServiceLog<'_> {
        ServiceLog { program: "test", site: None, level: LogLevel::Error, file: Some(&self.log_file) }
    }

    fn start_check(&self) -> StartCheck<'_> {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        StartCheck { state_dir: &self.state_dir, files: &[], log_file: Some(&self.log_file), listen, tls: &NO_TLS }
    }
}

/// The end of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    #[error(transparent)]
    Command(#[from] ServiceCommandError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}
