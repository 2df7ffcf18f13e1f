//! The settings `[backup]`, which both programs have.

use super::super::medium::are_on_one_disk;
use crate::settings::SettingsError;
use rustix::fs::{Access, access};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Range of `keep`.
const KEEP: [u32; 2] = [1, 1_000];
/// Smallest `max_bytes`.
const MIN_MAX_BYTES: u64 = 1_000_000;
/// Default of `max_bytes`: eight backups of ten years of a yard.
const DEFAULT_MAX_BYTES: u64 = 8_000_000_000;

/// A time of the day, written `02:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

/// The text is not a time of the day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of the day; write hours and minutes, like \"02:30\" or \"23:05\"")]
pub struct TimeOfDayError(String);

impl TimeOfDay {
    /// Returns the hour, from 0 to 23.
    pub const fn hour(self) -> i8 {
        self.hour
    }

    /// Returns the minute, from 0 to 59.
    pub const fn minute(self) -> i8 {
        self.minute
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let two_digits = |part: &str, below: i8| {
            let number = (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse());
            number.and_then(Result::ok).filter(|number| *number < below)
        };
        let parsed = text
            .split_once(':')
            .and_then(|(hour, minute)| Some(Self { hour: two_digits(hour, 24)?, minute: two_digits(minute, 60)? }));
        parsed.ok_or_else(|| TimeOfDayError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Nightly backups. The output of `config` explains each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupSettings {
    /// Directory of the backups; without it, none are made.
    pub directory: Option<PathBuf>,
    /// Time of the day at which a backup is due.
    pub at: TimeOfDay,
    /// Number of backups of a store that are kept.
    pub keep: u32,
    /// Maximum size of the backups of a store together.
    pub max_bytes: u64,
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self { directory: None, at: TimeOfDay { hour: 2, minute: 30 }, keep: 7, max_bytes: DEFAULT_MAX_BYTES }
    }
}

impl BackupSettings {
    /// Returns true if nothing differs from the defaults.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses values that are out of their range.
    pub fn check(&self) -> Result<(), SettingsError> {
        if let Some(directory) = self.directory.as_deref().filter(|directory| !directory.is_absolute()) {
            let allowed = "an absolute path, such as \"/media/stick/herdlinx\"";
            return Err(SettingsError::value("backup.directory", directory.to_string_lossy(), allowed));
        }
        let [min, max] = KEEP;
        if !(min..=max).contains(&self.keep) {
            return Err(SettingsError::value("backup.keep", self.keep.to_string(), "1 to 1000"));
        }
        if self.max_bytes < MIN_MAX_BYTES {
            return Err(SettingsError::value("backup.max_bytes", self.max_bytes.to_string(), "1000000 or more"));
        }
        Ok(())
    }

    /// Returns what does not prevent a start but should be known, each as a sentence.
    pub fn notes(&self, state_dir: &Path) -> Vec<String> {
        let Some(directory) = &self.directory else { return Vec::new() };
        let shown = directory.display();
        if !directory.is_dir() {
            return vec![format!(
                "the directory of the nightly backups, {shown}, does not exist now; a backup is made when it does."
            )];
        }
        let refused = access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).err();
        let refused = refused.map(|errno| {
            format!("the nightly backups cannot be written: {shown} refuses this user or is read-only: {errno}.")
        });
        refused.into_iter().chain(one_disk_warning(directory, state_dir)).collect()
    }
}

/// Returns a warning if the backups are on the disk of the state directory.
pub(super) fn one_disk_warning(directory: &Path, state_dir: &Path) -> Option<String> {
    are_on_one_disk(directory, state_dir).then(|| {
        format!(
            "the nightly backups in {} are on the same disk as {}, and die with it: use a stick or another machine, or \
             mount it before the backup is due.",
            directory.display(),
            state_dir.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a typo that moves the backup to another time, into the hours of work.
    #[test]
    fn a_time_of_the_day_has_two_digits_each_and_everything_else_is_refused() {
        for text in ["00:00", "02:30", "23:59"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in ["", "2:30", "24:00", "12:60", "02:30:00", "+2:30", "0230", "02:3O", "-1:00", " 02:30"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn values_out_of_their_range_are_refused_by_name() {
        let with = |change: fn(&mut BackupSettings)| {
            let mut settings = BackupSettings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        BackupSettings::default().check().unwrap();
        assert!(with(|it| it.directory = Some("backups".into())).contains("backup.directory"));
        assert!(with(|it| it.keep = 0).contains("backup.keep"));
        assert!(with(|it| it.keep = 1_001).contains("backup.keep"));
        assert!(with(|it| it.max_bytes = 999_999).contains("backup.max_bytes"));
        for (keep, max_bytes) in [(1, 1_000_000), (1_000, u64::MAX)] {
            let directory = Some("/media/stick".into());
            let settings = BackupSettings { directory, keep, max_bytes, ..BackupSettings::default() };
            settings.check().unwrap();
            assert!(!settings.is_unset());
        }
        assert!(BackupSettings::default().is_unset());
    }

    /// Catches a directory on the card itself, or one that does not exist, of which nobody hears before the card dies.
    #[test]
    fn a_directory_on_the_same_disk_and_a_missing_one_are_noted() {
        let place = tempfile::tempdir().unwrap();
        let notes = |directory: &Path| {
            let settings = BackupSettings { directory: Some(directory.to_owned()), ..BackupSettings::default() };
            settings.notes(place.path()).join("\n")
        };
        assert!(notes(place.path()).contains("on the same disk"));
        assert!(notes(&place.path().join("none")).contains("does not exist"));
        assert!(BackupSettings::default().notes(place.path()).is_empty());
    }
}
