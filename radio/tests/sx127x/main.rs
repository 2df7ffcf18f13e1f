//! Our driver on emulated chips: what the named driver gets wrong, faults, endurance, transmitting.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(clippy::print_stdout, reason = "a seed, or what was found, is there for who reads the output of a test")]

mod barn;
mod defects;
mod endurance;
mod faults;
mod frame_hooks;
mod interruptions;
mod transmit;
mod upstream;
