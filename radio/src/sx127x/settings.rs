//! Settings of the driver.

use crate::lora::Modulation;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Settings of one chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Modulation of the senders.
    pub modulation: Modulation,
    /// Transmit settings. If `None`, the radio only listens and refuses to transmit.
    pub transmit: Option<TransmitSettings>,
    /// Treatment of packets that were sent without a CRC.
    pub crc: CrcPolicy,
    /// True if an oscillator drives the module's crystal pin (data sheet, register 0x4B).
    pub tcxo: bool,
}

impl Settings {
    /// Returns the settings of a radio that only listens, on a module with a crystal, and requires a CRC.
    pub fn listening(modulation: Modulation) -> Self {
        Self { modulation, transmit: None, crc: CrcPolicy::default(), tcxo: false }
    }
}

/// Treatment of packets that were sent without a CRC. The header of a packet says whether it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrcPolicy {
    /// Such packets are counted and dropped: nothing shows if they are whole.
    #[default]
    Required,
    /// Such packets are counted and delivered. For readers whose CRC cannot be switched on.
    Optional,
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
