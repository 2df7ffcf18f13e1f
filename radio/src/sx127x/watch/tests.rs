//! How the line is judged, and how often the chip is looked at.

use super::super::Settings;
use super::super::array::ArrayChip;
use super::super::setup::Wired;
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

#[test]
fn a_line_that_chatters_does_not_keep_the_radio_busy() {
    let array = ArrayChip::default();
    let wired = Wired::from(array.clone().connect().unwrap());
    let settings = Settings { modulation: Modulation::default(), transmit: None };
    let mut chip = Chip::set_up(wired, &settings).ok().unwrap();
    let mut watch = watch();
    array.state().wakes = vec![Wake::Edge; 200];
    let before = array.state().waited_ms;
    for _ in 0..200 {
        let wake = chip.wait(&mut watch).unwrap();
        watch.note(wake, 0);
    }
    // All but the first ones were on the clock: 11 ms each, which is the longest wait in whole milliseconds.
    assert_eq!(array.state().waited_ms - before, (200 - u64::from(CHATTER_AFTER)) * 11);
}
