//! The error of a setting whose value is not allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A setting whose value is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key} = {value}` is not allowed; use {allowed}")]
pub struct SettingsError {
    /// Key in the settings file.
    pub key: &'static str,
    /// Rejected value.
    pub value: String,
    /// Allowed values, as a phrase that fits after "use".
    pub allowed: String,
}

impl SettingsError {
    pub(crate) fn new(key: &'static str, value: impl Display, allowed: impl Into<String>) -> Self {
        Self { key, value: value.to_string(), allowed: allowed.into() }
    }
}

/// Checks that `value` is within `allowed`. NaN is never within a range.
pub(crate) fn check_range(key: &'static str, value: f64, allowed: RangeInclusive<f64>) -> Result<(), SettingsError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(SettingsError::new(key, value, format!("{}..={}", allowed.start(), allowed.end())))
}
