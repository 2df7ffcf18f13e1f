//! What can be set about radios.

mod open;
mod sx127x;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Simulated;
use crate::simulated::{LedgerError, Script, ScriptError, Traffic};
use crate::sx127x::StartError;

pub use self::open::ExamineError;
pub use self::sx127x::{BoardKind, Sx127xSettings};

/// The settings of one simulated radio, as they stand in a configuration file. Unknown keys are refused.
///
/// It is the driver of a real radio on an emulated chip, which hears emulated readers at 915 MHz, SF7, 500 kHz
/// ([`MODULATION`](crate::simulated::MODULATION)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedSettings {
    /// Same seed, same traffic. Runs over one barn need seeds that differ modulo 100,000. Default 1.
    pub seed: u64,
    /// Distinct payloads a second: 0.001..=100,000. Default 5.
    ///
    /// Up to 15 transmissions a second, which with the default of `repeats_mean` are 10 payloads, the air's clock goes as
    /// fast as real time. What is more is played faster, not denser: 20 payloads a second at twice the speed. The clock
    /// waits for the driver, so a machine that is too slow for its rate hears fewer a second.
    pub rate_per_s: f64,
    /// How often a payload is sent again, in the mean: 0..=2. Default 0.5.
    pub repeats_mean: f64,
    /// Probability that a transmission fades away on its way, besides those that collide: 0..=1. Default 0.04.
    pub loss: f64,
    /// Probability that one that arrives has a wrong CRC: 0..=1. Default 0.02.
    pub corruption: f64,
    /// The readers are given nothing more after so many seconds: 0..=1,000,000,000. Default 0, which means never.
    pub seconds: f64,
    /// Play this script, as it is written, in place of traffic. Then the keys from `rate_per_s` to `seconds` must
    /// keep their defaults, as a script has its own course.
    pub script: Option<PathBuf>,
    /// Write every payload that is delivered to this file, one line of hex each, and at the end the counts to the
    /// same name with `.summary` behind it.
    pub ledger: Option<PathBuf>,
}

impl Default for SimulatedSettings {
    fn default() -> Self {
        let Traffic { seed, rate_per_s, repeats_mean, loss, corruption, .. } = Traffic::default();
        Self { seed, rate_per_s, repeats_mean, loss, corruption, seconds: 0.0, script: None, ledger: None }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key} = {value}` is refused: allowed is {allowed}")]
pub struct SettingsError {
    /// The key as it stands in the file.
    pub key: &'static str,
    /// The value found.
    pub value: String,
    /// What may stand there.
    pub allowed: String,
}

/// Why a radio could not be made from its settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A value is out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The script cannot be played.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The chip's thread could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl SimulatedSettings {
    /// Names the first value that is out of its range. Opens no file.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.traffic().validate()?;
        match &self.script {
            Some(_) => self.leaves_traffic_alone(),
            None => Ok(()),
        }
    }

    /// The traffic that these settings ask for, if they name no script.
    pub fn traffic(&self) -> Traffic {
        let &Self { seed, rate_per_s, repeats_mean, loss, corruption, .. } = self;
        // Not `> 0.0`: a value that is no number must reach the validation.
        let seconds = (self.seconds != 0.0).then_some(self.seconds);
        Traffic { seed, rate_per_s, repeats_mean, loss, corruption, seconds, ..Traffic::default() }
    }

    /// Makes the radio: reads the script, opens the ledger.
    pub fn open(&self) -> Result<Simulated, OpenError> {
        self.validate()?;
        let radio = match &self.script {
            Some(path) => Simulated::of_script(Script::read(path)?),
            None => Simulated::of_traffic(self.traffic())?,
        };
        Ok(match &self.ledger {
            Some(path) => radio.with_ledger(path)?,
            None => radio,
        })
    }

    /// A key that would do nothing is a mistake of the one who wrote it, and is said.
    fn leaves_traffic_alone(&self) -> Result<(), SettingsError> {
        let default = Self::default();
        let pairs = [
            ("rate_per_s", self.rate_per_s, default.rate_per_s),
            ("repeats_mean", self.repeats_mean, default.repeats_mean),
            ("loss", self.loss, default.loss),
            ("corruption", self.corruption, default.corruption),
            ("seconds", self.seconds, default.seconds),
        ];
        match pairs.into_iter().find(|(_, value, default)| value.total_cmp(default).is_ne()) {
            Some((key, value, default)) => {
                let allowed = format!("beside `script` only the default, {default:?}: a script is heard as written");
                Err(SettingsError { key, value: value.to_string(), allowed })
            }
            None => Ok(()),
        }
    }
}

/// Refuses what is outside of `allowed`, and what is no number.
pub(crate) fn check_range(key: &'static str, value: f64, allowed: RangeInclusive<f64>) -> Result<(), SettingsError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let allowed = format!("{}..={}", allowed.start(), allowed.end());
    Err(SettingsError { key, value: value.to_string(), allowed })
}

#[cfg(test)]
mod tests;
