//! LoRa itself: what two radios must agree on, how long a packet holds the air, and what the law says of sending it.
//!
//! Nothing in here knows a bus or a board. Sources: SX1276 data sheet rev. 7, section 4.1.1; the laws stand in
//! [`region`].

mod budget;
mod modulation;
pub mod region;

pub use budget::{AirTimeBudget, AirTimeError, Limit, RemainingAirTime};
pub use modulation::{Bandwidth, CodingRate, Modulation, SpreadingFactor};
pub use region::{Emission, Region, Rule, Violation, limits, violations};
