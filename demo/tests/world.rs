//! Seeded worlds: a barn and an office in one thread, with faults drawn from a seed.
//!
//! Catches: a sequence of faults in which an acknowledged payload is lost or the office ends unequal to the barn, a
//! world in which too little happens, and a run that its seed does not repeat exactly.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

use demo::world::{WorldSummary, run};

fn live(seed: u64) -> WorldSummary {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn twenty_worlds_lose_no_acknowledged_payload_and_the_office_ends_equal_to_the_barn() {
    for seed in 1..=20 {
        let summary = live(seed);
        println!("{summary:?}");
        assert!(summary.receipted > 100, "seed {seed} tried too little: {summary:?}");
        assert!(summary.incidents > 5, "seed {seed} was too calm: {summary:?}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14] {
        assert_eq!(live(seed), live(seed));
    }
    assert_ne!(live(3).trace, live(14).trace);
}
