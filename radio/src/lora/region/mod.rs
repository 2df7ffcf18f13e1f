//! What the law says of a transmission, region by region.
//!
//! The rules bind whoever transmits; who only listens may listen to anything. So [`violations`] is asked about a
//! transmitter: with it on, a [`Violation`] refuses the settings, with it off it is a note. No region is the default,
//! as none is right for somebody who has not said where the barn stands.
//!
//! These are the parts of the rules that settings can break: band, width, power, duty. What they also ask of a
//! product (spurious emissions, certification, labels) is not settings' to keep, and this module is no legal advice.

mod europe;
mod north_america;

use super::{Limit, Modulation};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Gain of a half-wave dipole over a radiator that sends evenly to all sides: what lies between ERP and EIRP.
pub const DIPOLE_GAIN_DBI: f64 = 2.15;
/// Beyond this power the chip itself must rest (SX1276 data sheet, section 5.4.3).
const CHIP_CONTINUOUS_DBM: i8 = 17;
/// The sheet names 1 % and no window; an hour is what the laws of duty count in.
const CHIP_LIMIT: Limit = Limit {
    allowed: Duration::from_secs(36),
    window: Duration::from_secs(3_600),
    law: "the SX1276 data sheet, section 5.4.3 (above +17 dBm at most 1 % of the time)",
};

/// Where a transmitter stands, and on which of the bands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// United States, 902 to 928 MHz: 47 CFR 15.247 and 15.249.
    Us902,
    /// Canada, 902 to 928 MHz: RSS-247 and RSS-210.
    Ca902,
    /// Europe, 863 to 870 MHz: EN 300 220-2.
    Eu868,
    /// Europe, 433.05 to 434.79 MHz: ERC/REC 70-03, annex 1.
    Eu433,
}

impl Region {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Us902, Self::Ca902, Self::Eu868, Self::Eu433];

    /// As it stands in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Us902 => "us902",
            Self::Ca902 => "ca902",
            Self::Eu868 => "eu868",
            Self::Eu433 => "eu433",
        }
    }
}

/// What a transmitter sends out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Emission {
    /// How it is modulated, and where.
    pub modulation: Modulation,
    /// What the module puts into its antenna connector.
    pub power_dbm: i8,
    /// What antenna and cable together add in the best direction.
    pub antenna_gain_dbi: f64,
    /// Channels that the transmitter hops over evenly; 1 is a fixed channel.
    pub hop_channels: u16,
}

impl Emission {
    /// Power radiated in the best direction, over an even radiator.
    pub fn eirp_dbm(&self) -> f64 {
        hundredths(f64::from(self.power_dbm) + self.antenna_gain_dbi)
    }

    /// Power radiated in the best direction, over a half-wave dipole.
    pub fn erp_dbm(&self) -> f64 {
        hundredths(self.eirp_dbm() - DIPOLE_GAIN_DBI)
    }

    /// Whether the whole channel lies within the band.
    fn lies_within(&self, lowest_hz: u32, highest_hz: u32) -> bool {
        let (middle, width) = (u64::from(self.modulation.frequency_hz), u64::from(self.modulation.bandwidth.hz()));
        2 * middle >= 2 * u64::from(lowest_hz) + width && 2 * middle + width <= 2 * u64::from(highest_hz)
    }

    /// The channel as a person reads it.
    fn channel(&self) -> String {
        let Modulation { frequency_hz, bandwidth, .. } = self.modulation;
        format!("a channel of {} kHz at {} MHz", f64::from(bandwidth.hz()) / 1e3, f64::from(frequency_hz) / 1e6)
    }
}

/// Sums of decimal fractions, without the dust of binary ones: 14 + 2.15 - 2.15 is 14.
fn hundredths(db: f64) -> f64 {
    (db * 100.0).round() / 100.0
}

/// Which kind of rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The channel does not lie where it may.
    Band,
    /// A fixed channel of this power must be wider, or must not be fixed.
    Width,
    /// It hops, over too few channels.
    Hopping,
    /// Too strong.
    Power,
    /// Not even the shortest packet fits into the air time that is allowed.
    AirTime,
}

/// A rule that a transmission breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} breaks {law}: allowed is {allowed}")]
pub struct Violation {
    /// Which kind of rule.
    pub rule: Rule,
    /// Law and section.
    pub law: &'static str,
    /// What was found.
    pub found: String,
    /// What the rule allows.
    pub allowed: String,
}

/// Every rule of the region that the transmission breaks; none is lawful, within the [limits] of air time.
pub fn violations(region: Region, emission: &Emission) -> Vec<Violation> {
    let mut breaches = match region {
        Region::Us902 => north_america::violations(&north_america::UNITED_STATES, emission),
        Region::Ca902 => north_america::violations(&north_america::CANADA, emission),
        Region::Eu868 => europe::violations(&europe::BANDS_868, emission),
        Region::Eu433 => europe::violations(&europe::BANDS_433, emission),
    };
    let shortest = emission.modulation.air_time(1);
    let too_short = limits(region, emission).into_iter().filter(|limit| shortest > limit.allowed);
    breaches.extend(too_short.map(|limit| Violation {
        rule: Rule::AirTime,
        law: limit.law,
        found: format!("a packet of one byte that lasts {} ms", shortest.as_millis()),
        allowed: format!("{} ms of air time in {} s", limit.allowed.as_millis(), limit.window.as_secs()),
    }));
    breaches
}

/// How long this transmission may be on the air, in which windows; law of the region and rest of the chip. For one
/// that hops they hold on each channel, so that each needs a budget of its own. Empty is: as long as it likes.
pub fn limits(region: Region, emission: &Emission) -> Vec<Limit> {
    let law = match region {
        Region::Us902 => north_america::limit(&north_america::UNITED_STATES, emission),
        Region::Ca902 => north_america::limit(&north_america::CANADA, emission),
        Region::Eu868 => europe::limit(&europe::BANDS_868, emission),
        Region::Eu433 => europe::limit(&europe::BANDS_433, emission),
    };
    let chip = (emission.power_dbm > CHIP_CONTINUOUS_DBM).then_some(CHIP_LIMIT);
    law.into_iter().chain(chip).collect()
}

#[cfg(test)]
mod tests;
