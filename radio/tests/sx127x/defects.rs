//! Defects of the upstream driver, each as one claim that our driver keeps and the upstream driver breaks.
//!
//! A claim that the upstream driver also kept would fail here: then it is not a defect, or the emulator does not show
//! it.

use super::barn::{BEGIN, Barn, PATIENCE, failing, listening, packet, until};
use super::upstream::{PacketReport, Scene, caught, upstream};
use embedded_hal_02::blocking::delay::DelayMs;
use radio::Radio;
use radio::emulator::{DeadBus, Faults, Register, Transmission};
use radio::lora::{Bandwidth, CodingRate, Modulation, SpreadingFactor};
use std::time::Duration;
use sx127x_lora::RadioMode;
use tokio::time::timeout;

/// Failure message if the upstream driver keeps a claim.
const KEPT: &str = "the upstream driver keeps this claim: it is not a defect, or the emulator does not show it";

/// A claim about the received packets. The error says how it is broken.
type Claim<'a> = &'a dyn Fn(&[PacketReport]) -> Result<(), String>;

/// Checks that our driver keeps the claim and the upstream driver breaks it.
fn only_ours_keeps(claim: Claim<'_>, scene: &Scene) {
    let ours = scene.received_by_ours();
    claim(&ours).unwrap_or_else(|breach| panic!("our driver: {breach}"));
    match scene.received_by_upstream().and_then(|packets| claim(&packets)) {
        Ok(()) => panic!("{KEPT}"),
        Err(breach) => println!("the upstream driver: {breach}"),
    }
}

/// Claims that exactly these payloads are received, in this order.
fn receives(payloads: &[&[u8]], packets: &[PacketReport]) -> Result<(), String> {
    let found: Vec<&[u8]> = packets.iter().map(|packet| packet.bytes.as_slice()).collect();
    if found == payloads { Ok(()) } else { Err(format!("received {found:02x?} instead of {payloads:02x?}")) }
}

fn near(what: &str, found: f64, expected: f64, within: f64) -> Result<(), String> {
    if (found - expected).abs() <= within { Ok(()) } else { Err(format!("{what} is {found} instead of {expected}")) }
}

#[test]
fn a_packet_with_a_wrong_crc_is_not_delivered() {
    let sent = vec![
        Transmission::of(*b"first"),
        Transmission { corrupted: true, ..Transmission::of(*b"spoiled") },
        Transmission::of(*b"third"),
    ];
    let scene = Scene::new(Modulation::default(), sent);
    only_ours_keeps(&|packets| receives(&[b"first", b"third"], packets), &scene);
}

#[test]
fn a_packet_without_a_crc_is_not_delivered() {
    let sent = vec![Transmission::of(*b"sure"), Transmission { crc: false, ..Transmission::of(*b"nobody knows") }];
    let scene = Scene::new(Modulation::default(), sent);
    only_ours_keeps(&|packets| receives(&[b"sure"], packets), &scene);
}

#[test]
fn a_packet_that_ends_before_the_previous_one_is_fetched_loses_neither() {
    let sent = vec![Transmission::of(*b"first"), Transmission::of(*b"the second")];
    // The second packet, 41 ms long, ends within a commit of 200 ms.
    let scene = Scene { busy: Duration::from_millis(200), ..Scene::new(Modulation::default(), sent) };
    only_ours_keeps(&|packets| receives(&[b"first", b"the second"], packets), &scene);
}

fn long_symbols_are_received(factor: u8, bandwidth: Bandwidth) {
    let spreading_factor = SpreadingFactor::new(factor).unwrap();
    let modulation = Modulation { spreading_factor, bandwidth, ..Modulation::default() };
    assert!(modulation.low_data_rate_optimize());
    let scene = Scene::new(modulation, vec![Transmission::of(*b"from afar")]);
    only_ours_keeps(&|packets| receives(&[b"from afar"], packets), &scene);
}

#[test]
fn long_symbols_are_received_at_sf11_and_125_khz() {
    long_symbols_are_received(11, Bandwidth::Khz125);
}

#[test]
fn long_symbols_are_received_at_sf12_and_250_khz() {
    long_symbols_are_received(12, Bandwidth::Khz250);
}

#[test]
fn long_symbols_are_received_at_sf10_and_62_5_khz() {
    long_symbols_are_received(10, Bandwidth::Khz62_5);
}

#[test]
fn the_signal_to_noise_ratio_below_the_noise_is_negative() {
    // Noise in 125 kHz is -174 + 51 + 6 = -117 dBm.
    let sent = vec![Transmission { rssi_dbm: -122.0, ..Transmission::of(*b"faint") }];
    let scene = Scene::new(Modulation::default(), sent);
    let claim = |packets: &[PacketReport]| {
        receives(&[b"faint"], packets)?;
        near("the ratio in dB", packets[0].snr_db, -5.0, 0.3)
    };
    only_ours_keeps(&claim, &scene);
}

#[test]
fn strength_at_433_mhz_uses_the_offset_of_that_band() {
    let modulation = Modulation { frequency_hz: 433_000_000, ..Modulation::default() };
    let sent = vec![Transmission { rssi_dbm: -115.0, ..Transmission::of(*b"low band") }];
    let claim = |packets: &[PacketReport]| {
        receives(&[b"low band"], packets)?;
        near("the strength in dBm", packets[0].rssi_dbm, -115.0, 1.0)
    };
    only_ours_keeps(&claim, &Scene::new(modulation, sent));
}

#[test]
fn a_channel_between_two_whole_mhz_is_received() {
    let modulation = Modulation { frequency_hz: 868_100_000, ..Modulation::default() };
    let scene = Scene::new(modulation, vec![Transmission::of(*b"868.1")]);
    only_ours_keeps(&|packets| receives(&[b"868.1"], packets), &scene);
}

#[test]
fn the_frequency_error_has_the_sign_of_the_sender() {
    let off = |frequency_error_hz| Transmission { frequency_error_hz, ..Transmission::of(*b"off") };
    let scene = Scene::new(Modulation::default(), vec![off(4_000), off(-4_000)]);
    let claim = |packets: &[PacketReport]| {
        receives(&[b"off", b"off"], packets)?;
        near("the first error in Hz", packets[0].frequency_error_hz, 4_000.0, 2.0)?;
        near("the second error in Hz", packets[1].frequency_error_hz, -4_000.0, 2.0)
    };
    only_ours_keeps(&claim, &scene);
}

#[tokio::test]
async fn every_header_mode_keeps_bandwidth_and_coding_rate() {
    let modulation =
        Modulation { bandwidth: Bandwidth::Khz250, coding_rate: CodingRate::FourSevenths, ..Modulation::default() };
    let expected = (8 << 4) | (3 << 1);
    // Our driver has one header mode: a barn does not know the length of the next packet.
    let ours = Barn::new(1);
    let radio = ours.radio(modulation);
    listening(&radio).await;
    assert_eq!(ours.chip.register(Register::ModemConfig1), expected);

    let theirs = Barn::new(1);
    let mut driver = upstream(&theirs.chip, &modulation);
    driver.explicit_header = false;
    driver.set_mode(RadioMode::Stdby).unwrap();
    assert_ne!(theirs.chip.register(Register::ModemConfig1) & 0xFE, expected, "{KEPT}");
}

#[tokio::test]
async fn a_queued_packet_is_returned_without_waiting() {
    let ours = Barn::new(1);
    ours.air.transmit(Transmission::of(*b"here"), BEGIN).unwrap();
    let mut radio = ours.radio(Modulation::default());
    until("the packet is read", || ours.air.now() > BEGIN + Duration::from_millis(200)).await;
    timeout(Duration::ZERO, radio.receive()).await.expect("the packet is queued").unwrap();

    let theirs = Barn::new(1);
    theirs.air.transmit(Transmission::of(*b"here"), BEGIN).unwrap();
    let mut driver = upstream(&theirs.chip, &Modulation::default());
    driver.set_mode(RadioMode::RxContinuous).unwrap();
    theirs.air.pass(BEGIN + Duration::from_millis(200));
    assert!(driver.poll_irq(Some(0)).is_err(), "{KEPT}");
}

#[tokio::test]
async fn an_unplugged_module_delivers_no_packets() {
    let unplugged = Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() };
    let ours = Barn::new(1);
    let mut radio = ours.radio(Modulation::default());
    listening(&radio).await;
    ours.chip.set_faults(unplugged);
    failing(&radio).await;
    assert!(timeout(Duration::ZERO, radio.receive()).await.is_err());
    assert_eq!(radio.counters().read().crc_errors, 0);

    let theirs = Barn::new(1);
    let mut driver = upstream(&theirs.chip, &Modulation::default());
    theirs.chip.set_faults(unplugged);
    assert_eq!(driver.poll_irq(Some(10)).ok(), Some(255), "{KEPT}");
}

#[tokio::test]
async fn unplugging_a_module_during_its_set_up_is_an_error_and_not_a_panic() {
    let unplugged = Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() };
    let ours = Barn::new(1);
    ours.chip.set_faults(unplugged);
    let mut radio = ours.radio(Modulation::default());
    failing(&radio).await;
    ours.chip.set_faults(Faults::default());
    listening(&radio).await;
    ours.send_in(BEGIN, b"back");
    assert_eq!(packet(&mut radio).await.bytes, b"back");

    let theirs = Barn::new(1);
    let mut driver = upstream(&theirs.chip, &Modulation::default());
    theirs.chip.set_faults(unplugged);
    let breach = caught(|| driver.set_spreading_factor(9).is_err()).expect_err(KEPT);
    println!("the upstream driver: {breach}");
}

#[tokio::test]
async fn a_transmission_returns_even_if_the_chip_never_finishes_it() {
    let stuck = Faults { no_tx_done: true, ..Faults::default() };
    let ours = Barn::new(1);
    let radio = ours.transmitting_radio();
    listening(&radio).await;
    ours.chip.set_faults(stuck);
    let outcome = timeout(PATIENCE, radio.transmitter().transmit(b"stuck")).await;
    assert!(outcome.expect("the call returns").is_err());

    let theirs = Barn::new(1);
    let mut driver = upstream(&theirs.chip, &Modulation::default());
    theirs.chip.set_faults(stuck);
    let breach = caught(|| driver.transmit_payload_busy([7; 255], 5).is_ok());
    println!("the upstream driver: {}", breach.expect_err(KEPT));
}

#[tokio::test]
async fn dio0_is_low_after_a_transmission_and_can_signal_the_next_packet() {
    let ours = Barn::new(1);
    let radio = ours.transmitting_radio();
    listening(&radio).await;
    radio.transmitter().transmit(b"once").await.unwrap();
    assert!(!ours.chip.dio0_is_high());

    let theirs = Barn::new(1);
    let mut driver = upstream(&theirs.chip, &Modulation::default());
    driver.set_dio0_tx_done().unwrap();
    driver.transmit_payload_busy([7; 255], 5).unwrap();
    theirs.chip.delay().delay_ms(100_u8);
    // The driver reports that it no longer transmits. This call should have cleared the flag.
    assert!(!driver.transmitting().unwrap());
    assert!(theirs.chip.dio0_is_high(), "{KEPT}");
}
