//! Randomness as a seam: production asks the kernel, a simulated world replays a seed.

/// The kernel gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("drawing random bytes from the kernel: {0}; no secret can be made until it answers")]
pub struct NoRandomness(String);

/// A source of random bytes.
pub trait Randomness: Send {
    /// Fills all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The kernel's generator (`getrandom(2)`): the only one that secrets may come from outside a simulation.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|error| NoRandomness(error.to_string()))
    }
}

/// The same bytes for the same seed, for ever: BLAKE3 of (seed, count), one block after the other.
#[derive(Clone, Debug)]
pub struct SeededRandomness {
    seed: u64,
    drawn_blocks: u64,
}

impl SeededRandomness {
    /// Starts the sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn_blocks: 0 }
    }

    fn block(&mut self) -> [u8; blake3::OUT_LEN] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"herdlinx seeded randomness");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&self.drawn_blocks.to_le_bytes());
        self.drawn_blocks += 1;
        *hasher.finalize().as_bytes()
    }
}

impl Randomness for SeededRandomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
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

    #[test]
    fn a_seed_replays_and_another_seed_differs() {
        let mut first = SeededRandomness::new(7);
        let mut again = SeededRandomness::new(7);
        let once = drawn(&mut first);
        assert_eq!(once, drawn(&mut again));
        assert_ne!(once, drawn(&mut first), "the sequence goes on");
        assert_ne!(once, drawn(&mut SeededRandomness::new(8)));
    }

    #[test]
    fn the_kernel_does_not_repeat_itself() {
        assert_ne!(drawn(&mut SystemRandomness), drawn(&mut SystemRandomness));
    }
}
