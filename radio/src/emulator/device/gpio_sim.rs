//! A GPIO chip of the kernel that nobody has soldered: its module gpio-sim, told by files what to be
//! (Documentation/admin-guide/gpio/gpio-sim.rst).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::{fs, io};

use super::DeviceError;

const CONFIG: &str = "/sys/kernel/config/gpio-sim";
/// As many as a Raspberry Pi has.
const LINES: u32 = 54;

/// A GPIO chip made up. It is taken away when this is dropped and nobody holds its lines any more.
#[derive(Debug)]
pub struct GpioSim {
    config: PathBuf,
    /// The files of the lines, by which they are pulled and looked at from outside.
    outside: PathBuf,
    path: PathBuf,
}

impl GpioSim {
    /// Makes a chip of 54 lines, all of them low.
    pub fn new() -> Result<Self, DeviceError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("herdlinx-{}-{}", std::process::id(), MADE.fetch_add(1, SeqCst));
        let config = Path::new(CONFIG).join(name);
        let bank = config.join("bank0");
        make(&config)?;
        // From here on what was made is taken away again, whatever fails.
        let mut made = Self { config: config.clone(), outside: PathBuf::new(), path: PathBuf::new() };
        make(&bank)?;
        write(&bank.join("num_lines"), &LINES.to_string())?;
        write(&config.join("live"), "1")?;
        let (device, chip) = (read(&config.join("dev_name"))?, read(&bank.join("chip_name"))?);
        made.outside = Path::new("/sys/devices/platform").join(device).join(&chip);
        made.path = Path::new("/dev").join(chip);
        Ok(made)
    }

    /// The chip's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Pulls a line from outside: what an input of the chip then reads.
    pub fn pull(&self, line: u32, up: bool) -> Result<(), DeviceError> {
        let path = self.outside.join(format!("sim_gpio{line}/pull"));
        write(&path, if up { "pull-up" } else { "pull-down" })
    }

    /// Whether a line is high: as the chip drives it, or as it was pulled.
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

fn make(path: &Path) -> Result<(), DeviceError> {
    fs::create_dir(path).map_err(of(path))
}

fn write(path: &Path, text: &str) -> Result<(), DeviceError> {
    fs::write(path, text).map_err(of(path))
}

fn read(path: &Path) -> Result<String, DeviceError> {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(of(path))
}

fn of(path: &Path) -> impl Fn(io::Error) -> DeviceError {
    move |source| DeviceError::GpioSim { path: path.to_owned(), source }
}
