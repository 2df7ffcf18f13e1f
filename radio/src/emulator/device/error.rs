//! Why a chip cannot be put behind files of the kernel.

use std::io;
use std::path::PathBuf;

/// Why a device could not be made. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The kernel makes no devices for us.
    #[error("opening /dev/cuse: {0}; be root, and load the kernel's module (`modprobe cuse`)")]
    Cuse(#[source] io::Error),
    /// It said that it would.
    #[error("{path} is still not {expected} after {waited_s} s; is there another device of that name? (`dmesg`)")]
    Unchanged {
        /// The device.
        path: PathBuf,
        /// "there" or "gone".
        expected: &'static str,
        /// How long it was waited for.
        waited_s: u64,
    },
    /// The kernel makes no GPIO chips for us, or not this one.
    #[error(
        "making a GPIO chip by {path}: {source}; be root, load the module (`modprobe gpio-sim`), and mount configfs at /sys/kernel/config"
    )]
    GpioSim {
        /// What was made or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("starting a thread for {name}: {source}")]
    Thread {
        /// What for.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
}
