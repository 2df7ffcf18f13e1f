//! Random numbers of a run, in streams of one seed.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// Purpose of random numbers. Each purpose has its own stream, so that a change to one leaves the others as they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Payloads = 0,
    Times = 1,
    Places = 2,
}

/// Returns the random numbers of one stream of a seed, from their start.
pub(super) fn rng(seed: u64, stream: Stream) -> ChaCha12Rng {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}
