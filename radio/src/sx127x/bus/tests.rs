//! Transfers of the port, and values that the guard keeps from the upstream driver.

use super::*;
use crate::sx127x::tests::array_chip::ArrayChip;
use proptest::prelude::*;

fn port(chip: &ArrayChip) -> Port<ArrayChip> {
    Port::new(SharedPart::new(chip.clone()))
}

#[test]
fn a_burst_is_one_frame() {
    let chip = ArrayChip::default();
    port(&chip).write_from(Register::FrfMsb, &[1, 2, 3]).unwrap();
    assert_eq!(port(&chip).read_from::<3>(Register::FrfMsb).unwrap(), [1, 2, 3]);
    assert_eq!(chip.state().frames, 2);
}

#[test]
fn the_fifo_is_read_and_written_to_its_full_length() {
    let chip = ArrayChip::default();
    let payload: Vec<u8> = (1..=255).collect();
    let mut port = port(&chip);
    port.write(Register::FifoAddrPtr, 0x80).unwrap();
    port.write_from(Register::Fifo, &payload).unwrap();
    port.write(Register::FifoAddrPtr, 0x80).unwrap();
    let mut read = [0; 255];
    port.read_into(Register::Fifo, &mut read).unwrap();
    assert_eq!(read.as_slice(), payload);
}

#[test]
fn a_change_keeps_the_other_bits() {
    let chip = ArrayChip::default();
    chip.set(Register::DioMapping1, 0b1010_1010);
    port(&chip).change(Register::DioMapping1, 0xC0, 0x40).unwrap();
    assert_eq!(chip.holds(Register::DioMapping1), 0b0110_1010);
}

/// Catches the upstream driver accepting a bus of ones as a working chip.
#[test]
fn the_upstream_driver_never_sees_a_bus_of_ones() {
    let chip = ArrayChip::default();
    chip.state().reads_only = Some(0xFF);
    let mut guarded = GuardedBus::new(SharedPart::new(chip));
    let mut frame = [Register::OpMode.address(), 0];
    assert_eq!(guarded.transfer(&mut frame).unwrap_err(), BusError::Dead(0xFF));
}

proptest! {
    /// The upstream driver divides 1000 by (bandwidth in Hz / 2^factor) in integers, and uses -1 for an unknown
    /// bandwidth.
    #[test]
    fn values_that_pass_the_guard_never_divide_by_zero(modem_config_1: u8, modem_config_2: u8) {
        let passes = |register: Register, found| refuse_impossible(register.address(), found, true).is_ok();
        if passes(Register::ModemConfig1, modem_config_1) && passes(Register::ModemConfig2, modem_config_2) {
            let bandwidth_hz = crate::lora::Bandwidth::ALL[usize::from(modem_config_1 >> 4)].hz();
            prop_assert!(bandwidth_hz / (1 << (modem_config_2 >> 4)) > 0);
        }
    }
}

#[test]
fn every_possible_value_passes_the_guard() {
    for (bandwidth, rate) in (0..=9).flat_map(|bandwidth| (1..=4).map(move |rate| (bandwidth, rate))) {
        refuse_impossible(Register::ModemConfig1.address(), bandwidth << 4 | rate << 1, true).unwrap();
    }
    for factor in 6..=12 {
        refuse_impossible(Register::ModemConfig2.address(), factor << 4 | 0x04, true).unwrap();
    }
}

#[test]
fn any_value_passes_the_guard_before_the_chip_is_in_lora_mode() {
    let chip = ArrayChip::default();
    let mut guarded = GuardedBus::new(SharedPart::new(chip.clone()));
    // After a reset this address is part of an FSK frequency error.
    chip.set(Register::ModemConfig1, 0x00);
    guarded.transfer(&mut [Register::ModemConfig1.address(), 0]).unwrap();
    guarded.write(&[WRITE | Register::OpMode.address(), 0x80]).unwrap();
    let found = guarded.transfer(&mut [Register::ModemConfig1.address(), 0]).unwrap_err();
    assert_eq!(found, BusError::Garbled { register: 0x1D, found: 0x00 });
}
