//! Our driver on emulated chips: defects of the upstream driver, failing chips and lines, endurance, transmitting.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue panics")]
#![expect(clippy::print_stdout, reason = "the output of a test shows seeds and findings")]

mod barn;
mod defects;
mod endurance;
mod faults;
mod frame_hooks;
mod interruptions;
mod leftovers;
mod missing_lines;
mod senders;
mod transmit;
mod upstream;
