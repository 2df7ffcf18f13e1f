//! Seeded worlds: what holds in all of them, and that each replays exactly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use demo::world::{Ending, run};

fn live(seed: u64) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed)).unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn in_twenty_worlds_nothing_receipted_is_lost_and_the_office_comes_to_equal_the_barn() {
    for seed in 1..=20 {
        let ending = live(seed);
        println!("{ending:?}");
        assert!(ending.receipted > 100, "seed {seed} tried too little: {ending:?}");
        assert!(ending.happenings > 5, "seed {seed} was too calm: {ending:?}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14] {
        assert_eq!(live(seed), live(seed));
    }
    assert_ne!(live(3).trace, live(14).trace);
}
