//! Settings of a simulated radio.

use super::error::OpenError;
use crate::SettingsError;
use crate::simulated::{Script, Simulated, Traffic};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of one simulated radio, as in the settings file. Unknown keys are rejected.
///
/// The radio is the driver of a real chip on an emulated one. It receives emulated readers at 915 MHz, SF7, 500 kHz
/// ([`MODULATION`](crate::simulated::MODULATION)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedSettings {
    /// Seed of the traffic: the same seed gives the same traffic. Runs against one barn need seeds that differ modulo
    /// 100,000. Default 1.
    pub seed: u64,
    /// Distinct payloads per second: 0.001..=100,000. Default 5.
    ///
    /// The air carries 15 transmissions per second, which is 10 payloads with the default `repeats_mean`. A higher rate
    /// speeds the clock of the air up: 20 payloads per second are played at twice the speed. The clock waits for the
    /// driver, so a machine that is too slow for the rate receives fewer per second.
    pub rate_per_s: f64,
    /// Mean number of times that a payload is repeated: 0..=2. Default 0.5.
    pub repeats_mean: f64,
    /// Probability that a transmission fades before it arrives, on top of collisions: 0..=1. Default 0.04.
    pub loss: f64,
    /// Probability that a transmission that arrives has a wrong CRC: 0..=1. Default 0.02.
    pub corruption: f64,
    /// Time in seconds after which the readers get no new payloads: 0..=1,000,000,000. Default 0, which means never.
    pub seconds: f64,
    /// Script to play instead of generated traffic. The keys from `rate_per_s` to `seconds` must then keep their
    /// defaults, because a script defines its own times and losses.
    pub script: Option<PathBuf>,
    /// File that records every delivered payload as a line of hex. At the end the counts are written to the same name
    /// with `.summary` appended.
    pub ledger: Option<PathBuf>,
}

impl Default for SimulatedSettings {
    fn default() -> Self {
        let Traffic { seed, rate_per_s, repeats_mean, loss, corruption, .. } = Traffic::default();
        Self { seed, rate_per_s, repeats_mean, loss, corruption, seconds: 0.0, script: None, ledger: None }
    }
}

impl SimulatedSettings {
    /// Returns an error for the first value that is out of range. Opens no file.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.traffic().validate()?;
        match &self.script {
            Some(_) => self.check_traffic_is_default(),
            None => Ok(()),
        }
    }

    /// Returns the traffic to generate if there is no script.
    pub fn traffic(&self) -> Traffic {
        let &Self { seed, rate_per_s, repeats_mean, loss, corruption, .. } = self;
        // Not `> 0.0`: NaN must reach the validation.
        let seconds = (self.seconds != 0.0).then_some(self.seconds);
        Traffic { seed, rate_per_s, repeats_mean, loss, corruption, seconds, ..Traffic::default() }
    }

    /// Validates the settings, reads the script, opens the ledger and returns the radio.
    pub fn open(&self) -> Result<Simulated, OpenError> {
        self.validate()?;
        let radio = match &self.script {
            Some(path) => Simulated::from_script(Script::read(path)?),
            None => Simulated::from_traffic(self.traffic())?,
        };
        Ok(match &self.ledger {
            Some(path) => radio.with_ledger(path)?,
            None => radio,
        })
    }

    /// Rejects traffic keys beside a script: they would have no effect, so setting one is a mistake.
    fn check_traffic_is_default(&self) -> Result<(), SettingsError> {
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
                let allowed = format!("the default, {default:?}, because a `script` is played as written");
                Err(SettingsError::new(key, value, allowed))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
