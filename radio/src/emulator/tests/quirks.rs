//! Quirks of real chips beyond the receiver's settings: sync words of neighbors, a deaf receiver, a receiver that hangs,
//! calibration, and the oscillator.

use super::*;
use crate::emulator::{ChipOptions, Faults};

/// Returns the fate of a packet at a receiver on which `prepare` was called before it listens.
fn fate_after(prepare: impl FnOnce(&mut Host)) -> Fate {
    let mut host = Host::in_standby(&Air::default(), "barn", &Modulation::default());
    prepare(&mut host);
    host.set_mode(RECEIVE);
    host.receive(Transmission::of(*b"hxb:LOT7:1:2"));
    host.fates()[0]
}

#[test]
fn a_sync_word_is_passed_if_its_first_half_matches() {
    for (ours, theirs, fate) in [
        (0x12, 0x12, Fate::Unread),
        (0x12, 0x11, Fate::Unread),
        (0x12, 0x1F, Fate::Unread),
        (0xAA, 0xA0, Fate::Unread),
        (0x12, 0x34, Fate::OtherSettings),
        (0x12, 0x22, Fate::OtherSettings),
        (0x34, 0x12, Fate::OtherSettings),
    ] {
        let mut host =
            Host::in_standby(&Air::default(), "barn", &Modulation { sync_word: ours, ..Modulation::default() });
        host.set_mode(RECEIVE);
        host.receive(packet_with(Modulation { sync_word: theirs, ..Modulation::default() }));
        assert_eq!(host.fates(), [fate], "{ours:#04x} and {theirs:#04x}");
    }
}

#[test]
fn a_symbol_timeout_of_0_makes_continuous_receive_deaf() {
    assert_eq!(fate_after(|host| host.write(Register::SymbTimeoutLsb, 0)), Fate::NotListening);
    assert_eq!(fate_after(|host| host.write(Register::SymbTimeoutLsb, 1)), Fate::Unread);
    // The two high bits are in another register.
    let high_bits = |host: &mut Host| {
        host.write(Register::SymbTimeoutLsb, 0);
        host.write(Register::ModemConfig2, 0x75);
    };
    assert_eq!(fate_after(high_bits), Fate::Unread);
}

#[test]
fn hopping_and_the_detection_of_sf6_make_the_receiver_deaf() {
    for (register, value) in
        [(Register::HopPeriod, 1), (Register::DetectionThreshold, 0x0C), (Register::DetectOptimize, 0xC5)]
    {
        assert_eq!(fate_after(|host| host.write(register, value)), Fate::NotListening, "{register:?}");
    }
    assert_eq!(fate_after(|host| host.write(Register::DetectOptimize, 0x43)), Fate::Unread);
}

#[test]
fn a_receiver_that_hangs_hears_again_after_sleep_and_not_after_standby() {
    for (mode, fate) in [(STANDBY, Fate::NotListening), (RECEIVE, Fate::NotListening), (SLEEP, Fate::Unread)] {
        let mut host = Host::listening(&Air::default());
        host.chip.hang_receiver();
        host.set_mode(mode);
        host.set_mode(RECEIVE);
        host.receive(Transmission::of(*b"hxb:LOT7:1:2"));
        assert_eq!(host.fates(), [fate], "through mode {mode}");
    }
}

#[test]
fn an_oscillator_needs_its_bit_and_a_crystal_must_not_have_it() {
    for (tcxo, value, fate) in [
        (false, 0x09, Fate::Unread),
        (false, 0x19, Fate::NotListening),
        (true, 0x09, Fate::NotListening),
        (true, 0x19, Fate::Unread),
    ] {
        let air = Air::default();
        let chip = air.chip(ChipOptions { tcxo, ..ChipOptions::named("barn") });
        let mut host = Host { air: air.clone(), spi: chip.spi02(), dio0: chip.dio0(), chip };
        host.set_mode(SLEEP);
        host.configure(&Modulation::default());
        host.write(Register::Tcxo, value);
        host.set_mode(RECEIVE);
        host.receive(Transmission::of(*b"hxb:LOT7:1:2"));
        assert_eq!(host.fates(), [fate], "{tcxo} {value:#04x}");
    }
}

/// Writes `RegImageCal` in FSK standby at 868 MHz.
fn start_calibration(host: &mut Host) {
    host.write_burst(Register::FrfMsb, &[0xD9, 0x00, 0x00]);
    host.write(Register::OpMode, 0x01);
    host.write(Register::InvertIq2, 0xC2);
}

#[test]
fn a_calibration_takes_a_while_in_fsk_standby_and_a_reset_undoes_it() {
    let air = Air::default();
    let mut host = Host::powered_up(&air, "barn");
    assert_eq!(host.chip.calibrated_hz(), 434_000_000);
    start_calibration(&mut host);
    assert_eq!(host.read(Register::InvertIq2) & 0x60, 0x20, "it runs, and its start bit is clear");
    air.pass(ms(11));
    assert_eq!(host.read(Register::InvertIq2), 0x82);
    assert_eq!(host.chip.calibrated_hz(), 868_000_000);
    host.chip.reset_spontaneously();
    assert_eq!(host.chip.calibrated_hz(), 434_000_000);
}

#[test]
fn a_calibration_does_not_start_in_sleep_or_lora_and_may_never_end() {
    let air = Air::default();
    let mut host = Host::powered_up(&air, "barn");
    host.write(Register::OpMode, 0x00);
    host.write(Register::InvertIq2, 0xC2);
    host.set_mode(SLEEP);
    host.set_mode(STANDBY);
    host.write(Register::InvertIq2, 0x40);
    assert_eq!(host.chip.calibrated_hz(), 434_000_000);

    let mut host = Host::powered_up(&air, "stuck");
    host.chip.set_faults(Faults { no_calibration: true, ..Faults::default() });
    start_calibration(&mut host);
    air.pass(ms(1_000));
    assert_eq!(host.read(Register::InvertIq2) & 0x20, 0x20);
}

#[test]
fn pulses_on_a_dead_reset_do_not_arrive() {
    use embedded_hal_02::digital::v2::OutputPin;
    for (dead_reset, value) in [(true, 0x55), (false, 0x12)] {
        let air = Air::default();
        let mut host = Host::in_standby(&air, "barn", &Modulation { sync_word: 0x55, ..Modulation::default() });
        host.chip.set_faults(Faults { dead_reset, ..Faults::default() });
        let mut reset = host.chip.reset();
        reset.set_low().unwrap();
        reset.set_high().unwrap();
        air.pass(ms(10));
        host.set_mode(SLEEP);
        assert_eq!(host.read(Register::SyncWord), value);
    }
}
