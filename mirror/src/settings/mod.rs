//! Settings of the mirror. The environment overrides the settings file, and the command line overrides both.
//!
//! The format is TOML, and `service::settings` merges the layers.

use crate::zone::Zone;
use herd::payload::WeightUnit;
use serde::Deserialize;
use service::backup::BackupSettings;
use service::logging::LogLevel;
use service::settings::{DurationSetting, Layers, SettingsError, TlsSettings, check_log_file, check_state_dir};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Table;

/// The commented file that `config` prints. It documents the settings.
pub const DEFAULT_FILE: &str = include_str!("default.toml");
/// Prefix of our environment variables.
const ENV_PREFIX: &str = "HERDLINX_MIRROR_";
/// Settings file that is read if no file is named. It may be missing.
pub const DEFAULT_PATH: &str = "/etc/herdlinx-mirror.toml";
/// Range of `sync_interval`. Shorter gains nothing, because changes arrive live; longer hides a dead link.
const SYNC_INTERVAL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3600)];

/// The settings; see [`DEFAULT_FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Directory of all files.
    pub state_dir: PathBuf,
    /// Address of the HTTPS server.
    pub listen: SocketAddr,
    /// Interval at which a silent link is checked; also the longest wait after an error.
    pub sync_interval: DurationSetting,
    /// Unit in which the pages show weights. JSON and CSV have kilograms.
    pub weight_unit: WeightUnit,
    /// Time zone of the pages. JSON and CSV have UTC.
    pub time_zone: Zone,
    /// Log level, unless `RUST_LOG` overrides it.
    pub log: LogLevel,
    /// File that the log is written to in addition.
    pub log_file: Option<PathBuf>,
    /// Certificate and private key of the HTTPS server.
    pub tls: TlsSettings,
    /// Nightly backups of the sites.
    pub backup: BackupSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/herdlinx-mirror".into(),
            listen: (Ipv4Addr::UNSPECIFIED, 5000).into(),
            sync_interval: DurationSetting::from_secs(10),
            weight_unit: WeightUnit::default(),
            time_zone: Zone::default(),
            log: LogLevel::default(),
            log_file: None,
            tls: TlsSettings::default(),
            backup: BackupSettings::default(),
        }
    }
}

impl Settings {
    /// Loads and validates all layers. A named file must exist; [`DEFAULT_PATH`] may be missing.
    pub fn load(
        file: Option<&Path>,
        vars: impl Iterator<Item = (String, String)>,
        flags: Table,
    ) -> Result<Self, SettingsError> {
        let fallback = Path::new(DEFAULT_PATH);
        let file = file.or_else(|| fallback.exists().then_some(fallback));
        let layers = Layers { file, env_prefix: ENV_PREFIX, ignore_prefixes: &[], arrays: &[], flags };
        let settings: Self = layers.merge(vars)?.into_settings()?;
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> Result<(), SettingsError> {
        check_state_dir(&self.state_dir)?;
        check_log_file(self.log_file.as_deref())?;
        self.tls.check()?;
        self.backup.check()?;
        let [min, max] = SYNC_INTERVAL;
        if !(min..=max).contains(&self.sync_interval.get()) {
            return Err(SettingsError::value("sync_interval", self.sync_interval.to_string(), "\"1s\" to \"1h\""));
        }
        Ok(())
    }
}

/// Returns true if the environment variable sets a setting of the mirror.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(ENV_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, vars: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let written = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(written.path(), file).unwrap();
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(Some(written.path()), vars, Table::new())
    }

    #[test]
    fn the_printed_file_sets_every_key_to_its_default() {
        assert_eq!(load(DEFAULT_FILE, &[]).unwrap(), Settings::default());
        let uncommented: String = DEFAULT_FILE
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = \"/etc")).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let settings = load(&uncommented, &[]).unwrap();
        assert_eq!(settings.tls.key.unwrap(), Path::new("/etc/herdlinx-mirror/key.pem"));
    }

    #[test]
    fn the_commented_backup_example_is_valid() {
        let mut lines = DEFAULT_FILE.lines();
        let example = lines.find_map(|line| line.strip_prefix("# ").filter(|key| key.starts_with("directory")));
        let settings = load(&format!("[backup]\n{}", example.unwrap()), &[]).unwrap();
        assert_eq!(settings.backup.directory.unwrap(), Path::new("/mnt/backups/herdlinx"));
    }

    #[test]
    fn the_commented_log_file_example_is_valid() {
        let example =
            DEFAULT_FILE.lines().find_map(|line| line.strip_prefix("# ").filter(|key| key.starts_with("log_file")));
        let settings = load(example.unwrap(), &[]).unwrap();
        assert_eq!(settings.log_file.unwrap(), Path::new("/var/lib/herdlinx-mirror/herdlinx-mirror.log"));
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_daemons_variables_are_ignored() {
        let vars = [
            ("HERDLINX_MIRROR_LISTEN", "127.0.0.1:0"),
            ("HERDLINX_MIRROR_TLS__KEY", "/k"),
            ("HERDLINX_MIRROR_TLS__CERTIFICATE", "/c"),
            ("HERDLINX_LISTEN", "1.2.3.4:1"),
            ("HERDLINX_RADIO__KIND", "none"),
        ];
        let settings = load("listen = '0.0.0.0:1'", &vars).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:0");
        assert_eq!(settings.tls.certificate.unwrap(), Path::new("/c"));
        assert!(is_variable("HERDLINX_MIRROR_LISTEN") && !is_variable("HERDLINX_LISTEN"));
    }

    #[test]
    fn unknown_keys_and_invalid_values_are_rejected_by_name() {
        for (file, named) in [
            ("sync_intervall = '10s'", "sync_intervall"),
            ("sync_interval = '10'", "sync_interval"),
            ("sync_interval = '0s'", "sync_interval"),
            ("sync_interval = '999ms'", "sync_interval"),
            ("sync_interval = '3601s'", "sync_interval"),
            ("listen = '5000'", "listen"),
            ("log = 'loud'", "log"),
            ("log_file = 'mirror.log'", "log_file"),
            ("log_file = ''", "log_file"),
            ("log_file = '/var/log/'", "log_file"),
            ("[tls]\nkey = '/k'", "tls"),
            ("[tls]\nverify = false", "verify"),
            ("[backup]\ndirectory = 'stick'", "backup.directory"),
            ("[backup]\nat = '2:30'", "backup.at"),
            ("[backup]\nkeep = 0", "backup.keep"),
            ("[backup]\nmax_bytes = 10", "backup.max_bytes"),
            ("state_dir = ''", "state_dir"),
            ("weight_unit = 'st'", "weight_unit"),
            ("time_zone = 'Mountain'", "America/Denver"),
        ] {
            let error = load(file, &[]).unwrap_err().to_string();
            assert!(error.contains(named), "{file}: {error}");
        }
        for edge in ["1s", "3600s"] {
            assert!(load(&format!("sync_interval = '{edge}'"), &[]).is_ok(), "{edge}");
        }
        assert!(Settings::load(Some(Path::new("/nowhere.toml")), std::iter::empty(), Table::new()).is_err());
    }
}
