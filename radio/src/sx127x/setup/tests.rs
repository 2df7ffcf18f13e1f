//! A chip that keeps what is written is set up at any modulation; one that does not is a fault with a name.

use proptest::prelude::*;

use super::super::TransmitSettings;
use super::super::array::ArrayChip;
use super::*;
use crate::lora::{CodingRate, SpreadingFactor};

fn set_up_with(chip: &ArrayChip, modulation: Modulation) -> Result<Chip<ArrayChip>, Fault> {
    let wired = Wired::from(chip.clone().connect().unwrap());
    Chip::set_up(wired, &Settings { modulation, transmit: Some(TransmitSettings { power_dbm: 14 }) })
}

fn set_up(chip: &ArrayChip) -> Result<Chip<ArrayChip>, Fault> {
    set_up_with(chip, Modulation::default())
}

fn fault(chip: &ArrayChip) -> Fault {
    set_up(chip).err().expect("there is a fault")
}

prop_compose! {
    fn modulations()(
        frequency_hz in 137_000_000_u32..=1_020_000_000,
        factor in 0_usize..6,
        bandwidth in 0_usize..10,
        rate in 0_usize..4,
        sync_word: u8,
        preamble_symbols in 6_u16..,
    ) -> Modulation {
        Modulation {
            frequency_hz,
            spreading_factor: SpreadingFactor::ALL[factor],
            bandwidth: Bandwidth::ALL[bandwidth],
            coding_rate: CodingRate::ALL[rate],
            sync_word,
            preamble_symbols,
        }
    }
}

proptest! {
    #[test]
    fn a_chip_that_keeps_what_is_written_is_set_up_at_any_modulation(modulation in modulations()) {
        let chip = ArrayChip::default();
        let outcome = set_up_with(&chip, modulation);
        prop_assert!(outcome.is_ok(), "{}", outcome.err().unwrap());
        prop_assert_eq!(chip.holds(Register::ModemConfig3) & 0x08 != 0, modulation.low_data_rate_optimize());
        prop_assert_eq!(chip.holds(Register::SyncWord), modulation.sync_word);
        prop_assert_eq!(chip.holds(Register::ModemConfig2) >> 4, modulation.spreading_factor.get());
        prop_assert_eq!(chip.holds(Register::DetectOptimize) & 0x80 != 0, modulation.bandwidth == Bandwidth::Khz500);
    }

    #[test]
    fn a_setting_that_does_not_stay_is_found(modulation in modulations(), which in 0_usize..16) {
        let chip = ArrayChip::default();
        let mut set_up = set_up_with(&chip, modulation).ok().unwrap();
        set_up.check("").unwrap();
        let Expected { register, mask, .. } = set_up.expected[which];
        // One bit, the lowest that is looked at.
        chip.set(register, chip.holds(register) ^ (mask & mask.wrapping_neg()));
        prop_assert!(set_up.check("").is_err(), "{register}");
    }
}

#[test]
fn a_carrier_is_set_in_hz_and_moved_where_the_errata_ask_for_it() {
    let chip = ArrayChip::default();
    let at = |frequency_hz, bandwidth| {
        set_up_with(&chip, Modulation { frequency_hz, bandwidth, ..Modulation::default() }).ok().unwrap();
        [Register::FrfMsb, Register::FrfMid, Register::FrfLsb].map(|register| chip.holds(register))
    };
    // 14,222,950 and 14,221,312 (868 MHz), from the sheet's formula.
    assert_eq!(at(868_100_000, Bandwidth::Khz125), [0xD9, 0x06, 0x66]);
    assert_eq!(at(868_100_000, Bandwidth::Khz41_7), carrier_bytes(868_141_670));
    assert_eq!(chip.holds(Register::IfFreq1), 0x44);
}

#[test]
fn a_dead_bus_is_told_by_its_byte() {
    for byte in [0x00, 0xFF] {
        let chip = ArrayChip::default();
        chip.state().reads_only = Some(byte);
        assert!(matches!(fault(&chip), Fault::Dead { byte: found, .. } if found == byte));
    }
}

#[test]
fn another_chip_is_told_by_its_version() {
    let chip = ArrayChip::default();
    chip.set(Register::Version, 0x22);
    assert!(matches!(fault(&chip), Fault::ForeignVersion { version: 0x22 }));
}

#[test]
fn a_register_that_takes_no_write_is_named() {
    let chip = ArrayChip::default();
    chip.state().frozen = Some(Register::SyncWord);
    let found = fault(&chip);
    assert!(matches!(found, Fault::Register { register: Register::SyncWord, expected: 0x12, found: 0, .. }), "{found}");
    assert!(found.to_string().contains("RegSyncWord (0x39) holds 0x00 where 0x12 was to be"), "{found}");
}

#[test]
fn a_chip_that_somebody_left_in_reset_is_let_go() {
    let chip = ArrayChip::default();
    chip.state().held_in_reset = true;
    set_up(&chip).ok().unwrap();
}

#[test]
fn a_chip_that_reset_itself_is_told_from_one_that_forgot_a_register() {
    let chip = ArrayChip::default();
    let mut set_up = set_up(&chip).ok().unwrap();
    chip.set(Register::OpMode, 0x09);
    assert!(matches!(set_up.check(""), Err(Fault::WasReset)));
    chip.set(Register::OpMode, 0x85);
    chip.set(Register::IrqFlagsMask, 0);
    assert!(matches!(set_up.check(""), Err(Fault::Register { register: Register::IrqFlagsMask, .. })));
    chip.state().reads_only = Some(0xFF);
    assert!(matches!(set_up.check(""), Err(Fault::Dead { byte: 0xFF, .. })));
}

#[test]
fn a_power_that_is_not_the_one_that_was_set_is_found_where_the_radio_may_transmit() {
    for (power_dbm, held, boost) in [(2, 0x80, 0x84), (14, 0x8C, 0x84), (17, 0x8F, 0x84), (20, 0x8F, 0x87)] {
        let chip = ArrayChip::default();
        let settings = Settings { modulation: Modulation::default(), transmit: Some(TransmitSettings { power_dbm }) };
        let mut set_up = Chip::set_up(Wired::from(chip.clone().connect().unwrap()), &settings).ok().unwrap();
        for (register, held, other) in [(Register::PaConfig, held, held ^ 0x01), (Register::PaDac, boost, boost ^ 0x03)]
        {
            assert_eq!(chip.holds(register), held, "{power_dbm} dBm");
            chip.set(register, other);
            let found = set_up.check("");
            assert!(
                matches!(found, Err(Fault::Register { register: named, .. }) if named == register),
                "{power_dbm} dBm: {found:?}"
            );
            chip.set(register, held);
        }
    }
}

#[test]
fn a_chip_that_takes_its_time_to_receive_is_waited_for_and_one_that_never_does_is_a_fault() {
    let chip = ArrayChip::default();
    chip.state().mode_lags_ms = 3;
    set_up(&chip).ok().unwrap();
    chip.state().mode_lags_ms = 1_000_000;
    assert!(matches!(fault(&chip), Fault::Register { register: Register::OpMode, .. }));
}
