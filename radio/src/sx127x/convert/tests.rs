//! Values calculated by hand from the data sheet's formulas, and properties of all others.

use super::*;
use proptest::prelude::*;

#[test]
fn carriers_match_the_data_sheet() {
    // 434 MHz is the reset value (table 85, RegFrf).
    assert_eq!(carrier_from_hz(434_000_000), 0x6C_8000);
    assert_eq!(carrier_from_hz(915_000_000), 0xE4_C000);
    // 868.1 MHz * 2^19 / 32 MHz = 14,222,950.4.
    assert_eq!(carrier_from_hz(868_100_000), 14_222_950);
}

#[test]
fn the_signal_to_noise_ratio_is_signed() {
    assert_eq!(snr_quarter_db(20), 20);
    assert_eq!(snr_quarter_db(0xEC), -20);
    assert_eq!(snr_quarter_db(0x80), -128);
}

#[test]
fn strength_has_another_offset_in_the_low_band() {
    // 60 * 16 / 15 = 64.
    assert_eq!(packet_dbm(915_000_000, 60, 40), -93);
    assert_eq!(packet_dbm(433_000_000, 60, 40), -100);
    assert_eq!(channel_dbm(868_100_000, 40), -117);
    assert_eq!(channel_dbm(433_000_000, 40), -124);
}

#[test]
fn strength_below_the_noise_follows_the_signal_to_noise_ratio() {
    // -157 + 30 - 5.
    assert_eq!(packet_dbm(915_000_000, 30, -20), -132);
    // -157 + 30 - 0.25 and - 0.75, rounded.
    assert_eq!(packet_dbm(915_000_000, 30, -1), -127);
    assert_eq!(packet_dbm(915_000_000, 30, -3), -128);
}

#[test]
fn the_frequency_error_has_the_opposite_sign_of_the_register() {
    // 10,000 * 2^24 / 32e6 * 125 / 500 = 1310.72.
    assert_eq!(frequency_error_hz([0x00, 0x27, 0x10], Bandwidth::Khz125), -1_311);
    // -10,000 as a 20-bit number.
    assert_eq!(frequency_error_hz([0x0F, 0xD8, 0xF0], Bandwidth::Khz125), 1_311);
    // The bits above the twenty are ignored.
    assert_eq!(frequency_error_hz([0xFF, 0xD8, 0xF0], Bandwidth::Khz125), 1_311);
    assert_eq!(frequency_error_hz([0, 0, 0], Bandwidth::Khz500), 0);
}

#[test]
fn the_mask_passes_only_the_flags_that_the_driver_waits_for() {
    assert_eq!(IrqFlags::MASK, 0x97);
    let both = IrqFlags(0x60);
    assert!(both.rx_done() && both.payload_crc_error() && !both.tx_done() && !both.is_clear());
    assert!(IrqFlags(0x08).tx_done() && IrqFlags(0).is_clear());
}

#[test]
fn only_narrow_channels_offset_the_carrier_and_only_the_widest_is_automatic() {
    for bandwidth in Bandwidth::ALL {
        let rule = intermediate_frequency(bandwidth);
        let narrow = bandwidth.hz() < 62_500;
        // The offset is the bandwidth itself, rounded more finely.
        assert_eq!(rule.carrier_offset_hz > 0, narrow, "{bandwidth:?}");
        assert!(!narrow || rule.carrier_offset_hz.abs_diff(bandwidth.hz()) <= 30, "{bandwidth:?}");
        assert_eq!(rule.automatic, bandwidth == Bandwidth::Khz500);
        assert_eq!(rule.automatic, rule.register.is_none());
    }
}

#[test]
fn the_sensitivity_setting_at_500_khz_depends_on_the_band() {
    assert_eq!(high_bandwidth(Bandwidth::Khz500, 915_000_000), (0x02, Some(0x64)));
    assert_eq!(high_bandwidth(Bandwidth::Khz500, 433_000_000), (0x02, Some(0x7F)));
    assert_eq!(high_bandwidth(Bandwidth::Khz500, 169_000_000), (0x03, None));
    assert_eq!(high_bandwidth(Bandwidth::Khz125, 915_000_000), (0x03, None));
}

proptest! {
    #[test]
    fn a_carrier_is_within_half_a_step_of_the_frequency(frequency_hz in 137_000_000_u32..=1_020_000_000) {
        // A step is 61.035 Hz.
        prop_assert!(hz_from_carrier(carrier_from_hz(frequency_hz)).abs_diff(frequency_hz) <= 31);
    }

    #[test]
    fn every_carrier_fits_into_24_bits(frequency_hz: u32) {
        prop_assert!(carrier_from_hz(frequency_hz) < 1 << 24);
    }

    #[test]
    fn strength_never_falls_as_the_register_rises(
        frequency_hz in 137_000_000_u32..=1_020_000_000, register in 0_u8..255, snr in -128_i16..=127
    ) {
        prop_assert!(packet_dbm(frequency_hz, register + 1, snr) >= packet_dbm(frequency_hz, register, snr));
    }

    #[test]
    fn opposite_errors_convert_to_opposite_offsets(value in 1_i32..=524_287, bandwidth in 0_usize..10) {
        let registers = |value: i32| {
            let [_, high, middle, low] = (value & 0x000F_FFFF).to_be_bytes();
            [high, middle, low]
        };
        let bandwidth = Bandwidth::ALL[bandwidth];
        let found = frequency_error_hz(registers(value), bandwidth);
        prop_assert_eq!(found, -frequency_error_hz(registers(-value), bandwidth));
        prop_assert!(found <= 0);
    }

    #[test]
    fn no_register_value_makes_a_conversion_panic(registers: [u8; 3], register: u8, snr: u8, frequency_hz: u32) {
        for bandwidth in Bandwidth::ALL {
            frequency_error_hz(registers, bandwidth);
        }
        packet_dbm(frequency_hz, register, snr_quarter_db(snr));
        hz_from_carrier(u32::from_be_bytes([0, registers[0], registers[1], registers[2]]));
    }
}
