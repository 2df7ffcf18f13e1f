//! Parameters of generated traffic.
//!
//! **Traffic that exceeds the channel's capacity is played faster, on a clock that waits for the driver.** Readers that
//! share a channel at 38 ms per packet get about 15 packets per second through. Sending more densely was rejected: in
//! such an air the packets collide and hardly any is received.

use super::payloads::Payloads;
use crate::SettingsError;
use crate::settings_error::check_range;

/// Maximum number of times that a reader repeats a payload.
pub(super) const MAX_REPEATS: u32 = 2;

/// Transmissions per second that the air carries at [`MODULATION`](super::MODULATION).
///
/// At this rate readers that listen before they talk find room: a payload occupies the air for 38 ms on average.
const CAPACITY_PER_S: f64 = 15.0;

/// Traffic of a whole yard, generated from a seed.
///
/// The payloads are always those of [`payloads`](Traffic::payloads). The other parameters decide when they are sent and
/// which of them arrive. Traffic that exceeds what the air carries is played faster, see [`speed`](Traffic::speed).
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Seed: the same seed gives the same traffic. Runs against one barn need seeds that differ modulo 100,000.
    pub seed: u64,
    /// Distinct payloads per second, averaged over a long run: 0.001..=100,000.
    pub rate_per_s: f64,
    /// Mean number of times that a payload is repeated: 0..=2.
    pub repeats_mean: f64,
    /// Probability that a transmission fades before it arrives, on top of collisions: 0..=1.
    pub loss: f64,
    /// Probability that a transmission that arrives has a wrong CRC: 0..=1.
    pub corruption: f64,
    /// Malformed payloads per well-formed one: 0..=1.
    pub malformed: f64,
    /// Number of distinct payloads after which the traffic ends. Their repeats are still sent.
    pub count: Option<u64>,
    /// Time after which readers get no new payloads, in seconds since the first `receive`: 0..=1,000,000,000.
    pub seconds: Option<f64>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            seed: 1,
            rate_per_s: 5.0,
            repeats_mean: 0.5,
            loss: 0.04,
            corruption: 0.02,
            malformed: 0.01,
            count: None,
            seconds: None,
        }
    }
}

impl Traffic {
    /// Returns the distinct payloads without times and losses, as an endless iterator.
    pub fn payloads(&self) -> Payloads {
        Payloads::new(self.seed, self.malformed)
    }

    /// Returns the speed of the air's clock as a multiple of real time.
    ///
    /// The speed is 1 up to 15 transmissions per second, repeats included, and grows in proportion beyond that.
    pub fn speed(&self) -> f64 {
        (self.rate_per_s * (1.0 + self.repeats_mean) / CAPACITY_PER_S).max(1.0)
    }

    /// Returns an error for the first value that is out of range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        check_range("rate_per_s", self.rate_per_s, 0.001..=100_000.0)?;
        check_range("repeats_mean", self.repeats_mean, 0.0..=f64::from(MAX_REPEATS))?;
        check_range("loss", self.loss, 0.0..=1.0)?;
        check_range("corruption", self.corruption, 0.0..=1.0)?;
        check_range("malformed", self.malformed, 0.0..=1.0)?;
        check_range("seconds", self.seconds.unwrap_or(0.0), 0.0..=1_000_000_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_beyond_the_capacity_of_the_air_is_played_faster() {
        let speed = |rate_per_s, repeats_mean| Traffic { rate_per_s, repeats_mean, ..Traffic::default() }.speed();
        let speeds = [speed(0.001, 0.5), speed(5.0, 0.5), speed(10.0, 0.5), speed(20.0, 0.5), speed(100_000.0, 2.0)];
        for (found, expected) in speeds.into_iter().zip([1.0, 1.0, 1.0, 2.0, 20_000.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}
