//! How the line is judged, and how often the chip is looked at.

use super::*;
use crate::lora::{Bandwidth, SpreadingFactor};

fn watch() -> Watch {
    Watch::new(&Modulation::default())
}

#[test]
fn two_packets_cannot_end_within_one_wait_at_any_setting() {
    for (spreading_factor, bandwidth) in settings() {
        let ours = Modulation { spreading_factor, bandwidth, ..Modulation::default() };
        // The shortest that any sender can send.
        let theirs = Modulation { coding_rate: CodingRate::FourFifths, preamble_symbols: 6, ..ours };
        assert!(longest_wait(&ours) * 2 <= theirs.air_time(1), "{spreading_factor:?} {bandwidth:?}");
        assert!(longest_wait(&ours) <= LONGEST_WAIT);
        assert!(longest_wait(&ours) >= Duration::from_millis(1));
    }
}

fn settings() -> impl Iterator<Item = (SpreadingFactor, Bandwidth)> {
    SpreadingFactor::ALL.into_iter().flat_map(|factor| Bandwidth::ALL.map(|bandwidth| (factor, bandwidth)))
}

#[test]
fn a_packet_without_an_edge_is_a_rescue() {
    let mut watch = watch();
    assert_eq!(watch.note(Wake::TimedOut, 0), Noticed::Nothing);
    assert_eq!(watch.note(Wake::Edge, 1), Noticed::Nothing);
    assert_eq!(watch.note(Wake::TimedOut, 1), Noticed::Rescue);
}

#[test]
fn a_line_that_never_tells_is_told_of_once() {
    let mut watch = watch();
    let noticed: Vec<Noticed> = (0..SILENT_AFTER + 5).map(|_| watch.note(Wake::TimedOut, 1)).collect();
    assert_eq!(noticed.iter().filter(|noticed| matches!(noticed, Noticed::Silence(_))).count(), 1);
    // After an edge that told, it can fall silent again.
    watch.note(Wake::Edge, 1);
    let again = (0..SILENT_AFTER).map(|_| watch.note(Wake::TimedOut, 1)).last().unwrap();
    assert_eq!(again, Noticed::Silence(SILENT_AFTER));
}

#[test]
fn a_line_that_tells_of_nothing_is_left_alone_until_it_is_quiet() {
    let mut watch = watch();
    let noticed: Vec<Noticed> = (0..CHATTER_AFTER + 5).map(|_| watch.note(Wake::Edge, 0)).collect();
    assert_eq!(noticed.iter().filter(|noticed| matches!(noticed, Noticed::Chatter(_))).count(), 1);
    assert!(watch.ignores_line());
    watch.note(Wake::TimedOut, 0);
    assert!(!watch.ignores_line());
}

#[test]
fn a_check_is_due_after_enough_looks_and_then_not_again() {
    let mut watch = watch();
    assert!(!watch.is_check_due());
    for _ in 0..CHECK_AFTER_LOOKS {
        watch.note(Wake::Edge, 1);
    }
    assert!(watch.is_check_due());
    assert!(!watch.is_check_due());
    watch.since_check += CHECK_AFTER;
    assert!(watch.is_check_due());
}
