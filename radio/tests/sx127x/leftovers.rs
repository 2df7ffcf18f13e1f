//! Leftovers of an earlier program in the chip, and states that a chip gets into by itself: every register that
//! reception depends on is written, the receiver is calibrated where it listens, and a receiver that hangs is restarted.

use super::barn::{BEGIN, Barn, failing, listening, packet, start_with, until};
use embedded_hal_02::blocking::spi::Write;
use radio::emulator::{Air, Chip, ChipOptions, Faults, Register};
use radio::lora::{Bandwidth, Modulation};
use radio::sx127x::{ChipError, Settings};
use radio::{Health, Radio};
use std::time::Duration;

/// Puts a chip whose RESET is dead into LoRa sleep mode and writes one register, as an earlier program did.
fn left_with(chip: &Chip, register: u8, value: u8) {
    chip.set_faults(Faults { dead_reset: true, ..Faults::default() });
    let mut bus = chip.spi02();
    for frame in [[0x81, 0x00], [0x81, 0x80], [0x80 | register, value]] {
        bus.write(&frame).unwrap();
    }
}

/// Checks that a chip with this leftover receives a packet of 12 bytes, and that the register was set.
async fn receives_after(register: u8, left: u8, expected: (Register, u8)) {
    let barn = Barn::new(1);
    left_with(&barn.chip, register, left);
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    assert_eq!(barn.chip.register(expected.0), expected.1, "{register:#04x} was left at {left:#04x}");
    barn.send_in(BEGIN, b"hxb:LOT7:1:2");
    assert_eq!(packet(&mut radio).await.bytes, b"hxb:LOT7:1:2", "{register:#04x} was left at {left:#04x}");
}

#[tokio::test]
async fn a_short_maximum_length_that_was_left_does_not_cut_packets() {
    for left in [0x0A, 0x00, 0x0B] {
        receives_after(0x23, left, (Register::MaxPayloadLength, 0xFF)).await;
    }
}

#[tokio::test]
async fn a_symbol_timeout_of_0_that_was_left_does_not_make_the_radio_deaf() {
    receives_after(0x1F, 0x00, (Register::SymbTimeoutLsb, 0x64)).await;
    // The high bits of the timeout, and a transmitter that never stops.
    receives_after(0x1E, 0x73, (Register::ModemConfig2, 0x74)).await;
    receives_after(0x1E, 0x7B, (Register::ModemConfig2, 0x74)).await;
}

#[tokio::test]
async fn hopping_inverted_iq_and_the_detection_of_sf6_that_were_left_are_undone() {
    receives_after(0x24, 0x05, (Register::HopPeriod, 0x00)).await;
    receives_after(0x37, 0x0C, (Register::DetectionThreshold, 0x0A)).await;
    receives_after(0x31, 0xC5, (Register::DetectOptimize, 0x43)).await;
    receives_after(0x33, 0x66, (Register::InvertIq, 0x27)).await;
    receives_after(0x3B, 0x19, (Register::InvertIq2, 0x1D)).await;
    receives_after(0x36, 0x02, (Register::HighBwOptimize1, 0x03)).await;
}

/// Catches a register that is set once and not watched: interference on the wires changes any of them.
#[tokio::test]
async fn a_register_that_changes_later_is_found_and_set_again() {
    for (register, value) in [(0x23, 0x0A), (0x1F, 0x00), (0x24, 0x01), (0x0C, 0x20), (0x37, 0x0C), (0x4B, 0x19)] {
        let barn = Barn::new(1);
        let mut radio = barn.radio(Modulation::default());
        listening(&radio).await;
        barn.chip.spi02().write(&[0x80 | register, value]).unwrap();
        until("the chip is set up again", || radio.counters().read().rebuilt == 1).await;
        listening(&radio).await;
        barn.send_in(BEGIN, b"hxb:LOT7:1:2");
        assert_eq!(packet(&mut radio).await.bytes, b"hxb:LOT7:1:2", "{register:#04x}");
    }
}

#[tokio::test]
async fn the_receiver_is_calibrated_at_its_own_frequency() {
    for (frequency_hz, bandwidth) in [
        (915_000_000, Bandwidth::Khz125),
        (868_100_000, Bandwidth::Khz500),
        (433_500_000, Bandwidth::Khz125),
        (169_400_000, Bandwidth::Khz62_5),
    ] {
        let barn = Barn::new(1);
        assert_eq!(barn.chip.calibrated_hz(), 434_000_000);
        let radio = barn.radio(Modulation { frequency_hz, bandwidth, ..Modulation::default() });
        listening(&radio).await;
        let apart_hz = barn.chip.calibrated_hz().abs_diff(frequency_hz);
        assert!(apart_hz < 100, "{} Hz for {frequency_hz}", barn.chip.calibrated_hz());
    }
}

#[tokio::test]
async fn a_calibration_that_never_ends_is_reported_and_the_radio_receives() {
    let barn = Barn::new(1);
    barn.chip.set_faults(Faults { no_calibration: true, ..Faults::default() });
    let mut radio = barn.radio(Modulation::default());
    listening(&radio).await;
    until("the missing calibration is reported", || radio.last_error().borrow().is_some()).await;
    assert!(matches!(**radio.last_error().borrow().as_ref().unwrap(), ChipError::NotCalibrated { .. }));
    barn.send_in(BEGIN, b"heard all the same");
    assert_eq!(packet(&mut radio).await.bytes, b"heard all the same");
}

/// Longer than the silence after which the driver restarts its receiver.
const LONG_SILENCE: Duration = Duration::from_secs(700);

#[tokio::test]
async fn a_receiver_that_hangs_is_restarted_after_a_long_silence() {
    for seed in 1..=3 {
        let barn = Barn::new(seed);
        let mut radio = barn.radio(Modulation::default());
        listening(&radio).await;
        barn.send_in(BEGIN, b"before");
        assert_eq!(packet(&mut radio).await.bytes, b"before");
        barn.chip.hang_receiver();
        barn.send_in(BEGIN, b"into deaf ears");
        barn.send_in(LONG_SILENCE, b"after");
        assert_eq!(packet(&mut radio).await.bytes, b"after");
        let counts = radio.counters().read();
        assert!(counts.received == 2 && counts.refreshed > 0 && counts.rebuilt == 0, "{counts:?}");
        assert_eq!(*radio.health().borrow(), Health::Listening);
    }
}

/// Catches a guard that interrupts a barn which is merely quiet, and one that counts from the wrong moment.
#[tokio::test]
async fn a_receiver_that_hears_a_packet_now_and_then_is_not_restarted() {
    let barn = Barn::new(1);
    // More than are received here: the air runs on while the counter is read.
    for number in 1..=50 {
        barn.send_in(Duration::from_secs(9 * 60) * number, b"hxb:LOT7:1:2");
    }
    let mut radio = barn.radio(Modulation::default());
    for _ in 0..5 {
        packet(&mut radio).await;
    }
    assert_eq!(radio.counters().read().refreshed, 0);
}

#[tokio::test]
async fn a_module_with_an_oscillator_needs_tcxo_and_one_with_a_crystal_must_not_have_it() {
    for (module, setting, hears) in
        [(true, true, true), (false, false, true), (true, false, false), (false, true, false)]
    {
        let air = Air::default();
        let chip = air.chip(ChipOptions { tcxo: module, ..ChipOptions::named("barn") });
        let settings = Settings { tcxo: setting, ..Settings::listening(Modulation::default()) };
        let mut radio = start_with(chip.board(), settings);
        listening(&radio).await;
        let barn = Barn { air, chip };
        barn.send_in(BEGIN, b"hxb:LOT7:1:2");
        if hears {
            assert_eq!(packet(&mut radio).await.bytes, b"hxb:LOT7:1:2");
        } else {
            until("the packet is over", || barn.chip.tally().total() == 1).await;
            assert_eq!(radio.counters().read().received, 0);
        }
    }
}

/// Catches a dead RESET that stops a radio which would receive without it.
#[tokio::test]
async fn a_dead_bus_is_still_reported_if_reset_is_dead_too() {
    let barn = Barn::new(1);
    let dead_bus = Some(radio::emulator::DeadBus::Ones);
    barn.chip.set_faults(Faults { dead_reset: true, dead_bus, ..Faults::default() });
    let mut radio = barn.radio(Modulation::default());
    assert!(failing(&radio).await.contains("no chip answers"));
    barn.chip.set_faults(Faults { dead_reset: true, ..Faults::default() });
    listening(&radio).await;
    barn.send_in(BEGIN, b"well again");
    assert_eq!(packet(&mut radio).await.bytes, b"well again");
}
