//! Settings of the driver.

use crate::lora::Modulation;
use std::ops::RangeInclusive;

/// Settings of one chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Modulation of the senders.
    pub modulation: Modulation,
    /// Transmit settings. If `None`, the radio only listens and refuses to transmit.
    pub transmit: Option<TransmitSettings>,
}

/// Permission to transmit, and the power. The driver does not check the law; [`crate::lora::violations`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransmitSettings {
    /// Power at the module's antenna pin, in dBm: 2..=17, or 20 (data sheet, sections 5.4.2 and 5.4.3).
    pub power_dbm: u8,
}

impl TransmitSettings {
    /// Power range of the boosted output without its high-power mode, in dBm.
    pub const CONTINUOUS_DBM: RangeInclusive<u8> = 2..=17;
    /// Power of the high-power mode, in dBm; allowed for at most 1 % of the time (data sheet, section 5.4.3).
    pub const HIGH_DBM: u8 = 20;

    /// Returns true if the chip supports this power.
    pub fn is_supported(&self) -> bool {
        Self::CONTINUOUS_DBM.contains(&self.power_dbm) || self.power_dbm == Self::HIGH_DBM
    }
}
