//! The randomness of a log, determined by its seed.

use herd::randomness::{Randomness, SeededRandomness};

/// A generator with a fixed seed. It must never draw other numbers: the chain digests in the golden files depend on it.
pub(crate) struct Chance {
    source: SeededRandomness,
    block: [u8; 32],
    /// Bytes of the block that were drawn.
    drawn: usize,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { source: SeededRandomness::new(seed), block: [0; 32], drawn: 32 }
    }

    fn next(&mut self) -> u64 {
        if self.drawn == self.block.len() {
            self.source.fill(&mut self.block).unwrap();
            self.drawn = 0;
        }
        let bytes = self.block[self.drawn..self.drawn + 8].try_into().unwrap();
        self.drawn += 8;
        u64::from_le_bytes(bytes)
    }

    /// Returns a number below `bound`, which is not 0. The bias of the remainder does not matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns an index into a list of this length, which is not 0.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// Returns true with a probability of `percent` in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
