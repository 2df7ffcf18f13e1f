//! What a modem is set to, latched out of its registers when it begins to receive or to send.

use super::registers::{REGISTERS, Register};
use crate::lora::{Bandwidth, Modulation};

/// Nanoseconds in a second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// Frequency of the crystal (data sheet, section 2.5.1).
const CRYSTAL_HZ: u64 = 32_000_000;

/// Bit 7 of register 0x31: the chip chooses its intermediate frequency.
const AUTOMATIC_IF: u8 = 0x80;
/// From here on channels need no shift (errata note, section 2.3).
const WIDE_FROM_HZ: u32 = 62_500;

/// Symbols of a preamble that a receiver needs to lock on it (Bor et al., "Do LoRa Low-Power Wide-Area Networks
/// Scale?", 2016, section 3.2: all but the last five may be lost).
const SYMBOLS_TO_LOCK: u16 = 5;

/// Which path of the modem: the two have separate bits for inverted IQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Receive,
    Transmit,
}

/// What two modems must agree on, and what the sender alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of a register of its own")]
pub(super) struct Tuning {
    pub(super) frequency_hz: u32,
    /// 6..=12.
    pub(super) spreading_factor: u8,
    pub(super) bandwidth_hz: u32,
    /// 5..=8.
    pub(super) coding_rate_denominator: u8,
    pub(super) explicit_header: bool,
    pub(super) crc: bool,
    pub(super) low_data_rate_optimize: bool,
    pub(super) inverted_iq: bool,
    pub(super) sync_word: u8,
    pub(super) preamble_symbols: u16,
    /// Length of a packet without a header, and of one that is sent.
    pub(super) payload_bytes: u8,
}

impl Tuning {
    /// The tuning that registers stand for. None where they stand for none: a reserved bandwidth, factor or rate.
    pub(super) fn of_registers(registers: &[u8; REGISTERS], direction: Direction) -> Option<Self> {
        let at = |register: Register| registers[register as usize];
        let [config1, config2] = [at(Register::ModemConfig1), at(Register::ModemConfig2)];
        let frf = u64::from(u32::from_be_bytes([0, at(Register::FrfMsb), at(Register::FrfMid), at(Register::FrfLsb)]));
        let invert = at(Register::InvertIq);
        let spreading_factor = config2 >> 4;
        let coding_rate_denominator = 4 + ((config1 >> 1) & 0x07);
        if !(6..=12).contains(&spreading_factor) || !(5..=8).contains(&coding_rate_denominator) {
            return None;
        }
        let bandwidth_hz = Bandwidth::ALL.get(usize::from(config1 >> 4))?.hz();
        // With a fixed intermediate frequency narrow channels are received so much below what is set: the errata note
        // (section 2.3) has the host add it.
        let is_shifted = direction == Direction::Receive
            && bandwidth_hz < WIDE_FROM_HZ
            && at(Register::DetectOptimize) & AUTOMATIC_IF == 0;
        // Rounded, as the register holds steps of 61 Hz (section 4.1.4).
        let carrier_hz = u32::try_from((frf * CRYSTAL_HZ + (1 << 18)) >> 19).ok()?;
        Some(Self {
            frequency_hz: carrier_hz.saturating_sub(if is_shifted { bandwidth_hz } else { 0 }),
            spreading_factor,
            bandwidth_hz,
            coding_rate_denominator,
            explicit_header: config1 & 0x01 == 0,
            crc: config2 & 0x04 != 0,
            low_data_rate_optimize: at(Register::ModemConfig3) & 0x08 != 0,
            // Bit 6 inverts what is received; bit 0, which is set after a reset, leaves upright what is sent.
            inverted_iq: match direction {
                Direction::Receive => invert & 0x40 != 0,
                Direction::Transmit => invert & 0x01 == 0,
            },
            sync_word: at(Register::SyncWord),
            preamble_symbols: u16::from_be_bytes([at(Register::PreambleMsb), at(Register::PreambleLsb)]),
            payload_bytes: at(Register::PayloadLength),
        })
    }

    /// The tuning of a sender that does everything right.
    pub(super) fn of_modulation(modulation: &Modulation, payload_bytes: u8) -> Self {
        Self {
            frequency_hz: modulation.frequency_hz,
            spreading_factor: modulation.spreading_factor.get(),
            bandwidth_hz: modulation.bandwidth.hz(),
            coding_rate_denominator: modulation.coding_rate.denominator(),
            explicit_header: true,
            crc: true,
            low_data_rate_optimize: modulation.low_data_rate_optimize(),
            inverted_iq: false,
            sync_word: modulation.sync_word,
            preamble_symbols: modulation.preamble_symbols,
            payload_bytes,
        }
    }

    fn chips(&self) -> u64 {
        1 << self.spreading_factor
    }

    /// So many quarters of a symbol take so long.
    fn quarters_ns(&self, quarters: u64) -> u64 {
        quarters * self.chips() * (SECOND_NS / 4) / u64::from(self.bandwidth_hz)
    }

    pub(super) fn symbol_ns(&self) -> u64 {
        self.quarters_ns(4)
    }

    /// From the begin of a packet to where a receiver must be listening at the latest.
    pub(super) fn until_lock_ns(&self) -> u64 {
        self.quarters_ns(4 * u64::from(self.preamble_symbols.saturating_sub(SYMBOLS_TO_LOCK)))
    }

    /// From the begin of a packet to the end of its preamble.
    pub(super) fn until_synchronized_ns(&self) -> u64 {
        self.quarters_ns(4 * u64::from(self.preamble_symbols) + 17)
    }

    /// From the begin of a packet to where its header is known: it is in the first eight symbols.
    pub(super) fn until_header_ns(&self) -> u64 {
        self.quarters_ns(4 * u64::from(self.preamble_symbols) + 17 + 32)
    }

    /// So long a packet holds the air (section 4.1.1.7), whatever stands in it. [`Modulation::air_time`] says the
    /// same for what a barn uses.
    pub(super) fn air_time_ns(&self, payload_bytes: u8) -> u64 {
        let factor = i64::from(self.spreading_factor);
        let bits = 8 * i64::from(payload_bytes) - 4 * factor + 28 + 16 * i64::from(self.crc)
            - 20 * i64::from(!self.explicit_header);
        let bits_a_block = 4 * (factor - 2 * i64::from(self.low_data_rate_optimize));
        let blocks = (bits.max(0) + bits_a_block - 1) / bits_a_block;
        let symbols = 8 + blocks.unsigned_abs() * u64::from(self.coding_rate_denominator);
        self.quarters_ns(4 * u64::from(self.preamble_symbols) + 17 + 4 * symbols)
    }

    /// How long the chip listens for activity: (2^SF + 32) / BW (section 4.1.6).
    pub(super) fn activity_listening_ns(&self) -> u64 {
        (self.chips() + 32) * SECOND_NS / u64::from(self.bandwidth_hz)
    }

    /// How long it then computes: "a little bit less than a symbol" (section 4.1.6).
    pub(super) fn activity_computing_ns(&self) -> u64 {
        self.symbol_ns() * 9 / 10
    }

    /// Whether a receiver of this tuning can hear such a sender, so many Hz apart: a quarter of the bandwidth at most,
    /// crystals and settings together.
    pub(super) fn hears(&self, sender: &Self, apart_hz: i32) -> bool {
        self.is_same_chirp(sender)
            && apart_hz.unsigned_abs() <= self.bandwidth_hz / 4
            && self.sync_word == sender.sync_word
            && self.inverted_iq == sender.inverted_iq
            && self.explicit_header == sender.explicit_header
    }

    /// Whether a sender of this tuning disturbs the reception of another one: same chirps in overlapping channels.
    /// Chirps of another slope pass like noise, and are ignored.
    pub(super) fn disturbs(&self, other: &Self) -> bool {
        self.is_same_chirp(other) && self.frequency_hz.abs_diff(other.frequency_hz) < self.bandwidth_hz
    }

    /// Whether a sender's channel and this one's overlap, so that its power is measured here.
    pub(super) fn overlaps(&self, sender: &Self) -> bool {
        self.frequency_hz.abs_diff(sender.frequency_hz) < u32::midpoint(self.bandwidth_hz, sender.bandwidth_hz)
    }

    fn is_same_chirp(&self, other: &Self) -> bool {
        self.spreading_factor == other.spreading_factor && self.bandwidth_hz == other.bandwidth_hz
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::{CodingRate, SpreadingFactor};

    #[test]
    fn air_times_are_those_of_the_modulation_wherever_it_speaks() {
        for spreading_factor in SpreadingFactor::ALL {
            for bandwidth in Bandwidth::ALL {
                for coding_rate in CodingRate::ALL {
                    let modulation = Modulation { spreading_factor, bandwidth, coding_rate, ..Modulation::default() };
                    for bytes in 1..=255 {
                        let found = Tuning::of_modulation(&modulation, bytes).air_time_ns(bytes);
                        let expected = modulation.air_time(bytes).as_nanos();
                        assert_eq!(u128::from(found), expected, "{modulation:?}, {bytes} bytes");
                    }
                }
            }
        }
    }

    #[test]
    fn less_is_sent_without_a_header_and_without_a_crc() {
        // SF10/125 kHz, 10 bytes, by hand from section 4.1.1.7: 84, 64 and 68 bits in blocks of 40.
        let spreading_factor = SpreadingFactor::new(10).unwrap();
        let whole = Tuning::of_modulation(&Modulation { spreading_factor, ..Modulation::default() }, 10);
        // In quarters of a symbol, of which the preamble has 49.
        let symbols = |tuning: &Tuning| (4 * tuning.air_time_ns(10) / tuning.symbol_ns() - 49) / 4;
        assert_eq!(symbols(&whole), 23);
        assert_eq!(symbols(&Tuning { explicit_header: false, ..whole }), 18);
        assert_eq!(symbols(&Tuning { crc: false, ..whole }), 18);
    }

    #[test]
    fn reserved_values_are_no_tuning() {
        let mut registers = super::super::registers::after_reset();
        assert!(Tuning::of_registers(&registers, Direction::Receive).is_some());
        for (register, value) in [
            (Register::ModemConfig1, 0xA2),
            (Register::ModemConfig1, 0x70),
            (Register::ModemConfig1, 0x7A),
            (Register::ModemConfig2, 0x50),
            (Register::ModemConfig2, 0xD0),
        ] {
            let before = std::mem::replace(&mut registers[register as usize], value);
            assert_eq!(Tuning::of_registers(&registers, Direction::Receive), None, "{register:?} {value:#x}");
            registers[register as usize] = before;
        }
    }
}
