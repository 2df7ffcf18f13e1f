//! Settings in layers: a file, above it the environment, above that the command line.
//!
//! - The file is TOML.
//! - A variable `PREFIX_KEY` sets `key`, `PREFIX_SECTION__KEY` sets `key` in the table `section`. Where `section` is
//!   one of the arrays of tables that [`Layers::arrays`] names, the key is set in its FIRST element, which is made
//!   if there is none.
//! - The command line is a table that the caller made of its flags; it meets arrays in the same way.
//!
//! What the environment says is text. It is offered to the target as text first, so that a name of digits stays a
//! name; where the target refuses a text, the value is offered again as what it reads as in TOML: an integer, a
//! number, true or false, or an array. Integers are so read for fields of any integer type; `0x10` and `1_000` work
//! as in the file. Fields should stand in ordinary structs (`deny_unknown_fields`, no `flatten`).
//!
//! A key that the target does not know is an error that names the key and where it came from: line and file,
//! variable, or flag.

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

/// A file of settings is a few kilobytes; more is another file.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("reading the settings in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// The name of a variable names no key.
    #[error(
        "the environment variable {name} names no setting; after the prefix stand a key, or a section, two underscores and a key"
    )]
    Variable {
        /// The variable.
        name: String,
    },
    /// A layer sets a key inside of what is no table.
    #[error("`{key}` ({origin}) lies inside of a setting that is a single value ({other}); remove one of them")]
    Conflict {
        /// The inner key.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// Where the single value was set.
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
    /// The target knows no such key, or does not take the value.
    #[error("the setting `{key}` ({origin}): {reason}")]
    Refused {
        /// The key, with its sections.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong with it.
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
