//! The law on transmitting, region by region.
//!
//! The rules apply to transmitters; anybody may listen to anything. So [`violations`] is called for a transmitter: with
//! transmitting on, a [`Violation`] rejects the settings; with it off, it is a note.
//!
//! # Decisions
//!
//! - **No default region.** No rule is right until the settings say where the barn is, so nothing is sent without a
//!   region. Listening needs none.
//! - **The stricter reading.** Where a law has two readings, the stricter one applies: sub-bands of Europe are
//!   separate, the duty cycle is the one without listen-before-talk, and weak transmitters get no exception. The
//!   settings cannot show that the other reading is kept, and a barn hardly transmits.
//!
//! # Scope
//!
//! The module covers what settings can break: band, bandwidth, power and duty cycle. The laws also have requirements
//! for the product (spurious emissions, certification, labels), which settings cannot meet. This module is not legal
//! advice.

mod emission;
mod europe;
mod north_america;

pub use emission::{DIPOLE_GAIN_DBI, Emission};

use super::Limit;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Power above which the chip itself needs pauses (SX1276 data sheet, section 5.4.3).
const CHIP_CONTINUOUS_DBM: i8 = 17;
/// Limit of the chip above that power. The data sheet says 1 % without a window; the laws measure duty cycles per hour.
const CHIP_LIMIT: Limit = Limit {
    allowed: Duration::from_secs(36),
    window: Duration::from_secs(3_600),
    law: "the SX1276 data sheet, section 5.4.3 (above +17 dBm at most 1 % of the time)",
};

/// Location of a transmitter, and its frequency band there.
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
    /// All regions.
    pub const ALL: [Self; 4] = [Self::Us902, Self::Ca902, Self::Eu868, Self::Eu433];

    /// Returns the name used in settings files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Us902 => "us902",
            Self::Ca902 => "ca902",
            Self::Eu868 => "eu868",
            Self::Eu433 => "eu433",
        }
    }
}

/// Kind of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The channel must be inside the band.
    Band,
    /// A fixed channel of this power must be wider, or the transmitter must hop.
    Width,
    /// A hopping transmitter must use enough channels.
    Hopping,
    /// The power is limited.
    Power,
    /// At least the shortest packet must fit into the allowed air time.
    AirTime,
}

/// A rule that a transmission violates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Kind of the rule.
    pub rule: Rule,
    /// Law and section.
    pub law: &'static str,
    /// The transmission's property that violates it.
    pub found: String,
    /// The property that the rule allows instead.
    pub allowed: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, found, allowed, .. } = self;
        write!(f, "{found} is not allowed by {law}; use {allowed}")
    }
}

/// Returns every rule of the region that a transmission violates. If there are none, it is lawful within the [limits]
/// of air time.
pub fn violations(region: Region, emission: &Emission) -> Vec<Violation> {
    let mut violations = match region {
        Region::Us902 => north_america::violations(&north_america::UNITED_STATES, emission),
        Region::Ca902 => north_america::violations(&north_america::CANADA, emission),
        Region::Eu868 => europe::violations(&europe::BANDS_868, emission),
        Region::Eu433 => europe::violations(&europe::BANDS_433, emission),
    };
    let shortest = emission.modulation.air_time(1);
    let exceeded = limits(region, emission).into_iter().filter(|limit| shortest > limit.allowed);
    violations.extend(exceeded.map(|limit| Violation {
        rule: Rule::AirTime,
        law: limit.law,
        found: format!("a packet of one byte that lasts {} ms", shortest.as_millis()),
        allowed: format!(
            "a faster modulation: at most {} ms of air time in {} s",
            limit.allowed.as_millis(),
            limit.window.as_secs()
        ),
    }));
    violations
}

/// Returns the limits of air time for a transmission, by the law of the region and by the chip. Without any, air time
/// is unlimited.
///
/// For a hopping transmitter they apply to each channel, so each channel needs a budget of its own.
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
