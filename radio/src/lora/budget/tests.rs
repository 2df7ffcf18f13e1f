//! Air time never exceeds a limit in any window, and no transmission waits longer than necessary.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const HOUR: Limit = Limit { allowed: Duration::from_secs(36), window: Duration::from_secs(3_600), law: "one in 100" };
const DWELL: Limit = Limit { allowed: Duration::from_millis(400), window: Duration::from_secs(20), law: "dwell" };

/// Start and length of each transmission.
type SentPackets = Vec<(Duration, Duration)>;

/// Returns the most air time in any window. A window that begins or ends with a transmission contains the most.
fn most_in_any_window(sent: &SentPackets, window: Duration) -> Duration {
    let edges = sent.iter().flat_map(|&(begin, length)| [begin, begin + length]);
    let begins = edges.flat_map(|edge| [Some(edge), edge.checked_sub(window)]).flatten();
    begins.map(|begin| inside(sent, begin, begin + window)).max().unwrap_or_default()
}

fn inside(sent: &SentPackets, begin: Duration, end: Duration) -> Duration {
    sent.iter().map(|&(from, length)| (from + length).min(end).saturating_sub(from.max(begin))).sum()
}

#[test]
fn a_packet_waits_until_enough_has_left_the_window() {
    let mut budget = AirTimeBudget::new(vec![DWELL]);
    budget.spend(S, 300 * MS).unwrap();
    budget.spend(2 * S, 100 * MS).unwrap();
    // The window that ends with the new packet must no longer contain the first 50 ms, which ended at 1.05 s.
    let at = 21 * S;
    assert_eq!(budget.earliest_start(3 * S, 50 * MS), Ok(at));
    let refused = budget.spend(3 * S, 50 * MS).unwrap_err();
    assert_eq!(refused, AirTimeError::Wait { at, wait: 18 * S, law: "dwell" });
    assert!(refused.to_string().contains("wait 18000 ms"), "{refused}");
    budget.spend(at, 50 * MS).unwrap();
}

/// Catches a limit that is exceeded by a moment at the edge of its window, and a packet that waits a moment too long.
#[test]
fn a_packet_starts_at_the_edge_of_the_window_and_not_a_nanosecond_earlier() {
    const NS: Duration = Duration::from_nanos(1);
    let mut full = AirTimeBudget::new(vec![DWELL]);
    full.spend(S, DWELL.allowed).unwrap();
    // All of it ended at 1.4 s, so 10 ms of it have left the window that ends at 21.01 s.
    let edge = S + DWELL.window;
    assert_eq!(full.earliest_start(S + DWELL.allowed, 10 * MS), Ok(edge));
    let early = full.clone().spend(edge.saturating_sub(NS), 10 * MS).unwrap_err();
    assert_eq!(early, AirTimeError::Wait { at: edge, wait: NS, law: "dwell" });
    full.spend(edge, 10 * MS).unwrap();

    // The whole of a limit may be used, and not a nanosecond more.
    let mut unused = AirTimeBudget::new(vec![DWELL]);
    assert!(matches!(unused.spend(S, DWELL.allowed + NS), Err(AirTimeError::TooLong { .. })));
    unused.spend(S, DWELL.allowed.saturating_sub(NS)).unwrap();
    assert_eq!(unused.remaining(S + DWELL.allowed).unwrap().air_time, NS);
    unused.spend(S + DWELL.allowed, NS).unwrap();
    assert!(matches!(unused.spend(2 * S, NS), Err(AirTimeError::Wait { .. })));
}

#[test]
fn a_packet_longer_than_a_limit_is_never_allowed() {
    let mut budget = AirTimeBudget::new(vec![HOUR, DWELL]);
    let refused = budget.spend(S, 401 * MS).unwrap_err();
    assert_eq!(refused, AirTimeError::TooLong { air_time: 401 * MS, allowed: 400 * MS, law: "dwell" });
    assert_eq!(budget.remaining(S).unwrap().air_time, HOUR.allowed, "a refusal uses nothing");
    budget.spend(S, 400 * MS).unwrap();
}

#[test]
fn without_a_limit_a_packet_waits_only_for_the_previous_one() {
    let mut budget = AirTimeBudget::new(Vec::new());
    assert_eq!(budget.remaining(S), None);
    budget.spend(S, 9 * S).unwrap();
    assert_eq!(budget.earliest_start(2 * S, 9 * S), Ok(10 * S));
    assert!(matches!(budget.spend(2 * S, 9 * S), Err(AirTimeError::Wait { at, .. }) if at == 10 * S));
    budget.spend(10 * S, 9 * S).unwrap();
}

#[test]
fn an_exhausted_budget_allows_nothing_for_a_window() {
    for start in [Duration::ZERO, 5 * S] {
        let mut budget = AirTimeBudget::exhausted(vec![DWELL], start);
        assert_eq!(budget.remaining(start).unwrap().air_time, Duration::ZERO);
        assert_eq!(budget.earliest_start(start, 10 * MS), Ok(start + 19_600 * MS));
        assert!(budget.spend(start, 10 * MS).is_err());
        assert_eq!(budget.remaining(start + 20 * S).unwrap().air_time, DWELL.allowed);
    }
}

#[test]
fn the_remaining_air_time_is_that_of_the_tightest_limit() {
    let mut budget = AirTimeBudget::new(vec![HOUR, DWELL]);
    budget.spend(S, 300 * MS).unwrap();
    assert_eq!(budget.remaining(2 * S), Some(RemainingAirTime { air_time: 100 * MS, limit: DWELL }));
    assert_eq!(budget.remaining(30 * S), Some(RemainingAirTime { air_time: 35_700 * MS, limit: HOUR }));
}

#[test]
fn memory_is_bounded_however_many_transmissions_there_are() {
    let minute = Limit { allowed: S, window: 60 * S, law: "minute" };
    let (mut budget, mut now) = (AirTimeBudget::new(vec![minute, DWELL]), Duration::ZERO);
    for _ in 0..20_000 {
        now = budget.earliest_start(now, MS / 10).unwrap();
        budget.spend(now, MS / 10).unwrap();
        now += 10 * MS;
    }
    for ledger in &budget.ledgers {
        let entries = ledger.usages.len();
        assert!(entries <= AirTimeBudget::MAX_ENTRIES && entries > 1_000, "{entries} for {}", ledger.limit.law);
    }
}

fn limit() -> impl Strategy<Value = Limit> {
    (1_u32..=200, 2_u32..=40).prop_map(|(allowed, factor)| {
        let allowed = MS * allowed;
        Limit { allowed, window: allowed * factor, law: "some law" }
    })
}

/// Generates a pause and a length in microseconds, the delay of the transmission, and whether it waits for its earliest
/// start. Many are short, so that several end within one part of a window.
fn attempt() -> impl Strategy<Value = (u64, u64, u64, bool)> {
    let pause_us = prop_oneof![0..2_000_u64, 0..400_000_u64];
    let length_us = prop_oneof![1..500_u64, 1..60_000_u64];
    let late_us = prop_oneof![Just(0), 0..3_000_u64];
    (pause_us, length_us, late_us, any::<bool>())
}

proptest! {
    #[test]
    fn no_window_contains_more_than_its_limit(
        limits in prop::collection::vec(limit(), 1..3),
        attempts in prop::collection::vec(attempt(), 1..120),
    ) {
        let (mut budget, mut now, mut sent) = (AirTimeBudget::new(limits.clone()), Duration::ZERO, SentPackets::new());
        for (pause_us, length_us, late_us, patient) in attempts {
            now += Duration::from_micros(pause_us);
            let length = Duration::from_micros(length_us);
            let earliest = budget.earliest_start(now, length);
            if patient && let Ok(at) = earliest {
                prop_assert!(at >= now);
                now = at;
            }
            match budget.spend(now, length) {
                Ok(()) => {
                    let late = Duration::from_micros(late_us);
                    sent.push((now + late, length));
                    budget.record_end(now + late + length);
                }
                Err(AirTimeError::Wait { at, .. }) => prop_assert!(!patient && Ok(at) == earliest),
                Err(never) => prop_assert_eq!(Err(never), earliest),
            }
        }
        for limit in limits {
            let most = most_in_any_window(&sent, limit.window);
            prop_assert!(most <= limit.allowed, "{most:?} in {limit:?}");
        }
    }

    /// Catches a budget that is correct but waits longer than it must.
    #[test]
    fn no_earlier_start_would_be_allowed(
        limit in limit(), lengths in prop::collection::vec(1_u64..200_000, 2..40),
    ) {
        // The transmissions are far enough apart not to be merged, so nothing errs towards waiting.
        let (mut budget, mut now, mut sent) = (AirTimeBudget::new(vec![limit]), Duration::ZERO, SentPackets::new());
        let apart = limit.window / 1_000;
        for length_us in lengths {
            let length = Duration::from_micros(length_us).min(limit.allowed);
            let at = budget.earliest_start(now, length).unwrap();
            if at > now {
                let mut sooner = sent.clone();
                sooner.push((at.saturating_sub(Duration::from_nanos(1)), length));
                prop_assert!(most_in_any_window(&sooner, limit.window) > limit.allowed, "could have started before {at:?}");
            }
            budget.spend(at, length).unwrap();
            sent.push((at, length));
            now = at + length + apart;
        }
    }
}
