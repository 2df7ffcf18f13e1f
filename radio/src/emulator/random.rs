//! Random numbers from a seed.
//!
//! The fate of one transmission at one chip must not depend on how many other draws came before it. Otherwise a test
//! that adds a receiver would change the results of all others. Most draws are therefore a hash of the transmission
//! and the chip, not the next number of a stream.

use std::time::Duration;

/// Returns the number that follows `state` (splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
pub(super) fn next(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Hashes three numbers into one.
pub(super) fn hash(parts: [u64; 3]) -> u64 {
    parts.into_iter().fold(0, |mixed, part| next(mixed ^ part))
}

/// Maps a random number to the range from 0 (inclusive) to 1 (exclusive).
#[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
pub(super) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Maps a random number to the standard normal distribution (Box and Muller).
pub(super) fn normal(random: u64) -> f64 {
    let (radius, angle) = (1.0 - unit(random), unit(next(random)));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// An endless Poisson process: the times of independent events, reproducible from a seed.
#[derive(Clone, Debug)]
pub struct Poisson {
    state: u64,
    mean_s: f64,
    at_s: f64,
}

impl Poisson {
    /// Creates a process with a mean rate in events per second, which must be above 0.
    pub fn new(seed: u64, rate_per_s: f64) -> Self {
        Self { state: next(seed), mean_s: 1.0 / rate_per_s, at_s: 0.0 }
    }
}

impl Iterator for Poisson {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.state = next(self.state);
        self.at_s -= self.mean_s * (1.0 - unit(self.state)).ln();
        Duration::try_from_secs_f64(self.at_s).ok()
    }
}
