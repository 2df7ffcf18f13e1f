//! Tests of the times of transmissions.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// Returns the due time and the payload of each transmission.
fn transmissions(traffic: &Traffic) -> impl Iterator<Item = (u64, Arc<[u8]>)> + use<> {
    Schedule::new(traffic).map(|scheduled| (scheduled.due_us, scheduled.payload))
}

fn any_traffic() -> impl Strategy<Value = Traffic> {
    (any::<u64>(), 0.001..=100_000.0, 0.0..=2.0).prop_map(|(seed, rate_per_s, repeats_mean)| Traffic {
        seed,
        rate_per_s,
        repeats_mean,
        count: Some(2_000),
        ..Traffic::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn transmissions_are_in_order_of_time(traffic in any_traffic()) {
        let times: Vec<_> = transmissions(&traffic).map(|(due_us, _)| due_us).collect();
        prop_assert!(times.is_sorted());
    }

    #[test]
    fn first_transmissions_follow_the_order_of_the_payloads(traffic in any_traffic()) {
        let mut payloads = traffic.payloads();
        let mut times_of = HashMap::new();
        for (due_us, payload) in transmissions(&traffic) {
            let times: &mut Vec<u64> = times_of.entry(payload.clone()).or_default();
            if times.is_empty() {
                prop_assert_eq!(Some(payload.to_vec()), payloads.next());
            }
            times.push(due_us);
        }
        prop_assert_eq!(times_of.len(), 2_000);
        // At most three transmissions of each payload, all within a second: well within a barn's repeat window.
        prop_assert!(times_of.values().all(|times| times.len() <= 3 && times[times.len() - 1] - times[0] <= 600_000));
    }
}

#[test]
fn the_schedule_does_not_drift_from_the_rate() {
    let traffic = Traffic { rate_per_s: 10.0, repeats_mean: 0.0, count: Some(100_000), ..Traffic::default() };
    // A pen has at most about 200 * 5 payloads, and its reads run ahead of the rate by up to a fifth of its time.
    let furthest_us = (0_u64..).zip(transmissions(&traffic)).map(|(n, (due_us, _))| due_us.abs_diff(n * 100_000)).max();
    assert!(furthest_us.unwrap() < 20_000_000, "{furthest_us:?}");
}

#[test]
fn pauses_separate_the_pens() {
    let traffic = Traffic { rate_per_s: 10.0, repeats_mean: 0.0, count: Some(10_000), ..Traffic::default() };
    let times: Vec<_> = transmissions(&traffic).map(|(due_us, _)| due_us).collect();
    let pauses = times.windows(2).filter(|pair| pair[1] - pair[0] > 1_000_000).count();
    assert!((10..200).contains(&pauses), "{pauses}");
}

#[test]
fn the_mean_number_of_repeats_is_the_configured_one() {
    for (repeats_mean, expected) in [(0.0, 10_000), (0.5, 15_000), (2.0, 30_000)] {
        let traffic = Traffic { repeats_mean, count: Some(10_000), ..Traffic::default() };
        println!("seed {}", traffic.seed);
        let sent = transmissions(&traffic).count();
        assert!(sent.abs_diff(expected) < 350, "{repeats_mean}: {sent}");
    }
}

#[test]
fn the_lowest_and_the_highest_rate_do_not_overflow() {
    for rate_per_s in [0.001, 100_000.0] {
        let traffic = Traffic { rate_per_s, seconds: Some(1e9), ..Traffic::default() };
        let (due_us, _) = transmissions(&traffic).nth(50_000).unwrap();
        assert!(due_us > 0, "{rate_per_s}");
    }
}
