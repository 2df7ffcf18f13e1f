//! Modes of the chip, and reset.
//!
//! A chip that changes modes too willingly would hide a set-up that fails on real chips.

use super::*;
use embedded_hal_02::digital::v2::OutputPin;

#[test]
fn lora_bit_is_set_only_by_a_write_that_asks_for_sleep() {
    let mut host = Host::powered_up(&Air::default(), "barn");
    host.write(Register::OpMode, 0x81);
    assert_eq!(host.op_mode(), 0x01, "from standby to standby");
    host.write(Register::OpMode, 0x00);
    host.write(Register::OpMode, 0x85);
    assert_eq!(host.op_mode(), 0x05, "from sleep to receive");
    host.write(Register::OpMode, 0x80);
    assert_eq!(host.op_mode(), 0x80);
    host.write(Register::OpMode, 0x81);
    assert_eq!(host.op_mode(), 0x81);
}

#[test]
fn lora_bit_is_kept_outside_of_sleep_and_cleared_in_it() {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    host.write(Register::OpMode, 0x05);
    assert_eq!(host.op_mode(), 0x85);
    host.set_mode(SLEEP);
    host.write(Register::OpMode, 0x01);
    assert_eq!(host.op_mode(), 0x01);
}

#[test]
fn fsk_modem_does_not_hear_lora() {
    let air = Air::default();
    let mut host = Host::powered_up(&air, "barn");
    host.write(Register::OpMode, 0x05);
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.fates(), [Fate::NotListening]);
}

#[test]
fn transmission_and_single_reception_end_in_standby_but_continuous_reception_continues() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.op_mode(), 0x80 | RECEIVE);
    host.clear_flags();
    host.set_mode(RECEIVE_SINGLE);
    host.receive(Transmission::of(*b"a"));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER, "ended by its packet, not by a timeout");
    assert_eq!(host.op_mode(), 0x80 | STANDBY);
    host.send(b"a");
    assert_eq!(host.op_mode(), 0x80 | TRANSMIT);
    air.pass(ms(100));
    assert_eq!(host.op_mode(), 0x80 | STANDBY);
}

#[test]
fn reset_line_restores_all_registers_and_silences_the_chip_for_5_ms() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    let mut reset = host.chip.reset();
    reset.set_low().unwrap();
    air.pass(ms(1));
    assert_eq!(host.read(Register::Version), 0x00, "while RESET is held");
    reset.set_high().unwrap();
    assert_eq!(host.read(Register::Version), 0x00, "right after RESET is released");
    air.pass(ms(5));
    assert_eq!(host.read(Register::Version), 0x12);
    assert_eq!(host.op_mode(), 0x09);
    host.set_mode(SLEEP);
    assert_eq!(host.read(Register::ModemConfig2), 0x70, "the setting is gone");
}

#[test]
fn releasing_a_reset_line_that_was_not_held_does_nothing() {
    let mut host = Host::listening(&Air::default());
    host.chip.reset().set_high().unwrap();
    assert_eq!(host.op_mode(), 0x80 | RECEIVE);
}
