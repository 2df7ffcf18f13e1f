//! What holds for lines of a real kernel. They need root and its module gpio-sim, which makes GPIO chips out of nothing;
//! where both are: `modprobe gpio-sim; cargo test -p herdlinx-radio --features kernel-tests --lib board::lines`.

use super::*;
use crate::emulator::device::{DIO0_LINE as DIO0, GpioSim, RESET_LINE as RESET};

/// Those of a chip that was made up.
const LINES: u32 = 54;
/// An edge that was made is there at once; this is only what a broken test waits.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(20);

fn pins(chip: &GpioSim) -> Pins {
    let gpio_chip = chip.path().to_owned();
    Pins { spi: "/none".into(), spi_hz: 1, gpio_chip, reset_line: RESET, dio0_line: DIO0 }
}

fn edge(chip: &GpioSim) {
    chip.pull(DIO0, false).unwrap();
    chip.pull(DIO0, true).unwrap();
}

#[test]
fn the_chip_runs_from_the_start_and_reset_follows() {
    let chip = GpioSim::new().unwrap();
    let (mut reset, _dio0) = take(&pins(&chip)).unwrap();
    assert!(chip.is_high(RESET).unwrap());
    reset.set_low().unwrap();
    assert!(!chip.is_high(RESET).unwrap());
    reset.set_high().unwrap();
    assert!(chip.is_high(RESET).unwrap());
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
fn edges_between_two_waits_are_kept_and_are_one_news() {
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
fn a_line_that_is_held_is_told_with_its_holder_and_is_free_again_afterwards() {
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
fn a_line_that_the_chip_has_not_is_told_with_those_it_has() {
    let chip = GpioSim::new().unwrap();
    let error = take(&Pins { dio0_line: LINES, ..pins(&chip) }).unwrap_err();
    assert!(matches!(error, BoardError::NoLine { what: "DIO0", line: LINES, lines: LINES, .. }), "{error}");
}
