//! Settings of the barn: one TOML file, overridden by `HERDLINX_*` environment variables, overridden by flags.

mod radios;

#[cfg(test)]
mod tests;

pub use radios::{RadioKind, RadioSettings};

use crate::receive::Channel;
use herd::decide::Rules;
use herd::payload::WeightUnit;
use serde::{Deserialize, Serialize};
use service::backup::BackupSettings;
use service::door::certificate::host_name;
use service::door::keys::is_valid_name;
use service::lifecycle::Exit;
use service::logging::LogLevel;
use service::settings::{DurationSetting, Layers, SettingsError, TlsSettings, check_log_file, check_state_dir};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings file if no other is given and this one exists.
pub const DEFAULT_FILE: &str = "/etc/herdlinx/herdlinxd.toml";
/// Output of `herdlinxd config`.
pub const DEFAULT_TEXT: &str = include_str!("default.toml");
/// Default port of the barn.
pub const DEFAULT_PORT: u16 = 5001;

/// Prefix of the daemon's environment variables.
const ENV_PREFIX: &str = "HERDLINX_";
/// Prefix of the office's environment variables, which the daemon ignores.
const MIRROR_PREFIX: &str = "HERDLINX_MIRROR_";

const MAX_REPEAT_WINDOW: Duration = Duration::from_secs(24 * 3600);
const MIN_EXPORT_REST: Duration = Duration::from_secs(60);
const MAX_EXPORT_REST: Duration = Duration::from_secs(720 * 3600);
const MAX_REJECTIONS_PER_HOUR: u32 = 1_000_000;
/// Maximum length of a name. The barn's own may have any characters; the others are ASCII.
const MAX_NAME_CHARS: usize = 64;

/// Settings of the barn. The output of `herdlinxd config` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directory of the daemon's data.
    pub state_dir: PathBuf,
    /// Address and port of the HTTPS server.
    pub listen: SocketAddr,
    /// Name of the barn.
    pub site: String,
    /// Group of the readers that deliver over HTTP.
    pub reader_group: String,
    /// Unit of the weights that these readers send as numbers alone.
    pub weight_unit: WeightUnit,
    /// [`Rules::repeat_window_ms`].
    pub repeat_window: DurationSetting,
    /// [`Rules::export_rest_ms`].
    pub export_rest: DurationSetting,
    /// [`Rules::rejections_per_hour`].
    pub rejections_per_hour: u32,
    /// Log level.
    pub log: LogLevel,
    /// File that receives the log as well.
    pub log_file: Option<PathBuf>,
    /// The operator's own certificate, if there is one.
    #[serde(skip_serializing_if = "TlsSettings::is_unset")]
    pub tls: TlsSettings,
    /// The nightly backups.
    #[serde(skip_serializing_if = "BackupSettings::is_unset")]
    pub backup: BackupSettings,
    /// The radios.
    pub radio: Vec<RadioSettings>,
}

/// Reason why the settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum BarnSettingsError {
    /// A layer cannot be read, or a value is not allowed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A radio refuses its settings.
    #[error("invalid settings of the radio `{radio}`: {source}")]
    Radio {
        /// Name of the radio.
        radio: String,
        /// Error of the radio.
        #[source]
        source: radio::SettingsError,
    },
}

impl From<&BarnSettingsError> for Exit {
    fn from(_: &BarnSettingsError) -> Self {
        Self::Usage
    }
}

impl Default for Settings {
    fn default() -> Self {
        let Rules { repeat_window_ms, export_rest_ms, rejections_per_hour, pound_groups: _ } = Rules::default();
        Self {
            state_dir: "/var/lib/herdlinx".into(),
            listen: (Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into(),
            site: host_name().unwrap_or_else(|| "barn".to_owned()),
            reader_group: "main".to_owned(),
            weight_unit: WeightUnit::default(),
            repeat_window: DurationSetting::from_ms(repeat_window_ms),
            export_rest: DurationSetting::from_ms(export_rest_ms),
            rejections_per_hour,
            log: LogLevel::default(),
            log_file: None,
            tls: TlsSettings::default(),
            backup: BackupSettings::default(),
            radio: Vec::new(),
        }
    }
}

impl Settings {
    /// Merges all layers and validates every value. Fails if `file` is given but does not exist.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        flags: toml::Table,
    ) -> Result<Self, BarnSettingsError> {
        let default = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default));
        let (env_prefix, ignore_prefixes, arrays) = (ENV_PREFIX, &[MIRROR_PREFIX][..], &["radio"][..]);
        let layers = Layers { file, env_prefix, ignore_prefixes, arrays, flags };
        let settings: Self = layers.merge(variables)?.into_settings()?;
        settings.validate()?;
        Ok(settings)
    }

    /// Returns an error that names the first value which is out of its range.
    pub fn validate(&self) -> Result<(), BarnSettingsError> {
        check_state_dir(&self.state_dir)?;
        check_log_file(self.log_file.as_deref())?;
        self.tls.check()?;
        self.backup.check()?;
        let refuse = |key: &str, value: String, allowed| Err(SettingsError::value(key, value, allowed).into());
        let chars = self.site.chars().count();
        if !(1..=MAX_NAME_CHARS).contains(&chars) || self.site.chars().any(char::is_control) {
            return refuse("site", self.site.clone(), "1 to 64 characters without control characters");
        }
        if !is_valid_name(&self.reader_group, MAX_NAME_CHARS) {
            return refuse("reader_group", self.reader_group.clone(), NAME_RULE);
        }
        if self.repeat_window.get() > MAX_REPEAT_WINDOW {
            return refuse("repeat_window", self.repeat_window.to_string(), "\"0s\" to \"24h\"");
        }
        if !(MIN_EXPORT_REST..=MAX_EXPORT_REST).contains(&self.export_rest.get()) {
            return refuse("export_rest", self.export_rest.to_string(), "\"1m\" to \"720h\"");
        }
        if !(1..=MAX_REJECTIONS_PER_HOUR).contains(&self.rejections_per_hour) {
            return refuse("rejections_per_hour", self.rejections_per_hour.to_string(), "1 to 1000000");
        }
        radios::validate(self)
    }

    /// Returns the rules by which payloads are judged.
    pub fn rules(&self) -> Rules {
        let ms = |setting: DurationSetting| u64::try_from(setting.get().as_millis()).unwrap_or(u64::MAX);
        Rules {
            repeat_window_ms: ms(self.repeat_window),
            export_rest_ms: ms(self.export_rest),
            rejections_per_hour: self.rejections_per_hour,
            pound_groups: self
                .readers()
                .filter(|(_, unit)| *unit == WeightUnit::Lb)
                .map(|(group, _)| group.into())
                .collect(),
        }
    }

    /// Returns each reader group with the unit of its weights, once for each door that it comes through.
    fn readers(&self) -> impl Iterator<Item = (&str, WeightUnit)> {
        let radios = self.radio.iter().map(|radio| (radio.reader_group.as_str(), radio.weight_unit));
        std::iter::once((self.reader_group.as_str(), self.weight_unit)).chain(radios)
    }

    /// Returns the units that are set for a reader group.
    fn weight_units(&self, reader_group: &str) -> impl Iterator<Item = WeightUnit> {
        self.readers().filter(move |(group, _)| *group == reader_group).map(|(_, unit)| unit)
    }

    /// Returns notes about settings that are allowed but may be a mistake, each as a sentence.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.radio_notes();
        notes.extend(self.backup.notes(&self.state_dir));
        notes
    }

    /// Returns what the radios, which only listen, could not transmit.
    pub(crate) fn radio_notes(&self) -> Vec<String> {
        let radio_notes = |(index, radio): (usize, &RadioSettings)| {
            let name = radio.name_at(index);
            let notes = radio.notes().into_iter();
            notes.map(move |note| {
                format!(
                    "`{name}` only listens, which is always allowed; it could not transmit with these settings: {note}"
                )
            })
        };
        self.radio.iter().enumerate().flat_map(radio_notes).collect()
    }

    /// Returns the radios except those of kind `none`, with the labels for their packets.
    pub fn radios(&self) -> impl Iterator<Item = (Channel, &RadioSettings)> {
        let radios = self.radio.iter().enumerate().filter(|(_, radio)| radio.kind != RadioKind::None);
        radios.map(|(index, radio)| {
            let (name, reader_group) = (radio.name_at(index), radio.reader_group.clone());
            (Channel { name, reader_group, strip_bytes: radio.strip_bytes }, radio)
        })
    }
}

/// Returns true if the environment variable sets a setting of the barn.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(ENV_PREFIX) && !name.starts_with(MIRROR_PREFIX)
}

/// Rule for names, which appear in logs, in changes and in the keys of tables.
const NAME_RULE: &str = "1 to 64 letters, digits, `.`, `_` or `-`";
