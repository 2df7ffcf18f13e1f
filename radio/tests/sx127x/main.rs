//! The driver of the SX127x on emulated chips: what the named driver gets wrong, faults, endurance, transmitting.

mod bare;
mod barn;
mod defects;
mod endurance;
mod faults;
mod transmit;
