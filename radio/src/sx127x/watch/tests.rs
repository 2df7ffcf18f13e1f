//! Verdicts on DIO0, the polling interval and the schedule of health checks.

use super::*;
use crate::lora::{Bandwidth, SpreadingFactor};
use crate::sx127x::Settings;
use crate::sx127x::setup::SharedWiring;
use crate::sx127x::tests::array_chip::ArrayChip;

fn watch() -> Watch {
    Watch::new(&Modulation::default())
}

/// Catches a polling interval that lets a packet be overwritten unseen.
#[test]
fn two_packets_cannot_end_within_one_wait_at_any_setting() {
    for (spreading_factor, bandwidth) in all_settings() {
        let ours = Modulation { spreading_factor, bandwidth, ..Modulation::default() };
        // The shortest packet that any sender can send.
        let theirs = Modulation { coding_rate: CodingRate::FourFifths, preamble_symbols: 6, ..ours };
        assert!(polling_interval(&ours) * 2 <= theirs.air_time(1), "{spreading_factor:?} {bandwidth:?}");
        assert!(polling_interval(&ours) <= MAX_WAIT);
        assert!(polling_interval(&ours) >= Duration::from_millis(1));
    }
}

fn all_settings() -> impl Iterator<Item = (SpreadingFactor, Bandwidth)> {
    SpreadingFactor::ALL.into_iter().flat_map(|factor| Bandwidth::ALL.map(|bandwidth| (factor, bandwidth)))
}

#[test]
fn a_packet_without_an_edge_is_a_rescue() {
    let mut watch = watch();
    assert_eq!(watch.record(Wake::TimedOut, 0), LineVerdict::Normal);
    assert_eq!(watch.record(Wake::Edge, 1), LineVerdict::Normal);
    assert_eq!(watch.record(Wake::TimedOut, 1), LineVerdict::Rescue);
}

/// Catches a log that fills with the same warning while a wire is cut.
#[test]
fn a_silent_line_is_reported_once() {
    let mut watch = watch();
    let verdicts: Vec<LineVerdict> = (0..SILENT_AFTER + 5).map(|_| watch.record(Wake::TimedOut, 1)).collect();
    assert_eq!(verdicts.iter().filter(|verdict| matches!(verdict, LineVerdict::Silent(_))).count(), 1);
    // After an edge with a packet, the line can fall silent again.
    watch.record(Wake::Edge, 1);
    let again = (0..SILENT_AFTER).map(|_| watch.record(Wake::TimedOut, 1)).last().unwrap();
    assert_eq!(again, LineVerdict::Silent(SILENT_AFTER));
}

#[test]
fn a_chattering_line_is_ignored_until_it_is_quiet() {
    let mut watch = watch();
    let verdicts: Vec<LineVerdict> = (0..CHATTER_AFTER + 5).map(|_| watch.record(Wake::Edge, 0)).collect();
    assert_eq!(verdicts.iter().filter(|verdict| matches!(verdict, LineVerdict::Chattering(_))).count(), 1);
    assert!(watch.ignores_line());
    watch.record(Wake::TimedOut, 0);
    assert!(!watch.ignores_line());
}

#[test]
fn a_check_is_due_after_enough_looks_and_then_not_again() {
    let mut watch = watch();
    assert!(!watch.take_check_due());
    for _ in 0..CHECK_AFTER_LOOKS {
        watch.record(Wake::Edge, 1);
    }
    assert!(watch.take_check_due());
    assert!(!watch.take_check_due());
    watch.since_check += CHECK_AFTER;
    assert!(watch.take_check_due());
}

/// Catches a thread that spins on a line that chatters.
#[test]
fn a_chattering_line_does_not_keep_the_thread_busy() {
    let array = ArrayChip::default();
    let wiring = SharedWiring::from(array.clone().connect().unwrap());
    let settings = Settings::listening(Modulation::default());
    let mut chip = Chip::set_up(wiring, &settings).ok().unwrap();
    let mut watch = watch();
    array.state().wakes = vec![Wake::Edge; 200];
    let before = array.state().waited_ms;
    for _ in 0..200 {
        let wake = chip.wait(&mut watch).unwrap();
        watch.record(wake, 0);
    }
    // All waits but the first ones were timed: 11 ms each, the longest wait in whole milliseconds.
    assert_eq!(array.state().waited_ms - before, (200 - u64::from(CHATTER_AFTER)) * 11);
}
