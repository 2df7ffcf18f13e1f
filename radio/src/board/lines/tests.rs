//! What holds for lines of a real kernel. They need root and its module gpio-sim, which makes GPIO chips out of nothing;
//! where both are: `modprobe gpio-sim; cargo test -p herdlinx-radio --features kernel-tests --lib board::lines`.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

const SIMULATED: &str = "/sys/kernel/config/gpio-sim";
const RESET: u32 = 25;
const DIO0: u32 = 22;
const LINES: u32 = 54;
/// An edge that was made is there at once; this is only what a broken test waits.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(20);

/// A GPIO chip of the kernel, made for one test.
struct SimulatedChip {
    config: PathBuf,
    /// The file of each line, by which it is pulled and looked at from outside.
    outside: PathBuf,
    device: PathBuf,
}

impl SimulatedChip {
    fn new(name: &str) -> Self {
        let config = Path::new(SIMULATED).join(format!("herdlinx-{name}-{}", std::process::id()));
        let bank = config.join("bank0");
        fs::create_dir(&config).expect("gpio-sim is loaded and configfs is mounted");
        fs::create_dir(&bank).unwrap();
        fs::write(bank.join("num_lines"), LINES.to_string()).unwrap();
        fs::write(config.join("live"), "1").unwrap();
        let read = |file: PathBuf| fs::read_to_string(file).unwrap().trim().to_owned();
        let (device, chip) = (read(config.join("dev_name")), read(bank.join("chip_name")));
        let outside = Path::new("/sys/devices/platform").join(device).join(&chip);
        Self { config, outside, device: Path::new("/dev").join(chip) }
    }

    fn pins(&self) -> Pins {
        let gpio_chip = self.device.clone();
        Pins { spi: "/none".into(), spi_hz: 1, gpio_chip, reset_line: RESET, dio0_line: DIO0 }
    }

    fn pull(&self, line: u32, to: &str) {
        fs::write(self.outside.join(format!("sim_gpio{line}/pull")), to).unwrap();
    }

    fn edge(&self) {
        self.pull(DIO0, "pull-down");
        self.pull(DIO0, "pull-up");
    }

    fn level(&self, line: u32) -> String {
        fs::read_to_string(self.outside.join(format!("sim_gpio{line}/value"))).unwrap().trim().to_owned()
    }
}

impl Drop for SimulatedChip {
    fn drop(&mut self) {
        let _ = fs::write(self.config.join("live"), "0");
        let _ = fs::remove_dir(self.config.join("bank0"));
        let _ = fs::remove_dir(&self.config);
    }
}

#[test]
fn the_chip_runs_from_the_start_and_reset_follows() {
    let chip = SimulatedChip::new("reset");
    let (mut reset, _dio0) = take(&chip.pins()).unwrap();
    assert_eq!(chip.level(RESET), "1");
    reset.set_low().unwrap();
    assert_eq!(chip.level(RESET), "0");
    reset.set_high().unwrap();
    assert_eq!(chip.level(RESET), "1");
}

#[test]
fn a_rising_edge_wakes_and_a_falling_one_does_not() {
    let chip = SimulatedChip::new("edges");
    let (_reset, mut dio0) = take(&chip.pins()).unwrap();
    assert_eq!(dio0.wait(SHORT).unwrap(), Wake::TimedOut);
    chip.edge();
    assert_eq!(dio0.wait(LONG).unwrap(), Wake::Edge);
    chip.pull(DIO0, "pull-down");
    assert_eq!(dio0.wait(SHORT).unwrap(), Wake::TimedOut);
}

#[test]
fn edges_between_two_waits_are_kept_and_are_one_news() {
    let chip = SimulatedChip::new("between");
    let (_reset, mut dio0) = take(&chip.pins()).unwrap();
    for edges in [1, 5, 40] {
        for _ in 0..edges {
            chip.edge();
        }
        assert_eq!(dio0.wait(Duration::ZERO).unwrap(), Wake::Edge, "{edges}");
        assert_eq!(dio0.wait(SHORT).unwrap(), Wake::TimedOut, "{edges}");
    }
}

#[test]
fn an_edge_ends_a_wait_that_has_begun() {
    let chip = SimulatedChip::new("waiting");
    let (_reset, mut dio0) = take(&chip.pins()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dio0.wait(LONG).unwrap());
        chip.edge();
        assert_eq!(waiting.join().unwrap(), Wake::Edge);
    });
}

#[test]
fn a_line_that_is_held_is_told_with_its_holder_and_is_free_again_afterwards() {
    let chip = SimulatedChip::new("taken");
    let device = chip.device.display().to_string();
    let held = take(&chip.pins()).unwrap();
    let error = take(&chip.pins()).unwrap_err();
    assert!(
        matches!(&error, BoardError::LineTaken { what: "RESET", line: RESET, chip, holder } if *chip == device && holder == "`herdlinx`"),
        "{error}"
    );
    drop(held);
    take(&chip.pins()).unwrap();
}

#[test]
fn a_line_that_the_chip_has_not_is_told_with_those_it_has() {
    let chip = SimulatedChip::new("beyond");
    let error = take(&Pins { dio0_line: LINES, ..chip.pins() }).unwrap_err();
    assert!(matches!(error, BoardError::NoLine { what: "DIO0", line: LINES, lines: LINES, .. }), "{error}");
}
