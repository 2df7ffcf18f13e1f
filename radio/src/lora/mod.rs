//! LoRa itself: modulation, time on air, and the law on transmitting.
//!
//! Nothing here depends on a bus or a board. Sources: SX1276 data sheet rev. 7, section 4.1.1; the laws are listed in
//! [`region`].

mod budget;
mod modulation;
pub mod region;

pub use budget::{AirTimeBudget, AirTimeError, Limit, RemainingAirTime};
pub use modulation::{Bandwidth, CodingRate, LowDataRateOptimize, Modulation, SpreadingFactor};
pub use region::{Emission, Region, Rule, Violation, limits, violations};
