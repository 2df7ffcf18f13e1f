//! Set-up at every modulation, and the error for each way in which a chip can fail it.

use super::*;
use crate::lora::{Bandwidth, CodingRate, LowDataRateOptimize, SpreadingFactor};
use crate::sx127x::TransmitSettings;
use crate::sx127x::settings::Settings;
use crate::sx127x::tests::array_chip::ArrayChip;
use proptest::prelude::*;

fn set_up_with(chip: &ArrayChip, modulation: Modulation) -> Result<Chip<ArrayChip>, ChipError> {
    let wiring = SharedWiring::from(chip.clone().connect().unwrap());
    Chip::set_up(
        wiring,
        &Settings { transmit: Some(TransmitSettings { power_dbm: 14 }), ..Settings::listening(modulation) },
    )
}

fn set_up(chip: &ArrayChip) -> Result<Chip<ArrayChip>, ChipError> {
    set_up_with(chip, Modulation::default())
}

fn set_up_error(chip: &ArrayChip) -> ChipError {
    set_up(chip).err().expect("the set-up fails")
}

const LOW_DATA_RATES: [LowDataRateOptimize; 3] =
    [LowDataRateOptimize::Auto, LowDataRateOptimize::On, LowDataRateOptimize::Off];

prop_compose! {
    fn modulations()(
        frequency_hz in 137_000_000_u32..=1_020_000_000,
        factor in 0_usize..6,
        bandwidth in 0_usize..10,
        rate in 0_usize..4,
        sync_word: u8,
        preamble_symbols in 6_u16..,
        low_data_rate in 0_usize..3,
        invert_iq: bool,
    ) -> Modulation {
        Modulation {
            frequency_hz,
            spreading_factor: SpreadingFactor::ALL[factor],
            bandwidth: Bandwidth::ALL[bandwidth],
            coding_rate: CodingRate::ALL[rate],
            sync_word,
            preamble_symbols,
            low_data_rate_optimize: LOW_DATA_RATES[low_data_rate],
            invert_iq,
        }
    }
}

proptest! {
    #[test]
    fn a_chip_that_keeps_its_registers_is_set_up_at_any_modulation(modulation in modulations()) {
        let chip = ArrayChip::default();
        let outcome = set_up_with(&chip, modulation);
        prop_assert!(outcome.is_ok(), "{}", outcome.err().unwrap());
        prop_assert_eq!(chip.holds(Register::ModemConfig3) & 0x08 != 0, modulation.low_data_rate_optimize());
        prop_assert_eq!(chip.holds(Register::SyncWord), modulation.sync_word);
        prop_assert_eq!(chip.holds(Register::ModemConfig2) >> 4, modulation.spreading_factor.get());
        prop_assert_eq!(chip.holds(Register::DetectOptimize) & 0x80 != 0, modulation.bandwidth == Bandwidth::Khz500);
    }

    /// Catches a register that the health check does not compare.
    #[test]
    fn a_changed_setting_is_found(modulation in modulations(), which: prop::sample::Index) {
        let chip = ArrayChip::default();
        let mut set_up = set_up_with(&chip, modulation).ok().unwrap();
        set_up.check("").unwrap();
        let RegisterCheck { register, mask, .. } = *which.get(&set_up.checks);
        // Flip the lowest bit that is compared.
        chip.set(register, chip.holds(register) ^ (mask & mask.wrapping_neg()));
        prop_assert!(set_up.check("").is_err(), "{register}");
    }
}

#[test]
fn the_carrier_is_set_in_hz_with_the_offset_of_the_errata() {
    let chip = ArrayChip::default();
    let at = |frequency_hz, bandwidth| {
        set_up_with(&chip, Modulation { frequency_hz, bandwidth, ..Modulation::default() }).ok().unwrap();
        [Register::FrfMsb, Register::FrfMid, Register::FrfLsb].map(|register| chip.holds(register))
    };
    // 14,222,950, from the data sheet's formula; 868 MHz would be 14,221,312.
    assert_eq!(at(868_100_000, Bandwidth::Khz125), [0xD9, 0x06, 0x66]);
    assert_eq!(at(868_100_000, Bandwidth::Khz41_7), carrier_bytes(868_141_670));
    assert_eq!(chip.holds(Register::IfFreq1), 0x44);
}

#[test]
fn a_dead_bus_is_reported_with_its_byte() {
    for byte in [0x00, 0xFF] {
        let chip = ArrayChip::default();
        chip.state().reads_only = Some(byte);
        assert!(matches!(set_up_error(&chip), ChipError::Dead { byte: found, .. } if found == byte));
    }
}

#[test]
fn another_chip_is_reported_with_its_version() {
    let chip = ArrayChip::default();
    chip.set(Register::Version, 0x22);
    assert!(matches!(set_up_error(&chip), ChipError::UnsupportedVersion { version: 0x22 }));
}

#[test]
fn a_register_that_ignores_writes_is_named() {
    let chip = ArrayChip::default();
    chip.state().frozen = Some(Register::SyncWord);
    let found = set_up_error(&chip);
    assert!(
        matches!(found, ChipError::Register { register: Register::SyncWord, expected: 0x12, found: 0, .. }),
        "{found}"
    );
    assert!(found.to_string().contains("RegSyncWord (0x39) holds 0x00 instead of 0x12"), "{found}");
}

#[test]
fn a_chip_that_was_left_in_reset_is_released() {
    let chip = ArrayChip::default();
    chip.state().held_in_reset = true;
    set_up(&chip).ok().unwrap();
}

#[test]
fn a_chip_that_reset_itself_is_distinguished_from_a_changed_register() {
    let chip = ArrayChip::default();
    let mut set_up = set_up(&chip).ok().unwrap();
    chip.set(Register::OpMode, 0x09);
    assert!(matches!(set_up.check(""), Err(ChipError::UnexpectedReset)));
    chip.set(Register::OpMode, 0x85);
    chip.set(Register::IrqFlagsMask, 0);
    assert!(matches!(set_up.check(""), Err(ChipError::Register { register: Register::IrqFlagsMask, .. })));
    chip.state().reads_only = Some(0xFF);
    assert!(matches!(set_up.check(""), Err(ChipError::Dead { byte: 0xFF, .. })));
}

#[test]
fn a_changed_power_is_found_if_the_radio_may_transmit() {
    for (power_dbm, held, boost) in [(2, 0x80, 0x84), (14, 0x8C, 0x84), (17, 0x8F, 0x84), (20, 0x8F, 0x87)] {
        let chip = ArrayChip::default();
        let transmit = Some(TransmitSettings { power_dbm });
        let settings = Settings { transmit, ..Settings::listening(Modulation::default()) };
        let mut set_up = Chip::set_up(SharedWiring::from(chip.clone().connect().unwrap()), &settings).ok().unwrap();
        for (register, held, other) in [(Register::PaConfig, held, held ^ 0x01), (Register::PaDac, boost, boost ^ 0x03)]
        {
            assert_eq!(chip.holds(register), held, "{power_dbm} dBm");
            chip.set(register, other);
            let found = set_up.check("");
            assert!(
                matches!(found, Err(ChipError::Register { register: named, .. }) if named == register),
                "{power_dbm} dBm: {found:?}"
            );
            chip.set(register, held);
        }
    }
}

#[test]
fn a_slow_change_of_mode_is_awaited_and_one_that_never_happens_is_an_error() {
    let chip = ArrayChip::default();
    chip.state().mode_lag_ms = 3;
    set_up(&chip).ok().unwrap();
    chip.state().mode_lag_ms = 1_000_000;
    assert!(matches!(set_up_error(&chip), ChipError::Register { register: Register::OpMode, .. }));
}
