//! The randomness of a simulated world, determined by its seed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A generator with a fixed seed.
#[derive(Debug)]
pub(super) struct Chance(ChaCha12Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// Returns a number below `bound`, or 0 if the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The bias of a remainder does not matter for the weather.
        if bound == 0 { 0 } else { self.0.next_u64() % bound }
    }

    /// Returns a length below `bound`, or 0 if the bound is 0.
    pub(super) fn length_below(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// Returns true with a probability of `percent` in a hundred.
    pub(super) fn percent(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < u64::from(percent)
    }
}
