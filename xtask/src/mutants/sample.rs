//! The choice of mutants.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha12Rng;

/// Picks `count` mutants, or all if there are fewer, in their order. Equal lists and seeds give equal samples.
pub(super) fn pick(mutants: &[String], count: usize, seed: u64) -> Vec<String> {
    let mut generator = ChaCha12Rng::seed_from_u64(seed);
    let mut picked = index::sample(&mut generator, mutants.len(), count.min(mutants.len())).into_vec();
    picked.sort_unstable();
    picked.into_iter().map(|at| mutants[at].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Catches a sample that cannot be repeated, has a mutant twice, or always leaves the same ones out.
    #[test]
    fn a_seed_repeats_its_sample_and_others_reach_every_mutant() {
        let mutants: Vec<String> = (0..40).map(|n| format!("herd/src/a.rs:{n}:1: replace f with ()")).collect();
        assert_eq!(pick(&mutants, 10, 7), pick(&mutants, 10, 7));
        assert_eq!(pick(&mutants, 100, 7), mutants);
        let samples: Vec<Vec<String>> = (0..40).map(|seed| pick(&mutants, 10, seed)).collect();
        assert!(samples.iter().all(|sample| sample.iter().collect::<BTreeSet<_>>().len() == 10));
        assert_eq!(samples.concat().into_iter().collect::<BTreeSet<_>>().len(), 40);
    }
}
