//! An emulated chip behind the kernel's device files, where programs look for a real one.
//!
//! [`Spidev`] is a `/dev/spidevB.S` that this process serves through the kernel's CUSE. [`Wires`] connect RESET and DIO0
//! to lines of a GPIO chip that the kernel module gpio-sim creates. A program that opens these files goes through the
//! same layers as in a barn: system calls, the GPIO character device and its edges. Not covered are the SPI controller
//! and its chip select, memory-mapped registers, and the copper.
//!
//! Needs root, the kernel modules `cuse` and `gpio-sim`, and configfs at `/sys/kernel/config`. The chip's air must run in
//! [real time](super::Pace::RealTime), because nothing here can make it wait for a program behind the kernel.

mod cuse;
mod error;
mod gpio_sim;
mod spidev;
mod wires;

pub use self::error::DeviceError;
pub use self::gpio_sim::GpioSim;
pub use self::spidev::Spidev;
pub use self::wires::{DIO0_LINE, Dio0Wire, RESET_LINE, Wires};
