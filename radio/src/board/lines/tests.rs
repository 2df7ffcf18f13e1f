//! Lines of a real kernel. These tests need root and the kernel module gpio-sim, which simulates GPIO chips:
//! `modprobe gpio-sim; cargo test -p herdlinx-radio --features kernel-tests --lib board::lines`.

use super::*;
use crate::emulator::device::{DIO0_LINE as DIO0, GpioSim, RESET_LINE as RESET};

/// Number of lines of a simulated chip.
const LINES: u32 = 54;
/// Wait for an edge that is already there. Only a broken test waits this long.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(20);

fn pins(chip: &GpioSim) -> Pins {
    let gpio_chip = chip.path().to_owned();
    Pins { spi: "/none".into(), spi_hz: 1, gpio_chip, reset_line: Some(RESET), dio0_line: Some(DIO0) }
}

fn edge(chip: &GpioSim) {
    chip.pull(DIO0, false).unwrap();
    chip.pull(DIO0, true).unwrap();
}

#[test]
fn reset_starts_high_and_follows_the_driver() {
    let chip = GpioSim::new().unwrap();
    let (mut reset, _dio0) = take(&pins(&chip)).unwrap();
    assert!(chip.is_high(RESET).unwrap());
    reset.set_low().unwrap();
    chip.pull(RESET, true).unwrap();
    assert!(!chip.is_high(RESET).unwrap(), "it is held against the pull-up");
    reset.set_high().unwrap();
    chip.pull(RESET, true).unwrap();
    assert!(chip.is_high(RESET).unwrap(), "the pull-up raises it");
}

/// Catches a RESET that is driven high against a module that pulls it low.
#[test]
fn a_released_reset_gives_way_to_a_pull_from_outside() {
    let chip = GpioSim::new().unwrap();
    let (mut reset, _dio0) = take(&pins(&chip)).unwrap();
    reset.set_high().unwrap();
    chip.pull(RESET, false).unwrap();
    assert!(!chip.is_high(RESET).unwrap());
}

#[test]
fn lines_that_are_not_wired_are_not_requested() {
    let chip = GpioSim::new().unwrap();
    let (_held, _) = take(&Pins { dio0_line: None, ..pins(&chip) }).unwrap();
    let (mut reset, mut dio0) = take(&Pins { reset_line: None, ..pins(&chip) }).unwrap();
    reset.set_low().unwrap();
    assert!(chip.is_high(RESET).unwrap() && dio0.is_wired());
    edge(&chip);
    assert_eq!(dio0.wait(LONG).unwrap(), Wake::Edge);
}

#[test]
fn a_rising_edge_wakes_and_a_falling_one_does_not() {
    let chip = GpioSim::new().unwrap();
    let (_reset, mut dio0) = take(&pins(&chip)).unwrap();
    assert_eq!(dio0.wait(SHORT).unwrap(), Wake::TimedOut);
    edge(&chip);
    assert_eq!(dio0.wait(LONG).unwrap(), Wake::Edge);
    chip.pull(DIO0, false).unwrap();
    assert_eq!(dio0.wait(SHORT).unwrap(), Wake::TimedOut);
}

#[test]
fn edges_between_two_waits_are_kept_and_wake_once() {
    let chip = GpioSim::new().unwrap();
    let (_reset, mut dio0) = take(&pins(&chip)).unwrap();
    for edges in [1, 5, 40] {
        for _ in 0..edges {
            edge(&chip);
        }
        assert_eq!(dio0.wait(Duration::ZERO).unwrap(), Wake::Edge, "{edges}");
        assert_eq!(dio0.wait(SHORT).unwrap(), Wake::TimedOut, "{edges}");
    }
}

#[test]
fn an_edge_ends_a_wait_that_has_begun() {
    let chip = GpioSim::new().unwrap();
    let (_reset, mut dio0) = take(&pins(&chip)).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dio0.wait(LONG).unwrap());
        edge(&chip);
        assert_eq!(waiting.join().unwrap(), Wake::Edge);
    });
}

#[test]
fn a_line_in_use_is_reported_with_its_holder_and_can_be_taken_once_free() {
    let chip = GpioSim::new().unwrap();
    let device = chip.path().display().to_string();
    let held = take(&pins(&chip)).unwrap();
    let error = take(&pins(&chip)).unwrap_err();
    assert!(
        matches!(&error, BoardError::LineTaken { what: "RESET", line: RESET, chip, holder } if *chip == device && holder == "`herdlinx`"),
        "{error}"
    );
    drop(held);
    take(&pins(&chip)).unwrap();
}

#[test]
fn a_missing_line_is_reported_with_the_number_of_lines() {
    let chip = GpioSim::new().unwrap();
    let error = take(&Pins { dio0_line: Some(LINES), ..pins(&chip) }).unwrap_err();
    assert!(matches!(error, BoardError::NoLine { what: "DIO0", line: LINES, lines: LINES, .. }), "{error}");
}
