//! Modulation parameters, and the time on air that follows from them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Spreading factor: the chips in a symbol, as a power of two (SX1276 data sheet, table 13).
///
/// SF6 is missing: it has only implicit headers, and a barn does not know the length of the next packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpreadingFactor(u8);

impl SpreadingFactor {
    /// The fastest factor with explicit headers.
    pub const SF7: Self = Self(7);
    /// The factor with the longest range.
    pub const SF12: Self = Self(12);
    /// All factors, fastest first.
    pub const ALL: [Self; 6] = [Self(7), Self(8), Self(9), Self(10), Self(11), Self(12)];

    /// Returns `None` unless the factor is in 7..=12.
    pub fn new(factor: u8) -> Option<Self> {
        (7..=12).contains(&factor).then_some(Self(factor))
    }

    /// Returns the factor, 7..=12.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns the number of chips in a symbol: two to the power of the factor.
    pub fn chips(self) -> u32 {
        1 << self.0
    }
}

/// Bandwidth of the channel (SX1276 data sheet, register 0x1D, bits 7 to 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the values in kHz, with an underscore for the decimal point")]
pub enum Bandwidth {
    Khz7_8,
    Khz10_4,
    Khz15_6,
    Khz20_8,
    Khz31_25,
    Khz41_7,
    Khz62_5,
    Khz125,
    Khz250,
    Khz500,
}

impl Bandwidth {
    /// All bandwidths, narrowest first. The index of each is its number in register 0x1D.
    pub const ALL: [Self; 10] = [
        Self::Khz7_8,
        Self::Khz10_4,
        Self::Khz15_6,
        Self::Khz20_8,
        Self::Khz31_25,
        Self::Khz41_7,
        Self::Khz62_5,
        Self::Khz125,
        Self::Khz250,
        Self::Khz500,
    ];

    /// Returns the bandwidth in Hz, rounded as in the data sheet.
    pub fn hz(self) -> u32 {
        match self {
            Self::Khz7_8 => 7_800,
            Self::Khz10_4 => 10_400,
            Self::Khz15_6 => 15_600,
            Self::Khz20_8 => 20_800,
            Self::Khz31_25 => 31_250,
            Self::Khz41_7 => 41_700,
            Self::Khz62_5 => 62_500,
            Self::Khz125 => 125_000,
            Self::Khz250 => 250_000,
            Self::Khz500 => 500_000,
        }
    }

    /// Returns the bandwidth with this value in Hz, or `None` if there is none.
    pub fn from_hz(hz: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|bandwidth| bandwidth.hz() == hz)
    }
}

/// Coding rate: the number of coded bits for four data bits (SX1276 data sheet, table 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the values")]
pub enum CodingRate {
    FourFifths,
    FourSixths,
    FourSevenths,
    FourEighths,
}

impl CodingRate {
    /// All rates, shortest first.
    pub const ALL: [Self; 4] = [Self::FourFifths, Self::FourSixths, Self::FourSevenths, Self::FourEighths];

    /// Returns the denominator, 5..=8.
    pub fn denominator(self) -> u8 {
        match self {
            Self::FourFifths => 5,
            Self::FourSixths => 6,
            Self::FourSevenths => 7,
            Self::FourEighths => 8,
        }
    }

    /// Returns the rate with this denominator, or `None` unless it is in 5..=8.
    pub fn from_denominator(denominator: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rate| rate.denominator() == denominator)
    }
}

/// LowDataRateOptimize, which changes how bits are spread over symbols (data sheet, section 4.1.1.6).
///
/// The data sheet requires it for symbols of 16 ms or more. Some senders never switch it on, others always do, and a
/// receiver with another setting finds a wrong CRC in every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LowDataRateOptimize {
    /// On if the data sheet requires it.
    #[default]
    Auto,
    /// Always on.
    On,
    /// Always off.
    Off,
}

/// The parameters that sender and receiver must share. Headers are explicit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Modulation {
    /// Center of the channel, in Hz.
    pub frequency_hz: u32,
    /// Spreading factor.
    pub spreading_factor: SpreadingFactor,
    /// Bandwidth of the channel.
    pub bandwidth: Bandwidth,
    /// Coding rate of sent packets. The header of a packet names its rate, so a receiver accepts any.
    pub coding_rate: CodingRate,
    /// Sync word: 0x12 is usual for private networks, 0x34 is LoRaWAN.
    pub sync_word: u8,
    /// Preamble symbols, 6..=65535, without the 4.25 that the modem adds.
    pub preamble_symbols: u16,
    /// LowDataRateOptimize of the senders.
    pub low_data_rate_optimize: LowDataRateOptimize,
    /// True if the senders exchange I and Q, as LoRaWAN gateways do.
    pub invert_iq: bool,
}

impl Default for Modulation {
    /// Returns the factory settings of modules in the field: 915 MHz, SF7, 125 kHz, 4/5, 0x12, 8 symbols.
    fn default() -> Self {
        Self {
            frequency_hz: 915_000_000,
            spreading_factor: SpreadingFactor::SF7,
            bandwidth: Bandwidth::Khz125,
            coding_rate: CodingRate::FourFifths,
            sync_word: 0x12,
            preamble_symbols: 8,
            low_data_rate_optimize: LowDataRateOptimize::Auto,
            invert_iq: false,
        }
    }
}

impl Modulation {
    /// Returns true if both ends use LowDataRateOptimize. Without another setting they do if a symbol lasts 16 ms or more
    /// (data sheet, section 4.1.1.6).
    pub fn low_data_rate_optimize(&self) -> bool {
        match self.low_data_rate_optimize {
            // 2^SF / BW >= 0.016 s, without a division.
            LowDataRateOptimize::Auto => {
                u64::from(self.spreading_factor.chips()) * 1_000 >= 16 * u64::from(self.bandwidth.hz())
            }
            LowDataRateOptimize::On => true,
            LowDataRateOptimize::Off => false,
        }
    }

    /// Returns the time on air of a packet with explicit header and CRC (data sheet, section 4.1.1.7).
    pub fn air_time(&self, payload_bytes: u8) -> Duration {
        // Counted in quarters of a symbol, because the preamble ends on one.
        let preamble = u64::from(self.preamble_symbols) * 4 + 17;
        let quarters = preamble + 4 * u64::from(self.payload_symbols(payload_bytes));
        let chips = quarters * u64::from(self.spreading_factor.chips());
        Duration::from_nanos(chips * 250_000_000 / u64::from(self.bandwidth.hz()))
    }

    /// Returns the number of symbols of header, payload and CRC.
    fn payload_symbols(&self, payload_bytes: u8) -> u32 {
        let factor = u32::from(self.spreading_factor.get());
        let optimize = u32::from(self.low_data_rate_optimize());
        let bits = (8 * u32::from(payload_bytes) + 28 + 16).saturating_sub(4 * factor);
        8 + bits.div_ceil(4 * (factor - 2 * optimize)) * u32::from(self.coding_rate.denominator())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(factor: u8, bandwidth: Bandwidth, bytes: u8) -> f64 {
        let spreading_factor = SpreadingFactor::new(factor).unwrap();
        let modulation = Modulation { spreading_factor, bandwidth, ..Modulation::default() };
        modulation.air_time(bytes).as_secs_f64() * 1e3
    }

    #[test]
    fn air_times_match_values_calculated_by_hand() {
        for (factor, bandwidth, bytes, expected_ms) in [
            (7, Bandwidth::Khz125, 50, 97.536),
            (7, Bandwidth::Khz500, 50, 24.384),
            (12, Bandwidth::Khz125, 50, 2301.952),
            (7, Bandwidth::Khz125, 16, 51.456),
            (7, Bandwidth::Khz500, 16, 12.864),
        ] {
            let found = ms(factor, bandwidth, bytes);
            assert!((found - expected_ms).abs() < 0.001, "SF{factor} {bandwidth:?} {bytes} B: {found} ms");
        }
    }

    #[test]
    fn low_data_rate_optimize_starts_at_16_ms_symbols() {
        let optimized = |factor, bandwidth| {
            let spreading_factor = SpreadingFactor::new(factor).unwrap();
            Modulation { spreading_factor, bandwidth, ..Modulation::default() }.low_data_rate_optimize()
        };
        // Symbols of 16.384 ms, then the next shorter ones.
        assert!(
            optimized(11, Bandwidth::Khz125) && optimized(12, Bandwidth::Khz250) && optimized(10, Bandwidth::Khz62_5)
        );
        assert!(
            !optimized(10, Bandwidth::Khz125) && !optimized(11, Bandwidth::Khz250) && !optimized(12, Bandwidth::Khz500)
        );
    }
}
