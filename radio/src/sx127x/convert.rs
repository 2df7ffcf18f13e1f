//! What registers mean, as pure functions with units. Sections are those of the SX1276 data sheet, rev. 7.

use crate::lora::Bandwidth;

/// The crystal of every module, in Hz (section 2.3.2, `FXOSC`).
const CRYSTAL_HZ: u64 = 32_000_000;
/// A step of the carrier is the crystal's frequency over two to this (section 4.1.4).
const CARRIER_STEP_BITS: u32 = 19;
/// Below this a signal comes through the low port, which is gauged otherwise (section 5.5.5; bands: table 32).
const LOW_PORT_BELOW_HZ: u32 = 525_000_000;

/// Register value of a carrier, the nearest one (section 4.1.4: Frf = f * 2^19 / FXOSC). 24 bits.
pub fn carrier_of_hz(frequency_hz: u32) -> u32 {
    let scaled = (u64::from(frequency_hz) << CARRIER_STEP_BITS) + CRYSTAL_HZ / 2;
    u32::try_from(scaled / CRYSTAL_HZ).unwrap_or(u32::MAX).min(0x00FF_FFFF)
}

/// The carrier of a register value, in Hz, rounded (section 4.1.4).
pub fn hz_of_carrier(carrier: u32) -> u32 {
    let scaled = u64::from(carrier) * CRYSTAL_HZ + (1 << (CARRIER_STEP_BITS - 1));
    u32::try_from(scaled >> CARRIER_STEP_BITS).unwrap_or(u32::MAX)
}

/// Signal to noise ratio of a packet, in quarters of a dB: the register is signed (section 6.4, `RegPktSnrValue`).
pub fn snr_quarter_db(register: u8) -> i16 {
    i16::from(i8::from_ne_bytes([register]))
}

/// Strength of a packet at the antenna, in dBm, rounded (section 5.5.5).
///
/// Above the noise the register is stretched by 16/15; below it, the ratio tells how far under it the packet was.
pub fn packet_dbm(frequency_hz: u32, register: u8, snr_quarter_db: i16) -> i16 {
    let value = i16::from(register);
    let above_offset = match snr_quarter_db {
        0.. => (value * 16).div_euclid(15) + i16::from((value * 16).rem_euclid(15) >= 8),
        below => value + (below + 2).div_euclid(4),
    };
    offset_dbm(frequency_hz) + above_offset
}

/// Strength of whatever is on the channel now, in dBm (section 5.5.5, `RegRssiValue`).
pub fn channel_dbm(frequency_hz: u32, register: u8) -> i16 {
    offset_dbm(frequency_hz) + i16::from(register)
}

/// What the strength registers count from, by the port that the frequency comes through (section 5.5.5).
fn offset_dbm(frequency_hz: u32) -> i16 {
    if frequency_hz < LOW_PORT_BELOW_HZ { -164 } else { -157 }
}

/// Frequency of the sender minus frequency of this radio, in Hz, rounded (section 4.1.5), from the three registers,
/// highest first.
///
/// The registers hold the error of *this* radio, as a signed number of 20 bits: it is what is to be subtracted from
/// the frequency set, so the sender's distance has the other sign.
pub fn frequency_error_hz(registers: [u8; 3], bandwidth: Bandwidth) -> i32 {
    let [high, middle, low] = registers;
    // The four bits above the twenty are no part of it: shifted out, and the sign drawn back in.
    let error = i32::from_be_bytes([high, middle, low, 0]) << 4 >> 12;
    // error * 2^24 / FXOSC * bandwidth / 500 kHz.
    let scaled = i64::from(error) * (1 << 24) * i64::from(bandwidth.hz());
    let unit = 32_000_000 * 500_000_i64;
    let rounded = (scaled.abs() + unit / 2) / unit * scaled.signum();
    i32::try_from(-rounded).unwrap_or(i32::MAX)
}

/// What the modem has to tell (section 4.1.2.4 and table 85, `RegIrqFlags`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IrqFlags(pub u8);

impl IrqFlags {
    /// A packet is in the FIFO, good or bad.
    pub const RX_DONE: u8 = 0x40;
    /// Its CRC is wrong.
    pub const PAYLOAD_CRC_ERROR: u8 = 0x20;
    /// A packet has left.
    pub const TX_DONE: u8 = 0x08;
    /// All of them, as one writes them to clear all.
    pub const ALL: u8 = 0xFF;
    /// The mask that lets through what this driver waits for, and nothing that could stand in between: a set bit
    /// keeps its flag out (table 85, `RegIrqFlagsMask`).
    pub const MASK: u8 = !(Self::RX_DONE | Self::PAYLOAD_CRC_ERROR | Self::TX_DONE);

    /// The same without the verdict on a packet, which is not to be cleared before that packet was seen.
    pub(super) fn without_verdict(self) -> Self {
        Self(self.0 & !Self::PAYLOAD_CRC_ERROR)
    }

    /// Nothing to tell.
    pub fn is_clear(self) -> bool {
        self.0 == 0
    }

    /// A packet was heard to its end.
    pub fn rx_done(self) -> bool {
        self.0 & Self::RX_DONE != 0
    }

    /// The CRC of that packet is wrong.
    pub fn payload_crc_error(self) -> bool {
        self.0 & Self::PAYLOAD_CRC_ERROR != 0
    }

    /// A packet was transmitted to its end.
    pub fn tx_done(self) -> bool {
        self.0 & Self::TX_DONE != 0
    }
}

/// What the errata note 1.1 asks for at a bandwidth, against spurious reception (section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntermediateFrequency {
    /// Bit 7 of `RegDetectOptimize`: the chip chooses.
    pub automatic: bool,
    /// `RegIfFreq1`, where the chip does not choose; `RegIfFreq2` is 0 then.
    pub register: Option<u8>,
    /// Added to the carrier while receiving, in Hz.
    pub carrier_offset_hz: u32,
}

/// The rule of the errata note 1.1, section 2.3.
pub fn intermediate_frequency(bandwidth: Bandwidth) -> IntermediateFrequency {
    let chosen = |register, carrier_offset_hz| IntermediateFrequency {
        automatic: false,
        register: Some(register),
        carrier_offset_hz,
    };
    match bandwidth {
        Bandwidth::Khz7_8 => chosen(0x48, 7_810),
        Bandwidth::Khz10_4 => chosen(0x44, 10_420),
        Bandwidth::Khz15_6 => chosen(0x44, 15_620),
        Bandwidth::Khz20_8 => chosen(0x44, 20_830),
        Bandwidth::Khz31_25 => chosen(0x44, 31_250),
        Bandwidth::Khz41_7 => chosen(0x44, 41_670),
        Bandwidth::Khz62_5 | Bandwidth::Khz125 | Bandwidth::Khz250 => chosen(0x40, 0),
        Bandwidth::Khz500 => IntermediateFrequency { automatic: true, register: None, carrier_offset_hz: 0 },
    }
}

/// `RegHighBwOptimize1` and `2` for the best sensitivity (errata note 1.1, section 2.1). The second is the chip's own
/// where none is given.
pub fn high_bandwidth(bandwidth: Bandwidth, frequency_hz: u32) -> (u8, Option<u8>) {
    match (bandwidth, frequency_hz) {
        (Bandwidth::Khz500, 862_000_000..=1_020_000_000) => (0x02, Some(0x64)),
        (Bandwidth::Khz500, 410_000_000..=525_000_000) => (0x02, Some(0x7F)),
        _ => (0x03, None),
    }
}

#[cfg(test)]
mod tests;
