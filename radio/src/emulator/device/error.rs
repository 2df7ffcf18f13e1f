//! Errors of emulated devices.

use std::io;
use std::path::PathBuf;

/// Reason why a device could not be created or removed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The kernel does not let this process create character devices.
    #[error("cannot open /dev/cuse: {0}; run as root, and load the kernel module (`modprobe cuse`)")]
    Cuse(#[source] io::Error),
    /// The kernel accepted the device, but its file did not appear or disappear in time.
    #[error("{path} is not {expected} after {waited_s} s; is there another device with this name? (see `dmesg`)")]
    Unchanged {
        /// Path of the device.
        path: PathBuf,
        /// "there" or "gone".
        expected: &'static str,
        /// Length of the wait in seconds.
        waited_s: u64,
    },
    /// The kernel does not let this process create or configure a GPIO chip.
    #[error(
        "cannot set up a GPIO chip through {path}: {source}; run as root, load the kernel module (`modprobe gpio-sim`), and mount configfs at /sys/kernel/config"
    )]
    GpioSim {
        /// Path that was created, read or written.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The system could not start a thread.
    #[error("cannot start a thread for {name}: {source}")]
    Thread {
        /// Purpose of the thread.
        name: &'static str,
        /// Error of the system.
        source: io::Error,
    },
}
