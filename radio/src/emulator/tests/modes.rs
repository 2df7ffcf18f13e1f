use embedded_hal_02::digital::v2::OutputPin;

use super::*;

#[test]
fn lora_is_taken_only_with_a_write_that_asks_for_sleep() {
    let mut host = Host::fresh(&Air::default(), "barn");
    host.write(Register::OpMode, 0x81);
    assert_eq!(host.mode_now(), 0x01, "from standby to standby");
    host.write(Register::OpMode, 0x00);
    host.write(Register::OpMode, 0x85);
    assert_eq!(host.mode_now(), 0x05, "from sleep to receive");
    host.write(Register::OpMode, 0x80);
    assert_eq!(host.mode_now(), 0x80);
    host.write(Register::OpMode, 0x81);
    assert_eq!(host.mode_now(), 0x81);
}

#[test]
fn lora_is_kept_outside_of_sleep_and_lost_in_it() {
    let mut host = Host::set_to(&Air::default(), "barn", &Modulation::default());
    host.write(Register::OpMode, 0x05);
    assert_eq!(host.mode_now(), 0x85);
    host.mode(SLEEP);
    host.write(Register::OpMode, 0x01);
    assert_eq!(host.mode_now(), 0x01);
}

#[test]
fn an_fsk_modem_hears_no_lora() {
    let air = Air::default();
    let mut host = Host::fresh(&air, "barn");
    host.write(Register::OpMode, 0x05);
    host.hear(Transmission::of(*b"a"));
    assert_eq!(host.fates(), [Fate::NotListening]);
}

#[test]
fn sending_and_a_single_reception_end_in_standby_and_continuous_reception_goes_on() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    host.hear(Transmission::of(*b"a"));
    assert_eq!(host.mode_now(), 0x80 | RECEIVE);
    host.clear_flags();
    host.mode(RECEIVE_SINGLE);
    host.hear(Transmission::of(*b"a"));
    assert_eq!(host.flags(), RX_DONE | VALID_HEADER, "with its packet, not with its time");
    assert_eq!(host.mode_now(), 0x80 | STANDBY);
    host.send(b"a");
    assert_eq!(host.mode_now(), 0x80 | TRANSMIT);
    air.pass(ms(100));
    assert_eq!(host.mode_now(), 0x80 | STANDBY);
}

#[test]
fn the_reset_line_brings_everything_back_and_silences_the_chip_for_5_ms() {
    let air = Air::default();
    let mut host = Host::listening(&air);
    let mut reset = host.chip.reset();
    reset.set_low().unwrap();
    air.pass(ms(1));
    assert_eq!(host.read(Register::Version), 0x00, "while it is held");
    reset.set_high().unwrap();
    assert_eq!(host.read(Register::Version), 0x00, "at once after it is let go");
    air.pass(ms(5));
    assert_eq!(host.read(Register::Version), 0x12);
    assert_eq!(host.mode_now(), 0x09);
    host.mode(SLEEP);
    assert_eq!(host.read(Register::ModemConfig2), 0x70, "what was set is gone");
}

#[test]
fn letting_go_a_reset_line_that_was_never_held_does_nothing() {
    let mut host = Host::listening(&Air::default());
    host.chip.reset().set_high().unwrap();
    assert_eq!(host.mode_now(), 0x80 | RECEIVE);
}
