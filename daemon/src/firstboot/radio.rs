//! The card's radio as the daemon's setting, judged by the daemon's own rules.

use crate::settings::Settings;
use radio::lora::Rule;
use radio::{SerialSettings, SettingsError, Sx127xSettings};
use serde::de::DeserializeOwned;
use service::card::{CardError, CardRadio, CardRadioKind};
use toml::{Table, Value};

/// A key of the card's `[radio]`, and its mistake.
pub(super) type RadioMistake = (String, CardError);

/// Returns the element of the daemon's `[[radio]]`. A card without a `[radio]` has an SX127x with the daemon's defaults.
pub(super) fn radio_table(radio: Option<&CardRadio>) -> Table {
    let kind = radio.map_or(CardRadioKind::Sx127x, |radio| radio.kind).name();
    let mut table = Table::from_iter([("kind".to_owned(), Value::String(kind.to_owned()))]);
    if let Some(radio) = radio.filter(|radio| !radio.settings.is_empty()) {
        table.insert(kind.to_owned(), Value::Table(radio.settings.clone()));
    }
    table
}

/// Returns every mistake in the settings of the radio.
pub(super) fn check_radio(radio: &CardRadio) -> Vec<RadioMistake> {
    match radio.kind {
        CardRadioKind::None => Vec::new(),
        CardRadioKind::Sx127x => {
            check::<Sx127xSettings>(&radio.settings, |chip| chip.validate().map(drop), band_mistake)
        }
        CardRadioKind::Serial => check::<SerialSettings>(&radio.settings, SerialSettings::validate, |_| None),
    }
}

/// Checks each key for itself, then all of them together.
fn check<T: DeserializeOwned>(
    settings: &Table,
    validate: impl Fn(&T) -> Result<(), SettingsError>,
    together: impl Fn(&T) -> Option<RadioMistake>,
) -> Vec<RadioMistake> {
    let mut mistakes = Vec::new();
    let mut good = Table::new();
    for (key, value) in settings {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        match Value::Table(alone).try_into::<T>() {
            Ok(_) => drop(good.insert(key.clone(), value.clone())),
            Err(error) => mistakes.push((key.clone(), refusal(key, error.message().trim()))),
        }
    }
    // A value that is out of its range hides the next one, so it is taken out and the rest is checked again.
    while let Ok(read) = Value::Table(good.clone()).try_into::<T>() {
        let Err(SettingsError { key, value, allowed }) = validate(&read) else {
            mistakes.extend(together(&read));
            break;
        };
        mistakes.push((key.to_owned(), refusal(key, &format!("{value} is not allowed; use {allowed}"))));
        if good.remove(key).is_none() {
            break;
        }
    }
    mistakes
}

/// Finds a channel outside of the region's bands. A radio that only listens there breaks no law, but hears no reader.
fn band_mistake(chip: &Sx127xSettings) -> Option<RadioMistake> {
    let violations = chip.validate().ok()?;
    let band = violations.into_iter().find(|violation| violation.rule == Rule::Band)?;
    let reason = format!("does not fit `region`: {band}");
    Some(("frequency_hz".to_owned(), CardError::value("frequency_hz", reason)))
}

fn refusal(key: &str, reason: &str) -> CardError {
    CardError::value(key, format!("is refused: {reason}"))
}

/// Checks the whole settings file of the daemon, as the daemon will.
pub(super) fn check_settings(text: &str) -> Result<(), String> {
    let settings: Settings = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    settings.validate().map_err(|error| error.to_string())
}
