//! The signal that a transmitter radiates.

use crate::lora::Modulation;

/// Gain of a half-wave dipole over an isotropic radiator: the difference between ERP and EIRP.
pub const DIPOLE_GAIN_DBI: f64 = 2.15;

/// The signal that a transmitter radiates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Emission {
    /// Modulation and channel.
    pub modulation: Modulation,
    /// Power at the module's antenna connector, in dBm.
    pub power_dbm: i8,
    /// Gain of antenna and cable together in the strongest direction.
    pub antenna_gain_dbi: f64,
    /// Number of channels that the transmitter hops over evenly; 1 is a fixed channel.
    pub hop_channels: u16,
}

impl Emission {
    /// Returns the power radiated in the strongest direction, relative to an isotropic radiator.
    pub fn eirp_dbm(&self) -> f64 {
        round_to_hundredths(f64::from(self.power_dbm) + self.antenna_gain_dbi)
    }

    /// Returns the power radiated in the strongest direction, relative to a half-wave dipole.
    pub fn erp_dbm(&self) -> f64 {
        round_to_hundredths(self.eirp_dbm() - DIPOLE_GAIN_DBI)
    }

    /// Returns true if the whole channel lies within the band.
    pub(super) fn lies_within(&self, lowest_hz: u32, highest_hz: u32) -> bool {
        let (center, width) = (u64::from(self.modulation.frequency_hz), u64::from(self.modulation.bandwidth.hz()));
        2 * center >= 2 * u64::from(lowest_hz) + width && 2 * center + width <= 2 * u64::from(highest_hz)
    }

    /// Describes the channel for people, without an article.
    pub(super) fn channel(&self) -> String {
        let Modulation { frequency_hz, bandwidth, .. } = self.modulation;
        format!("channel of {} kHz at {} MHz", f64::from(bandwidth.hz()) / 1e3, f64::from(frequency_hz) / 1e6)
    }
}

/// Removes binary rounding errors from sums of decimal fractions: 14 + 2.15 - 2.15 is 14.
fn round_to_hundredths(db: f64) -> f64 {
    (db * 100.0).round() / 100.0
}
