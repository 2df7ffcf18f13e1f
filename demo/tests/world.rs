//! Seeded worlds: a barn and two offices in one thread, with faults drawn from a seed.
//!
//! Catches: a sequence of faults in which an acknowledged payload is lost and nobody says so, the offices end unequal to the
//! barn, a number is given twice, or a divergence has no cause; a world in which too little happens; a run that its seed does
//! not repeat exactly; and claims that do not find the bugs they are there for.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]
#![expect(clippy::print_stdout, reason = "the summaries are for whoever runs the worlds by hand")]

use demo::world::{Plant, WorldError, WorldSummary, run};

/// Number of worlds among which each planted bug must be found.
const PLANT_SEEDS: u64 = 40;

fn live(seed: u64, plant: Option<Plant>) -> Result<WorldSummary, WorldError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed, plant, &mut |_| {}))
}

fn live_well(seed: u64) -> WorldSummary {
    let summary = live(seed, None).unwrap_or_else(|error| panic!("{error}; `cargo world --seed {seed}` replays it"));
    assert!(summary.payloads.receipted > 50, "seed {seed} tried too little: {summary:?}");
    assert!(summary.incidents > 5, "seed {seed} was too calm: {summary:?}");
    summary
}

/// Runs worlds, and checks that enough became of their cards.
fn live_all(seeds: std::ops::RangeInclusive<u64>) {
    let worlds = seeds.clone().count() as u64;
    let summaries: Vec<_> = seeds.map(live_well).collect();
    let sum = |count: fn(&WorldSummary) -> u64| summaries.iter().map(count).sum::<u64>();
    let (cards, swaps) = (sum(|world| world.cards), sum(|world| world.swaps));
    let (unknown, receipted) = (sum(|world| world.payloads.unknown), sum(|world| world.payloads.receipted));
    let epochs = sum(|world| world.epochs);
    println!(
        "{worlds} worlds: {receipted} payloads, {cards} cards, {swaps} new copies, {epochs} epochs by an office, {unknown} unknown"
    );
    assert!(epochs > 0, "no office showed a barn what it lost");
    assert!(cards > worlds && swaps > worlds / 2, "{cards} cards and {swaps} new copies in {worlds} worlds");
    assert!(unknown * 5 < receipted, "{unknown} of {receipted} payloads are said to be unknown");
}

#[test]
fn fifty_worlds_lose_nothing_unsaid_and_all_machines_end_equal() {
    live_all(1..=50);
}

#[test]
#[ignore = "takes minutes; .ci/long runs it"]
fn a_thousand_worlds_lose_nothing_unsaid_and_all_machines_end_equal() {
    live_all(51..=1050);
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14] {
        assert_eq!(live_well(seed), live_well(seed));
    }
    assert_ne!(live_well(3).trace, live_well(14).trace);
}

/// Catches claims that hold whatever the programs do.
#[test]
fn each_planted_bug_is_found() {
    for plant in Plant::ALL {
        let found = (1..=PLANT_SEEDS).find_map(|seed| live(seed, Some(plant)).err());
        let found = found.unwrap_or_else(|| panic!("nothing is wrong with {plant} in {PLANT_SEEDS} worlds"));
        println!("{plant}: {found}");
    }
}
