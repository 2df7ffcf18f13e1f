//! Settings of the property tests: the number of cases, and a seed that is printed.

use proptest::test_runner::{Config, RngSeed};

/// Runs `cases` cases, or as many as `PROPTEST_CASES` says, from a seed that is printed.
///
/// A failure is repeated with `PROPTEST_RNG_SEED` set to the printed seed and with the same number of cases. A sequence
/// of steps that once failed becomes a test of its own, so that a reader sees it; proptest's files of seeds are off.
pub(crate) fn cases(cases: u32) -> Config {
    let from_environment = Config::default();
    let seed = match from_environment.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => getrandom::u64().expect("the system has random numbers"),
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { from_environment.cases } else { cases };
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("{test}: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases}");
    Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..from_environment }
}
