//! RESET and DIO0 between a chip of the kernel's gpio-sim and an emulated SX127x.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use embedded_hal_02::digital::v2::OutputPin;
use radio::board::{EdgeLine, Wake};
use radio::emulator::Chip;

pub(crate) const RESET: u32 = 25;
pub(crate) const DIO0: u32 = 22;
const SIMULATED: &str = "/sys/kernel/config/gpio-sim";
const LINES: u32 = 54;
const LOOK: Duration = Duration::from_millis(1);
const WAIT: Duration = Duration::from_millis(1);

/// The wires, followed by two threads until they are dropped.
pub(crate) struct Wires {
    config: PathBuf,
    gpio_chip: PathBuf,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    resets: AtomicU32,
    edges: AtomicU32,
}

impl Wires {
    pub(crate) fn new(chip: &Chip) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("herdlinx-wires-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let config = Path::new(SIMULATED).join(name);
        let bank = config.join("bank0");
        fs::create_dir(&config).expect("gpio-sim is loaded and configfs is mounted");
        fs::create_dir(&bank).unwrap();
        fs::write(bank.join("num_lines"), LINES.to_string()).unwrap();
        fs::write(config.join("live"), "1").unwrap();
        let read = |file: PathBuf| fs::read_to_string(file).unwrap().trim().to_owned();
        let (device, gpio) = (read(config.join("dev_name")), read(bank.join("chip_name")));
        let outside = Path::new("/sys/devices/platform").join(device).join(&gpio);
        let counts = Arc::new(Counts::default());
        let threads = vec![
            follow_reset(chip.clone(), outside.join(format!("sim_gpio{RESET}/value")), Arc::clone(&counts)),
            follow_dio0(chip.clone(), outside.join(format!("sim_gpio{DIO0}/pull")), Arc::clone(&counts)),
        ];
        Self { config, gpio_chip: Path::new("/dev").join(gpio), counts, threads }
    }

    pub(crate) fn gpio_chip(&self) -> PathBuf {
        self.gpio_chip.clone()
    }

    pub(crate) fn resets(&self) -> u32 {
        self.counts.resets.load(SeqCst)
    }

    pub(crate) fn edges(&self) -> u32 {
        self.counts.edges.load(SeqCst)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.counts.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        let _ = fs::write(self.config.join("live"), "0");
        let _ = fs::remove_dir(self.config.join("bank0"));
        let _ = fs::remove_dir(&self.config);
    }
}

fn follow_reset(chip: Chip, value: PathBuf, counts: Arc<Counts>) -> JoinHandle<()> {
    thread::spawn(move || {
        let (mut reset, mut was_low) = (chip.reset(), false);
        while !counts.stop.load(SeqCst) {
            // Nobody drives it before the board is connected.
            let is_low = fs::read_to_string(&value).is_ok_and(|level| level.trim() == "0");
            if is_low && !was_low {
                reset.set_low().unwrap();
            } else if !is_low && was_low {
                reset.set_high().unwrap();
                counts.resets.fetch_add(1, SeqCst);
            }
            was_low = is_low;
            thread::sleep(LOOK);
        }
    })
}

/// Also what lets time pass on the air while the driver waits in the kernel.
fn follow_dio0(chip: Chip, pull: PathBuf, counts: Arc<Counts>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut dio0 = chip.dio0();
        while !counts.stop.load(SeqCst) {
            if dio0.wait(WAIT).unwrap() == Wake::TimedOut {
                continue;
            }
            fs::write(&pull, "pull-up").unwrap();
            counts.edges.fetch_add(1, SeqCst);
            while chip.dio0_is_high() && !counts.stop.load(SeqCst) {
                thread::sleep(LOOK);
            }
            fs::write(&pull, "pull-down").unwrap();
        }
    })
}
