//! Registers: reset values, pages, access and interrupt flags.
//!
//! An error here would hide a driver that writes to the wrong page, or clears flags that it has not seen.

use super::*;

#[test]
fn after_power_up_the_chip_is_an_fsk_modem_in_standby_at_434_mhz() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    assert_eq!(host.read(Register::OpMode), 0x09);
    assert_eq!(host.read_burst(Register::FrfMsb, 3), [0x6C, 0x80, 0x00]);
    assert_eq!(host.read(Register::Version), 0x12);
}

#[test]
fn lora_registers_have_their_reset_values() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    host.set_mode(SLEEP);
    for (register, value) in [
        (Register::FifoTxBaseAddr, 0x80),
        (Register::FifoRxBaseAddr, 0x00),
        (Register::IrqFlagsMask, 0x00),
        (Register::IrqFlags, 0x00),
        (Register::ModemConfig1, 0x72),
        (Register::ModemConfig2, 0x70),
        (Register::SymbTimeoutLsb, 0x64),
        (Register::PreambleLsb, 0x08),
        (Register::PayloadLength, 0x01),
        (Register::MaxPayloadLength, 0xFF),
        (Register::ModemConfig3, 0x04),
        (Register::DetectOptimize, 0xC3),
        (Register::InvertIq, 0x27),
        (Register::DetectionThreshold, 0x0A),
        (Register::SyncWord, 0x12),
        (Register::InvertIq2, 0x1D),
    ] {
        assert_eq!(host.read(register), value, "{register:?}");
    }
}

#[test]
fn modem_reports_and_the_version_are_read_only() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    host.set_mode(SLEEP);
    for register in [
        Register::FifoRxCurrentAddr,
        Register::RxNbBytes,
        Register::PktSnrValue,
        Register::PktRssiValue,
        Register::RssiValue,
        Register::HopChannel,
        Register::FifoRxByteAddr,
        Register::FeiMsb,
        Register::Version,
    ] {
        let before = host.read(register);
        host.write(register, !before);
        assert_eq!(host.read(register), before, "{register:?}");
    }
}

#[test]
fn burst_advances_from_register_to_register() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    host.write_burst(Register::FrfMsb, &[1, 2, 3]);
    assert_eq!(host.read_burst(Register::FrfMid, 2), [2, 3]);
    assert_eq!(host.read(Register::FrfMsb), 1);
}

#[test]
fn write_returns_the_previous_value_and_the_address_byte_returns_zero() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    let mut words = [Register::SyncWord as u8 | 0x80, 0x34];
    host.set_mode(SLEEP);
    host.spi.transfer(&mut words).unwrap();
    assert_eq!(words, [0x00, 0x12]);
    assert_eq!(host.read(Register::SyncWord), 0x34);
}

#[test]
fn lora_and_fsk_have_separate_registers_at_the_same_addresses() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    host.write(Register::SyncWord, 0x77);
    host.set_mode(SLEEP);
    assert_eq!(host.read(Register::SyncWord), 0x12, "a value written to the FSK page does not show on the LoRa page");
    // Bit 6 shows the FSK registers although the modem is LoRa.
    host.write(Register::OpMode, 0xC0);
    assert_eq!(host.read(Register::SyncWord), 0x77);
}

#[test]
fn flag_is_cleared_by_writing_a_one_only() {
    let mut host = Host::listening(&Air::default());
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
    host.write(Register::IrqFlags, 0x00);
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER);
    host.write(Register::IrqFlags, VALID_HEADER);
    assert_eq!(host.flags(), RX_DONE);
    host.set_mode(STANDBY);
    assert_eq!(host.flags(), RX_DONE, "a mode change keeps it");
}

#[test]
fn masked_flag_is_not_set_even_after_the_mask_is_cleared() {
    let mut host = Host::listening(&Air::default());
    host.write(Register::IrqFlagsMask, RX_DONE);
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.flags(), VALID_HEADER);
    assert!(!host.chip.dio0_is_high());
    host.write(Register::IrqFlagsMask, 0);
    assert_eq!(host.flags(), VALID_HEADER);
}

#[test]
fn both_kinds_of_bus_behave_alike() {
    use embedded_hal::spi::{Operation, SpiDevice};
    let mut host = Host::powered_up(&Air::default(), "barn");
    let mut bus = host.chip.spi10();
    bus.write(&[Register::FrfMsb as u8 | 0x80, 0xE4, 0xC0, 0x26]).unwrap();
    let mut read = [0; 3];
    bus.transaction(&mut [Operation::Write(&[Register::FrfMsb as u8]), Operation::Read(&mut read)]).unwrap();
    assert_eq!(read, [0xE4, 0xC0, 0x26]);
    let mut words = [Register::FrfMid as u8, 0];
    bus.transfer_in_place(&mut words).unwrap();
    assert_eq!(words[1], 0xC0);
    assert_eq!(host.read_burst(Register::FrfMsb, 3), read);
}
