//! Conversions between registers and physical units, as pure functions. Sections are those of the SX1276 data sheet,
//! rev. 7.

use crate::lora::Bandwidth;

/// Crystal frequency of every module, in Hz (section 2.3.2, `FXOSC`).
const CRYSTAL_HZ: u64 = 32_000_000;
/// A step of the carrier is the crystal frequency divided by two to the power of this (section 4.1.4).
const CARRIER_STEP_BITS: u32 = 19;
/// Upper end of the low-frequency port, whose strength readings have another offset (section 5.5.5; bands: table 32).
const LOW_PORT_BELOW_HZ: u32 = 525_000_000;

/// Returns the nearest register value of a carrier, 24 bits (section 4.1.4: Frf = f * 2^19 / FXOSC).
pub fn carrier_from_hz(frequency_hz: u32) -> u32 {
    let scaled = (u64::from(frequency_hz) << CARRIER_STEP_BITS) + CRYSTAL_HZ / 2;
    u32::try_from(scaled / CRYSTAL_HZ).unwrap_or(u32::MAX).min(0x00FF_FFFF)
}

/// Returns the carrier of a register value, in Hz, rounded (section 4.1.4).
pub fn hz_from_carrier(carrier: u32) -> u32 {
    let scaled = u64::from(carrier) * CRYSTAL_HZ + (1 << (CARRIER_STEP_BITS - 1));
    u32::try_from(scaled >> CARRIER_STEP_BITS).unwrap_or(u32::MAX)
}

/// Returns the signal-to-noise ratio of a packet in quarters of a dB. The register is signed (section 6.4,
/// `RegPktSnrValue`).
pub fn snr_quarter_db(register: u8) -> i16 {
    i16::from(i8::from_ne_bytes([register]))
}

/// Returns the strength of a packet at the antenna, in dBm, rounded (section 5.5.5).
///
/// Above the noise the register is scaled by 16/15. Below it, the signal-to-noise ratio is added instead.
pub fn packet_dbm(frequency_hz: u32, register: u8, snr_quarter_db: i16) -> i16 {
    let value = i16::from(register);
    let above_offset = match snr_quarter_db {
        0.. => (value * 16).div_euclid(15) + i16::from((value * 16).rem_euclid(15) >= 8),
        below => value + (below + 2).div_euclid(4),
    };
    offset_dbm(frequency_hz) + above_offset
}

/// Returns the current strength on the channel, in dBm (section 5.5.5, `RegRssiValue`).
pub fn channel_dbm(frequency_hz: u32, register: u8) -> i16 {
    offset_dbm(frequency_hz) + i16::from(register)
}

/// Returns the offset of the strength registers for the port that receives the frequency (section 5.5.5).
fn offset_dbm(frequency_hz: u32) -> i16 {
    if is_low_port(frequency_hz) { -164 } else { -157 }
}

/// Returns true if the low-frequency port receives the frequency (section 5.5.5; bands: table 32).
pub fn is_low_port(frequency_hz: u32) -> bool {
    frequency_hz < LOW_PORT_BELOW_HZ
}

/// Returns the frequency of the sender minus the frequency of this radio, in Hz, rounded (section 4.1.5). The three
/// registers are passed most significant first.
///
/// The registers hold the error of *this* radio as a signed 20-bit number, to be subtracted from the configured
/// frequency. So the sender's offset has the opposite sign.
pub fn frequency_error_hz(registers: [u8; 3], bandwidth: Bandwidth) -> i32 {
    let [high, middle, low] = registers;
    // Shift out the four bits above the twenty, then sign-extend.
    let error = i32::from_be_bytes([high, middle, low, 0]) << 4 >> 12;
    // error * 2^24 / FXOSC * bandwidth / 500 kHz.
    let scaled = i64::from(error) * (1 << 24) * i64::from(bandwidth.hz());
    let unit = 32_000_000 * 500_000_i64;
    let rounded = (scaled.abs() + unit / 2) / unit * scaled.signum();
    i32::try_from(-rounded).unwrap_or(i32::MAX)
}

/// Interrupt flags of the modem (section 4.1.2.4 and table 85, `RegIrqFlags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqFlags(pub u8);

impl IrqFlags {
    /// A packet is in the FIFO, with a right or a wrong CRC.
    pub const RX_DONE: u8 = 0x40;
    /// The CRC of that packet is wrong.
    pub const PAYLOAD_CRC_ERROR: u8 = 0x20;
    /// A packet has been transmitted.
    pub const TX_DONE: u8 = 0x08;
    /// All flags. Writing this value clears them.
    pub const ALL: u8 = 0xFF;
    /// Interrupt mask that passes only the flags this driver waits for. A set bit suppresses its flag (table 85,
    /// `RegIrqFlagsMask`).
    pub const MASK: u8 = !(Self::RX_DONE | Self::PAYLOAD_CRC_ERROR | Self::TX_DONE);

    /// Returns the flags without the CRC verdict, which must not be cleared before its packet has been seen.
    pub(super) fn without_verdict(self) -> Self {
        Self(self.0 & !Self::PAYLOAD_CRC_ERROR)
    }

    /// Returns true if no flag is set.
    pub fn is_clear(self) -> bool {
        self.0 == 0
    }

    /// Returns true if a packet has been received completely.
    pub fn rx_done(self) -> bool {
        self.0 & Self::RX_DONE != 0
    }

    /// Returns true if the CRC of that packet is wrong.
    pub fn payload_crc_error(self) -> bool {
        self.0 & Self::PAYLOAD_CRC_ERROR != 0
    }

    /// Returns true if a packet has been transmitted completely.
    pub fn tx_done(self) -> bool {
        self.0 & Self::TX_DONE != 0
    }
}

/// Settings of the intermediate frequency against spurious reception (errata note 1.1, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntermediateFrequency {
    /// Bit 7 of `RegDetectOptimize`: the chip chooses the intermediate frequency itself.
    pub automatic: bool,
    /// Value of `RegIfFreq1` if the chip does not choose. `RegIfFreq2` is then 0.
    pub register: Option<u8>,
    /// Offset of the carrier while receiving, in Hz.
    pub carrier_offset_hz: u32,
}

/// Returns the settings for a bandwidth (errata note 1.1, section 2.3).
pub fn intermediate_frequency(bandwidth: Bandwidth) -> IntermediateFrequency {
    let fixed = |register, carrier_offset_hz| IntermediateFrequency {
        automatic: false,
        register: Some(register),
        carrier_offset_hz,
    };
    match bandwidth {
        Bandwidth::Khz7_8 => fixed(0x48, 7_810),
        Bandwidth::Khz10_4 => fixed(0x44, 10_420),
        Bandwidth::Khz15_6 => fixed(0x44, 15_620),
        Bandwidth::Khz20_8 => fixed(0x44, 20_830),
        Bandwidth::Khz31_25 => fixed(0x44, 31_250),
        Bandwidth::Khz41_7 => fixed(0x44, 41_670),
        Bandwidth::Khz62_5 | Bandwidth::Khz125 | Bandwidth::Khz250 => fixed(0x40, 0),
        Bandwidth::Khz500 => IntermediateFrequency { automatic: true, register: None, carrier_offset_hz: 0 },
    }
}

/// Returns `RegHighBwOptimize1` and `2` for the best sensitivity (errata note 1.1, section 2.1). If the second is
/// `None`, the chip's own value stays.
pub fn high_bandwidth(bandwidth: Bandwidth, frequency_hz: u32) -> (u8, Option<u8>) {
    match (bandwidth, frequency_hz) {
        (Bandwidth::Khz500, 862_000_000..=1_020_000_000) => (0x02, Some(0x64)),
        (Bandwidth::Khz500, 410_000_000..=525_000_000) => (0x02, Some(0x7F)),
        _ => (0x03, None),
    }
}

#[cfg(test)]
mod tests;
