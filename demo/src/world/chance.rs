//! The randomness of a simulated world: everything that happens by chance happens by its seed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Draws from a seed.
#[derive(Debug)]
pub(super) struct Chance(ChaCha12Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// A number below `bound`; 0 where the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The bias of a remainder does not matter for making weather.
        if bound == 0 { 0 } else { self.0.next_u64() % bound }
    }

    /// A length below `bound`; 0 where the bound is 0.
    pub(super) fn length_below(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < u64::from(percent)
    }
}
