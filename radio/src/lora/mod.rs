//! LoRa itself: what two radios must agree on, and how long a packet holds the air.
//!
//! Nothing in here knows a chip. Sources: SX1276 data sheet rev. 7, section 4.1.1.

mod modulation;

pub use modulation::{Bandwidth, CodingRate, Modulation, SpreadingFactor};
