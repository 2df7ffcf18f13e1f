//! Source of random bytes behind a trait: production asks the kernel, a simulated world replays a seed.
//!
//! It serves identities of stores, secrets and the jitter of retries. No decision about a payload uses it.

/// The kernel returned no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("cannot get random bytes from the kernel: {0}; no secret can be created without them")]
pub struct RandomnessError(String);

/// A source of random bytes.
pub trait Randomness: Send {
    /// Fills `bytes` completely.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomnessError>;
}

/// The kernel's generator (`getrandom(2)`). Outside a simulation, all secrets come from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        getrandom::fill(bytes).map_err(|error| RandomnessError(error.to_string()))
    }
}

/// A reproducible generator for simulations: block `n` is BLAKE3 of the seed and `n`.
///
/// The same seed gives the same bytes in every version of this crate, so a recorded seed replays a failure.
#[derive(Clone, Debug)]
pub struct SeededRandomness {
    seed: u64,
    blocks_drawn: u64,
}

impl SeededRandomness {
    /// Starts the sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, blocks_drawn: 0 }
    }

    fn block(&mut self) -> [u8; blake3::OUT_LEN] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"herdlinx seeded randomness");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&self.blocks_drawn.to_le_bytes());
        self.blocks_drawn += 1;
        *hasher.finalize().as_bytes()
    }
}

impl Randomness for SeededRandomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        for part in bytes.chunks_mut(blake3::OUT_LEN) {
            part.copy_from_slice(&self.block()[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(from: &mut dyn Randomness) -> [u8; 48] {
        let mut bytes = [0; 48];
        from.fill(&mut bytes).unwrap();
        bytes
    }

    /// Catches a generator that does not replay, or that ignores its seed or its position.
    #[test]
    fn a_seed_replays_and_another_seed_differs() {
        let mut first = SeededRandomness::new(7);
        let mut again = SeededRandomness::new(7);
        let once = drawn(&mut first);
        assert_eq!(once, drawn(&mut again));
        assert_ne!(once, drawn(&mut first), "the sequence must advance");
        assert_ne!(once, drawn(&mut SeededRandomness::new(8)));
    }

    /// Catches a generator that leaves the buffer as it was.
    #[test]
    fn the_kernel_does_not_repeat_itself() {
        assert_ne!(drawn(&mut SystemRandomness), drawn(&mut SystemRandomness));
    }
}
