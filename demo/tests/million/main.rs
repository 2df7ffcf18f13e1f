//! A store of a million changes: the cost of a page of each list, and the memory for an export.
//!
//! Catches: a list whose last page costs more than its first, or more in a large herd than in a small one; and an
//! export that holds the herd in memory. Costs are counted as rows of the tables and changes of the log, not timed.
#![allow(clippy::unwrap_used, reason = "tests panic with a message when they cannot continue")]

mod exports;
mod herd;
mod pages;
#[path = "../yard/mod.rs"]
mod yard;

use ::herd::store::{Directory, MemoryDisk, ReadCounts, Reader};
use herd::herd_of;
use pages::LISTS;

/// Rounds of four changes each.
const SMALL_ROUNDS: u64 = 250;
const LARGER_ROUNDS: u64 = 2_500;
const MILLION_ROUNDS: u64 = 250_000;

fn costs(of: &Reader, rounds: u64) -> Vec<[ReadCounts; 2]> {
    LISTS.iter().map(|list| list.cost(of, rounds)).collect()
}

/// Checks that the last page costs no more than the first, and that both cost the same as in a small herd.
fn assert_costs_as_in_a_small_herd(of: &Reader, rounds: u64) {
    let small = costs(&herd_of(SMALL_ROUNDS, &MemoryDisk::default()).reader(), SMALL_ROUNDS);
    for ((list, small), here) in LISTS.iter().zip(small).zip(costs(of, rounds)) {
        assert_eq!(here, small, "{} at {rounds} and at {SMALL_ROUNDS} rounds", list.name);
        let [first, last] = here;
        let more = last.searches > first.searches || last.rows > first.rows || last.changes > first.changes;
        assert!(!more, "{}: the first page costs {first:?}, the last {last:?}", list.name);
    }
}

#[test]
fn first_and_last_page_of_every_list_cost_the_same_at_any_size() {
    let store = herd_of(LARGER_ROUNDS, &MemoryDisk::default());
    assert_costs_as_in_a_small_herd(&store.reader(), LARGER_ROUNDS);
}

#[test]
#[ignore = "takes minutes: part of .ci/long"]
fn first_and_last_page_of_every_list_cost_the_same_among_a_million_changes() {
    let directory = tempfile::tempdir().unwrap();
    let store = herd_of(MILLION_ROUNDS, &Directory::new(directory.path()).unwrap());
    let reader = store.reader();
    assert_costs_as_in_a_small_herd(&reader, MILLION_ROUNDS);
    for list in LISTS {
        let [first, last] = list.times(&reader, MILLION_ROUNDS).map(|time| time.as_micros());
        eprintln!("{}: first page {first} us, last page {last} us (p50)", list.name);
    }
}
