//! Each defect of the named driver as one claim, held against both: ours keeps it, and the named driver does not. A
//! claim that the named driver kept would be found out here.

use super::barn::{BEGIN, Barn, failing, listening, packet, until};
use super::upstream::{Reception, Scene, bare, caught};
use embedded_hal_02::blocking::delay::DelayMs;
use radio::Radio;
use radio::emulator::{DeadBus, Faults, Register, Transmission};
use radio::lora::{Bandwidth, CodingRate, Modulation, SpreadingFactor};
use std::time::Duration;
use sx127x_lora::RadioMode;
use tokio::time::timeout;

/// A claim about what is heard. The text says how it is broken.
type Claim<'a> = &'a dyn Fn(&[Reception]) -> Result<(), String>;

/// Ours keeps the claim, the named driver breaks it.
fn only_ours_keeps(claim: Claim<'_>, scene: &Scene) {
    let ours = scene.heard_by_ours();
    claim(&ours).unwrap_or_else(|breach| panic!("our driver: {breach}"));
    match scene.heard_by_bare().and_then(|heard| claim(&heard)) {
        Ok(()) => panic!("the named driver keeps this claim: it is no defect, or the emulator does not show it"),
        Err(breach) => println!("the named driver: {breach}"),
    }
}

/// Exactly these payloads are heard, in this order.
fn hears(payloads: &[&[u8]], heard: &[Reception]) -> Result<(), String> {
    let found: Vec<&[u8]> = heard.iter().map(|heard| heard.bytes.as_slice()).collect();
    if found == payloads { Ok(()) } else { Err(format!("{found:02x?} was heard in place of {payloads:02x?}")) }
}

fn near(what: &str, found: f64, expected: f64, within: f64) -> Result<(), String> {
    if (found - expected).abs() <= within { Ok(()) } else { Err(format!("{what} is {found} in place of {expected}")) }
}

#[test]
fn a_packet_with_a_wrong_crc_is_not_heard() {
    let on_air = vec![
        Transmission::of(*b"first"),
        Transmission { corrupted: true, ..Transmission::of(*b"spoiled") },
        Transmission::of(*b"third"),
    ];
    let scene = Scene::new(Modulation::default(), on_air);
    only_ours_keeps(&|heard| hears(&[b"first", b"third"], heard), &scene);
}

#[test]
fn a_packet_without_a_crc_is_not_heard() {
    let on_air = vec![Transmission::of(*b"sure"), Transmission { crc: false, ..Transmission::of(*b"nobody knows") }];
    let scene = Scene::new(Modulation::default(), on_air);
    only_ours_keeps(&|heard| hears(&[b"sure"], heard), &scene);
}

#[test]
fn a_packet_that_comes_before_the_last_one_is_fetched_costs_neither() {
    let on_air = vec![Transmission::of(*b"first"), Transmission::of(*b"the second")];
    // A commit of 200 ms: the second one, 41 ms long, comes within.
    let scene = Scene { busy: Duration::from_millis(200), ..Scene::new(Modulation::default(), on_air) };
    only_ours_keeps(&|heard| hears(&[b"first", b"the second"], heard), &scene);
}

fn long_symbols_are_heard(factor: u8, bandwidth: Bandwidth) {
    let spreading_factor = SpreadingFactor::new(factor).unwrap();
    let modulation = Modulation { spreading_factor, bandwidth, ..Modulation::default() };
    assert!(modulation.low_data_rate_optimize());
    let scene = Scene::new(modulation, vec![Transmission::of(*b"from afar")]);
    only_ours_keeps(&|heard| hears(&[b"from afar"], heard), &scene);
}

#[test]
fn long_symbols_are_heard_at_sf11_and_125_khz() {
    long_symbols_are_heard(11, Bandwidth::Khz125);
}

#[test]
fn long_symbols_are_heard_at_sf12_and_250_khz() {
    long_symbols_are_heard(12, Bandwidth::Khz250);
}

#[test]
fn long_symbols_are_heard_at_sf10_and_62_5_khz() {
    long_symbols_are_heard(10, Bandwidth::Khz62_5);
}

#[test]
fn a_ratio_below_the_noise_is_negative() {
    // Noise in 125 kHz is -174 + 51 + 6 = -117 dBm.
    let on_air = vec![Transmission { rssi_dbm: -122.0, ..Transmission::of(*b"faint") }];
    let scene = Scene::new(Modulation::default(), on_air);
    let claim = |heard: &[Reception]| {
        hears(&[b"faint"], heard)?;
        near("the ratio in dB", heard[0].snr_db, -5.0, 0.3)
    };
    only_ours_keeps(&claim, &scene);
}

#[test]
fn strength_at_433_mhz_counts_from_the_floor_of_that_band() {
    let modulation = Modulation { frequency_hz: 433_000_000, ..Modulation::default() };
    let on_air = vec![Transmission { rssi_dbm: -115.0, ..Transmission::of(*b"low band") }];
    let claim = |heard: &[Reception]| {
        hears(&[b"low band"], heard)?;
        near("the strength in dBm", heard[0].rssi_dbm, -115.0, 1.0)
    };
    only_ours_keeps(&claim, &Scene::new(modulation, on_air));
}

#[test]
fn a_channel_between_two_whole_mhz_is_heard() {
    let modulation = Modulation { frequency_hz: 868_100_000, ..Modulation::default() };
    let scene = Scene::new(modulation, vec![Transmission::of(*b"868.1")]);
    only_ours_keeps(&|heard| hears(&[b"868.1"], heard), &scene);
}

#[test]
fn a_sender_below_is_told_from_one_above() {
    let off = |frequency_error_hz| Transmission { frequency_error_hz, ..Transmission::of(*b"off") };
    let scene = Scene::new(Modulation::default(), vec![off(4_000), off(-4_000)]);
    let claim = |heard: &[Reception]| {
        hears(&[b"off", b"off"], heard)?;
        near("the first error in Hz", heard[0].frequency_error_hz, 4_000.0, 2.0)?;
        near("the second error in Hz", heard[1].frequency_error_hz, -4_000.0, 2.0)
    };
    only_ours_keeps(&claim, &scene);
}

#[tokio::test]
async fn whatever_header_a_driver_offers_leaves_bandwidth_and_coding_rate() {
    let modulation =
        Modulation { bandwidth: Bandwidth::Khz250, coding_rate: CodingRate::FourSevenths, ..Modulation::default() };
    let set = (8 << 4) | (3 << 1);
    // Ours offers one: a barn does not know how long the next packet will be.
    let ours = Barn::new(1);
    let radio = ours.radio(modulation);
    listening(&radio).await;
    assert_eq!(ours.chip.register(Register::ModemConfig1), set);

    let theirs = Barn::new(1);
    let mut driver = bare(&theirs.chip, &modulation);
    driver.explicit_header = false;
    driver.set_mode(RadioMode::Stdby).unwrap();
    assert_ne!(theirs.chip.register(Register::ModemConfig1) & 0xFE, set, "the named driver keeps the claim");
}

#[tokio::test]
async fn a_packet_that_waits_is_had_without_waiting() {
    let ours = Barn::new(1);
    ours.air.transmit(Transmission::of(*b"here"), BEGIN).unwrap();
    let mut radio = ours.radio(Modulation::default());
    until("the packet is read", || ours.air.now() > BEGIN + Duration::from_millis(200)).await;
    timeout(Duration::ZERO, radio.receive()).await.expect("it is there").unwrap();

    let theirs = Barn::new(1);
    theirs.air.transmit(Transmission::of(*b"here"), BEGIN).unwrap();
    let mut driver = bare(&theirs.chip, &Modulation::default());
    driver.set_mode(RadioMode::RxContinuous).unwrap();
    theirs.air.pass(BEGIN + Duration::from_millis(200));
    assert!(driver.poll_irq(Some(0)).is_err(), "the named driver keeps the claim");
}

#[tokio::test]
async fn a_module_that_is_pulled_out_brings_no_packets() {
    let unplugged = Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() };
    let ours = Barn::new(1);
    let mut radio = ours.radio(Modulation::default());
    listening(&radio).await;
    ours.chip.set_faults(unplugged);
    failing(&radio).await;
    assert!(timeout(Duration::ZERO, radio.receive()).await.is_err());
    assert_eq!(radio.counters().read().crc_errors, 0);

    let theirs = Barn::new(1);
    let mut driver = bare(&theirs.chip, &Modulation::default());
    theirs.chip.set_faults(unplugged);
    assert_eq!(driver.poll_irq(Some(10)).ok(), Some(255), "the named driver keeps the claim");
}

#[tokio::test]
async fn a_module_that_is_pulled_out_while_it_is_set_up_is_an_error_and_no_panic() {
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
    let mut driver = bare(&theirs.chip, &Modulation::default());
    theirs.chip.set_faults(unplugged);
    let breach = caught(|| driver.set_spreading_factor(9).is_err()).expect_err("the named driver keeps the claim");
    println!("the named driver: {breach}");
}

#[tokio::test]
async fn a_transmission_that_the_chip_does_not_end_ends_all_the_same() {
    let stuck = Faults { no_tx_done: true, ..Faults::default() };
    let ours = Barn::new(1);
    let radio = ours.transmitting_radio();
    listening(&radio).await;
    ours.chip.set_faults(stuck);
    let outcome = timeout(super::barn::PATIENCE, radio.transmitter().transmit(b"stuck")).await;
    assert!(outcome.expect("it ends").is_err());

    let theirs = Barn::new(1);
    let mut driver = bare(&theirs.chip, &Modulation::default());
    theirs.chip.set_faults(stuck);
    let breach = caught(|| driver.transmit_payload_busy([7; 255], 5).is_ok());
    println!("the named driver: {}", breach.expect_err("the named driver keeps the claim"));
}

#[tokio::test]
async fn after_a_transmission_dio0_is_low_and_can_tell_of_the_next() {
    let ours = Barn::new(1);
    let radio = ours.transmitting_radio();
    listening(&radio).await;
    radio.transmitter().transmit(b"once").await.unwrap();
    assert!(!ours.chip.dio0_is_high());

    let theirs = Barn::new(1);
    let mut driver = bare(&theirs.chip, &Modulation::default());
    driver.set_dio0_tx_done().unwrap();
    driver.transmit_payload_busy([7; 255], 5).unwrap();
    theirs.chip.delay().delay_ms(100_u8);
    // As it says of itself, it does not transmit any more: here it would have cleared the flag.
    assert!(!driver.transmitting().unwrap());
    assert!(theirs.chip.dio0_is_high(), "the named driver keeps the claim");
}
