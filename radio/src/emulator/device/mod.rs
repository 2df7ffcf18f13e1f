//! An emulated chip behind files of the kernel, where programs look for a real one.
//!
//! [`Spidev`] is a `/dev/spidevB.S` that this process answers for, through the kernel's CUSE; [`Wires`] are RESET and
//! DIO0, on lines of a GPIO chip that the kernel's gpio-sim makes up. Between the chip and a program that opens these
//! files lies what lies there in a barn: system calls, the GPIO character device and its edges. What stays untried: the
//! SPI controller and its chip select, mapped registers, and copper.
//!
//! Needs root, the modules `cuse` and `gpio-sim`, and configfs at `/sys/kernel/config`. The air of the chip must keep
//! [real time](super::Pace::RealTime): nobody here can make it wait for a program in the kernel.

mod cuse;
mod error;
mod gpio_sim;
mod spidev;
mod wires;

pub use self::error::DeviceError;
pub use self::gpio_sim::GpioSim;
pub use self::spidev::Spidev;
pub use self::wires::{DIO0_LINE, Dio0Wire, RESET_LINE, Wires};
