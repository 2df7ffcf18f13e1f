//! The card's nightly backups as the daemon's settings, judged by the daemon's own rules.

use service::backup::BackupSettings;
use service::card::CardError;
use toml::{Table, Value};

/// Returns every mistake in the settings of the backups, with its key. No setting depends on another one.
pub(super) fn check_backup(settings: &Table) -> Vec<(String, CardError)> {
    settings.iter().filter_map(|(key, value)| Some((key.clone(), mistake(key, value)?))).collect()
}

fn mistake(key: &str, value: &Value) -> Option<CardError> {
    let alone = Table::from_iter([(key.to_owned(), value.clone())]);
    let reason = match Value::Table(alone).try_into::<BackupSettings>() {
        Ok(settings) => settings.check().err()?.to_string(),
        Err(error) => error.message().trim().to_owned(),
    };
    Some(CardError::value(key, format!("is refused: {reason}")))
}
