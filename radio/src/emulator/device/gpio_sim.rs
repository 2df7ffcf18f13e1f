//! A GPIO chip from the kernel module gpio-sim, which is configured through files
//! (Documentation/admin-guide/gpio/gpio-sim.rst).

use super::error::DeviceError;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::{fs, io};

const CONFIG: &str = "/sys/kernel/config/gpio-sim";
/// Number of lines, as on a Raspberry Pi.
const LINES: u32 = 54;

/// A simulated GPIO chip. It is removed after it was dropped and all its lines were released.
#[derive(Debug)]
pub struct GpioSim {
    config: PathBuf,
    /// Directory of the files through which lines are pulled and observed from outside.
    outside: PathBuf,
    path: PathBuf,
}

impl GpioSim {
    /// Creates a chip of 54 lines, all of them low.
    pub fn new() -> Result<Self, DeviceError> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let name = format!("herdlinx-{}-{}", std::process::id(), CREATED.fetch_add(1, SeqCst));
        let config = Path::new(CONFIG).join(name);
        let bank = config.join("bank0");
        create(&config)?;
        // From here on, dropping `chip` removes the directories if a later step fails.
        let mut chip = Self { config: config.clone(), outside: PathBuf::new(), path: PathBuf::new() };
        create(&bank)?;
        write(&bank.join("num_lines"), &LINES.to_string())?;
        write(&config.join("live"), "1")?;
        let (device_name, chip_name) = (read(&config.join("dev_name"))?, read(&bank.join("chip_name"))?);
        chip.outside = Path::new("/sys/devices/platform").join(device_name).join(&chip_name);
        chip.path = Path::new("/dev").join(chip_name);
        Ok(chip)
    }

    /// Returns the path of the chip's device file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Pulls a line from outside, which sets what an input of the chip reads. An output that becomes an input keeps its level
    /// until it is pulled anew: gpio-sim does not apply the former pull to it.
    pub fn pull(&self, line: u32, up: bool) -> Result<(), DeviceError> {
        let path = self.outside.join(format!("sim_gpio{line}/pull"));
        write(&path, if up { "pull-up" } else { "pull-down" })
    }

    /// Returns `true` if a line is high, because the chip drives it so or because it was pulled.
    pub fn is_high(&self, line: u32) -> Result<bool, DeviceError> {
        Ok(read(&self.outside.join(format!("sim_gpio{line}/value")))? == "1")
    }
}

impl Drop for GpioSim {
    fn drop(&mut self) {
        let _ = fs::write(self.config.join("live"), "0");
        let _ = fs::remove_dir(self.config.join("bank0"));
        let _ = fs::remove_dir(&self.config);
    }
}

fn create(path: &Path) -> Result<(), DeviceError> {
    fs::create_dir(path).map_err(at(path))
}

fn write(path: &Path, text: &str) -> Result<(), DeviceError> {
    fs::write(path, text).map_err(at(path))
}

fn read(path: &Path) -> Result<String, DeviceError> {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> DeviceError {
    move |source| DeviceError::GpioSim { path: path.to_owned(), source }
}
