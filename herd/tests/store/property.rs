//! Settings of the property tests: the number of cases, and the seed.

use proptest::test_runner::{Config, RngSeed};

/// Returns settings for `cases` cases, or for `PROPTEST_CASES` of them, and prints the seed.
///
/// To repeat a run, set `PROPTEST_RNG_SEED` to the printed seed and use the same number of cases. proptest's seed files are
/// off: a sequence that failed once becomes a test of its own, which a reader can see.
#[expect(clippy::print_stderr, reason = "a failing test shows how to repeat it")]
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
