//! A modem's settings, latched from its registers when it starts to receive or transmit.

use super::clock::SECOND_NS;
use super::registers::{REGISTERS, Register};
use crate::lora::{Bandwidth, Modulation};

/// Frequency of the crystal (data sheet, section 2.5.1).
const CRYSTAL_HZ: u64 = 32_000_000;

/// Bit 7 of register 0x31: the chip chooses its intermediate frequency itself.
const AUTOMATIC_IF: u8 = 0x80;
/// Smallest bandwidth that needs no frequency shift (errata note, section 2.3).
const WIDE_FROM_HZ: u32 = 62_500;

/// Number of preamble symbols that a receiver needs to lock on (Bor et al., "Do LoRa Low-Power Wide-Area Networks
/// Scale?", 2016, section 3.2: all but the last five may be lost).
const SYMBOLS_TO_LOCK: u16 = 5;

/// Path of the modem. Each path has its own bit for inverted IQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Receive,
    Transmit,
}

/// Settings that two modems must agree on, and those that the sender alone decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each mirrors one bit of a register")]
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
    /// Length of packets that are sent, and of received packets without a header.
    pub(super) payload_bytes: u8,
}

impl Tuning {
    /// Decodes registers. Returns `None` if the bandwidth, spreading factor or coding rate is a reserved value.
    pub(super) fn of_registers(registers: &[u8; REGISTERS], direction: Direction) -> Option<Self> {
        let at = |register: Register| registers[register as usize];
        let [config1, config2] = [at(Register::ModemConfig1), at(Register::ModemConfig2)];
        let invert = at(Register::InvertIq);
        let spreading_factor = config2 >> 4;
        let coding_rate_denominator = 4 + ((config1 >> 1) & 0x07);
        if !(6..=12).contains(&spreading_factor) || !(5..=8).contains(&coding_rate_denominator) {
            return None;
        }
        let bandwidth_hz = Bandwidth::ALL.get(usize::from(config1 >> 4))?.hz();
        // With a fixed intermediate frequency, a narrow channel is received one bandwidth below the configured
        // frequency. The errata note (section 2.3) tells the host to add that bandwidth.
        let is_shifted = direction == Direction::Receive
            && bandwidth_hz < WIDE_FROM_HZ
            && at(Register::DetectOptimize) & AUTOMATIC_IF == 0;
        let carrier_hz = carrier_hz([at(Register::FrfMsb), at(Register::FrfMid), at(Register::FrfLsb)]);
        Some(Self {
            frequency_hz: carrier_hz.saturating_sub(if is_shifted { bandwidth_hz } else { 0 }),
            spreading_factor,
            bandwidth_hz,
            coding_rate_denominator,
            explicit_header: config1 & 0x01 == 0,
            crc: config2 & 0x04 != 0,
            low_data_rate_optimize: at(Register::ModemConfig3) & 0x08 != 0,
            // Bit 6 inverts reception. Bit 0, which is set after a reset, means that transmission is not inverted.
            inverted_iq: match direction {
                Direction::Receive => invert & 0x40 != 0,
                Direction::Transmit => invert & 0x01 == 0,
            },
            sync_word: at(Register::SyncWord),
            preamble_symbols: u16::from_be_bytes([at(Register::PreambleMsb), at(Register::PreambleLsb)]),
            payload_bytes: at(Register::PayloadLength),
        })
    }

    /// Returns the tuning of a correctly configured sender.
    pub(super) fn of_modulation(modulation: &Modulation, payload_bytes: u8) -> Self {
        Self {
            frequency_hz: modulation.frequency_hz,
            spreading_factor: modulation.spreading_factor.get(),
            bandwidth_hz: modulation.bandwidth.hz(),
            coding_rate_denominator: modulation.coding_rate.denominator(),
            explicit_header: true,
            crc: true,
            low_data_rate_optimize: modulation.low_data_rate_optimize(),
            inverted_iq: modulation.invert_iq,
            sync_word: modulation.sync_word,
            preamble_symbols: modulation.preamble_symbols,
            payload_bytes,
        }
    }

    fn chips(&self) -> u64 {
        1 << self.spreading_factor
    }

    /// Returns the duration of a number of quarter symbols.
    fn quarters_ns(&self, quarters: u64) -> u64 {
        quarters * self.chips() * (SECOND_NS / 4) / u64::from(self.bandwidth_hz)
    }

    pub(super) fn symbol_ns(&self) -> u64 {
        self.quarters_ns(4)
    }

    /// Returns the time from the start of a packet to the last moment at which a receiver can lock on.
    pub(super) fn until_lock_ns(&self) -> u64 {
        self.quarters_ns(4 * u64::from(self.preamble_symbols.saturating_sub(SYMBOLS_TO_LOCK)))
    }

    /// Returns the time from the start of a packet to the end of its preamble.
    pub(super) fn until_synchronized_ns(&self) -> u64 {
        self.quarters_ns(4 * u64::from(self.preamble_symbols) + 17)
    }

    /// Returns the time from the start of a packet to the end of its header, which is in the first eight symbols.
    pub(super) fn until_header_ns(&self) -> u64 {
        self.quarters_ns(4 * u64::from(self.preamble_symbols) + 17 + 32)
    }

    /// Returns the air time of a packet (section 4.1.1.7) for every combination of settings.
    /// [`Modulation::air_time`] agrees for those that a barn uses.
    pub(super) fn air_time_ns(&self, payload_bytes: u8) -> u64 {
        let factor = i64::from(self.spreading_factor);
        let bits = 8 * i64::from(payload_bytes) - 4 * factor + 28 + 16 * i64::from(self.crc)
            - 20 * i64::from(!self.explicit_header);
        let bits_per_block = 4 * (factor - 2 * i64::from(self.low_data_rate_optimize));
        let blocks = (bits.max(0) + bits_per_block - 1) / bits_per_block;
        let symbols = 8 + blocks.unsigned_abs() * u64::from(self.coding_rate_denominator);
        self.quarters_ns(4 * u64::from(self.preamble_symbols) + 17 + 4 * symbols)
    }

    /// Returns the time for which activity detection listens: (2^SF + 32) / BW (section 4.1.6).
    pub(super) fn activity_listening_ns(&self) -> u64 {
        (self.chips() + 32) * SECOND_NS / u64::from(self.bandwidth_hz)
    }

    /// Returns the time for which it then computes: "a little bit less than a symbol" (section 4.1.6).
    pub(super) fn activity_computing_ns(&self) -> u64 {
        self.symbol_ns() * 9 / 10
    }

    /// Returns `true` if a receiver with this tuning can hear the sender. `apart_hz` is the frequency difference from
    /// settings and crystals together; it may be a quarter of the bandwidth at most.
    pub(super) fn hears(&self, sender: &Self, apart_hz: i32) -> bool {
        self.is_same_chirp(sender)
            && apart_hz.unsigned_abs() <= self.bandwidth_hz / 4
            && self.passes_sync_word(sender.sync_word)
            && self.inverted_iq == sender.inverted_iq
            && self.explicit_header == sender.explicit_header
    }

    /// Returns `true` if the receiver takes a sender's sync word for its own.
    ///
    /// A sync word is two symbols, one for each half of the byte, and receivers were seen to pass packets in which only
    /// the first half matches: one of 0x12 heard every word from 0x11 to 0x1F (FOSSASystems/FOSSASAT-1, issue 10), one of
    /// 0xAA every word from 0xA0 to 0xAF, and more that came and went (sandeepmistry/arduino-LoRa, issue 16).
    fn passes_sync_word(&self, sender: u8) -> bool {
        self.sync_word >> 4 == sender >> 4
    }

    /// Returns `true` if a sender with this tuning disturbs the reception of another one: equal chirps in overlapping
    /// channels. Chirps of another slope look like noise and are ignored.
    pub(super) fn disturbs(&self, other: &Self) -> bool {
        self.is_same_chirp(other) && self.frequency_hz.abs_diff(other.frequency_hz) < self.bandwidth_hz
    }

    /// Returns `true` if the sender's channel overlaps this one, so that its power is measured here.
    pub(super) fn overlaps(&self, sender: &Self) -> bool {
        self.frequency_hz.abs_diff(sender.frequency_hz) < u32::midpoint(self.bandwidth_hz, sender.bandwidth_hz)
    }

    fn is_same_chirp(&self, other: &Self) -> bool {
        self.spreading_factor == other.spreading_factor && self.bandwidth_hz == other.bandwidth_hz
    }
}

/// Returns the carrier of registers 0x06 to 0x08. Rounded, because they count in steps of 61 Hz (section 4.1.4).
pub(super) fn carrier_hz([high, middle, low]: [u8; 3]) -> u32 {
    let frf = u64::from(u32::from_be_bytes([0, high, middle, low]));
    u32::try_from((frf * CRYSTAL_HZ + (1 << 18)) >> 19).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::registers;
    use crate::lora::{CodingRate, SpreadingFactor};

    #[test]
    fn air_times_equal_those_of_every_modulation() {
        for spreading_factor in SpreadingFactor::ALL {
            for bandwidth in Bandwidth::ALL {
                for coding_rate in CodingRate::ALL {
                    let modulation = Modulation { spreading_factor, bandwidth, coding_rate, ..Modulation::default() };
                    for bytes in 1..=255 {
                        let actual = Tuning::of_modulation(&modulation, bytes).air_time_ns(bytes);
                        let expected = modulation.air_time(bytes).as_nanos();
                        assert_eq!(u128::from(actual), expected, "{modulation:?}, {bytes} bytes");
                    }
                }
            }
        }
    }

    #[test]
    fn packets_without_a_header_or_crc_have_fewer_symbols() {
        // SF10/125 kHz, 10 bytes, computed by hand after section 4.1.1.7: 84, 64 and 68 bits in blocks of 40.
        let spreading_factor = SpreadingFactor::new(10).unwrap();
        let whole = Tuning::of_modulation(&Modulation { spreading_factor, ..Modulation::default() }, 10);
        // The preamble has 49 quarter symbols.
        let symbols = |tuning: &Tuning| (4 * tuning.air_time_ns(10) / tuning.symbol_ns() - 49) / 4;
        assert_eq!(symbols(&whole), 23);
        assert_eq!(symbols(&Tuning { explicit_header: false, ..whole }), 18);
        assert_eq!(symbols(&Tuning { crc: false, ..whole }), 18);
    }

    #[test]
    fn reserved_register_values_have_no_tuning() {
        let mut registers = registers::after_reset();
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
