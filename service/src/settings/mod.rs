//! Settings in layers: a file, the environment above it, and the command line above both.
//!
//! - The file is TOML.
//! - A variable `PREFIX_KEY` sets `key`, and `PREFIX_SECTION__KEY` sets `key` in the table `section`. If `section` is one
//!   of [`Layers::arrays`], the key is set in the first element, which is created if there is none.
//! - The command line is a table that the caller builds from its flags. It meets arrays in the same way.
//!
//! The environment is text. A value is offered to the target as text first, so that a name of digits stays a name. If the
//! target refuses the text, the value is offered again as TOML reads it: an integer, a float, a boolean or an array.
//! `0x10` and `1_000` work as in the file. Targets are ordinary structs (`deny_unknown_fields`, no `flatten`).
//!
//! An unknown key is an error that names the key and its origin: line and file, variable, or flag.

mod duration;
mod layers;
mod merged;
mod origin;
mod shared;

pub use duration::{DurationError, DurationSetting};
pub use layers::{Layers, environment};
pub use merged::MergedSettings;
pub use origin::Origin;
pub use shared::{TlsSettings, check_log_file, check_state_dir};

use crate::lifecycle::Exit;
use std::path::PathBuf;

/// Maximum size of a settings file. A real one has a few kilobytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reason why the settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Error of the parser.
        message: String,
    },
    /// The name of a variable is not the name of a setting.
    #[error(
        "the environment variable {name} does not name a setting: use the prefix and a key, or the prefix, a section, two \
         underscores and a key"
    )]
    Variable {
        /// The variable.
        name: String,
    },
    /// A layer sets a key inside a value that is not a table.
    #[error("`{key}` ({origin}) is inside a setting that is a single value ({other}); remove one of them")]
    Conflict {
        /// The inner key.
        key: String,
        /// Origin of the key.
        origin: Origin,
        /// Origin of the single value.
        other: Origin,
    },
    /// A value is outside of its range.
    #[error("the setting `{key}` is {value:?}; it must be {allowed}")]
    Value {
        /// The key, with its sections.
        key: String,
        /// The value.
        value: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// The target does not know the key, or does not accept the value.
    #[error("the setting `{key}` ({origin}): {reason}")]
    Refused {
        /// The key, with its sections.
        key: String,
        /// Origin of the key.
        origin: Origin,
        /// Error of the target.
        reason: String,
    },
}

impl SettingsError {
    /// Creates the error of a value that is outside of its range.
    pub fn value(key: impl Into<String>, value: impl Into<String>, allowed: &'static str) -> Self {
        Self::Value { key: key.into(), value: value.into(), allowed }
    }
}

impl From<&SettingsError> for Exit {
    fn from(_: &SettingsError) -> Self {
        Self::Usage
    }
}

#[cfg(test)]
mod tests;
