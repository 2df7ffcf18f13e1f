//! The two real boards on a real kernel: its spidev calls, its GPIO character device, and an emulated chip behind both.
//!
//! `radio::emulator::device` provides the chip. Everything between the driver and the wires is the code that runs in a
//! barn.
//!
//! These tests need root and a kernel with the modules cuse and gpio-sim, which `image/test micro` provides. Elsewhere:
//! `modprobe cuse; modprobe gpio-sim; cargo test -p herdlinx-radio --features kernel-tests --test board_kernel --
//! --test-threads 1`.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue panics")]

use radio::emulator::device::{DIO0_LINE, Dio0Wire, RESET_LINE, Spidev, Wires};
use radio::emulator::{Air, AirOptions, Chip, Pace, Transmission};
use radio::lora::Modulation;
use radio::sx127x::{Settings, Sx127x, TransmitSettings};
use radio::{Health, LineSetting, Packet, Radio, Sx127xSettings};
use std::time::Duration;
use tokio::time::timeout;

/// Timeout of every wait. The kernel may itself be emulated.
const PATIENCE: Duration = Duration::from_secs(60);
const SPI_HZ: u32 = 2_000_000;

/// A chip on an air that runs in real time, behind device files of the kernel.
struct Bench {
    air: Air,
    chip: Chip,
    spidev: Spidev,
    wires: Wires,
    settings: Sx127xSettings,
}

impl Bench {
    fn new(select: u32) -> Self {
        let air = Air::new(AirOptions { pace: Pace::RealTime { speed: 1.0 }, ..AirOptions::default() });
        let chip = air.chip("barn");
        let wires = Wires::new(&chip, Dio0Wire::Connected).unwrap();
        let spidev = Spidev::new(&format!("spidev0.{select}"), &chip).unwrap();
        let settings = Sx127xSettings {
            spi: spidev.path().to_owned(),
            spi_hz: SPI_HZ,
            gpio_chip: wires.gpio_chip().to_owned(),
            reset_line: LineSetting::Wired(RESET_LINE),
            dio0_line: LineSetting::Wired(DIO0_LINE),
            ..Sx127xSettings::default()
        };
        assert_eq!(settings.validate(), Ok(Vec::new()));
        Self { air, chip, spidev, wires, settings }
    }

    fn send(&self, payload: &[u8]) {
        self.air.transmit(Transmission::of(payload), self.air.now() + Duration::from_millis(50)).unwrap();
    }

    async fn packet(&self, radio: &mut Sx127x) -> Packet {
        let Ok(packet) = timeout(PATIENCE, radio.receive()).await else {
            panic!(
                "no packet in time: {:?}, {:?}, resets {}, edges {}, {:?}",
                *radio.last_error().borrow(),
                radio.counters().read(),
                self.wires.resets(),
                self.wires.edges(),
                self.chip.verdicts()
            )
        };
        packet.unwrap()
    }
}

async fn check_reception_and_transmission(bench: &Bench, mut radio: Sx127x) {
    let mut health = radio.health();
    // A borrowed health would block the driver's thread at its next report.
    let is_listening = timeout(PATIENCE, health.wait_for(|health| *health == Health::Listening)).await.is_ok();
    assert!(is_listening, "{:?}", *radio.health().borrow());
    // The emulator polls the RESET wire, so the chip may still have been in reset at the first attempt.
    let rebuilt = radio.counters().read().rebuilt;
    assert_eq!(bench.spidev.modes(), [0], "mode 0, MSB first");
    assert_eq!(bench.spidev.clocks_hz(), [SPI_HZ]);
    assert!(bench.wires.resets() >= 1, "RESET was pulled");

    for length in [1_u8, 50, 255] {
        let payload: Vec<u8> = (1..=length).collect();
        bench.send(&payload);
        assert_eq!(bench.packet(&mut radio).await.bytes, payload);
    }
    let sent = timeout(PATIENCE, radio.transmitter().transmit(b"here is the barn")).await;
    sent.expect("the transmission ends").unwrap();
    bench.send(b"after that");
    assert_eq!(bench.packet(&mut radio).await.bytes, b"after that");

    let counters = radio.counters().read();
    assert_eq!((counters.received, counters.rebuilt), (4, rebuilt), "{:?}", *radio.last_error().borrow());
    assert!(bench.wires.edges() >= 1, "DIO0 rose");
    assert!(bench.chip.tally().total() >= 4);
}

fn driver_settings() -> Settings {
    Settings { transmit: Some(TransmitSettings { power_dbm: 14 }), ..Settings::listening(Modulation::default()) }
}

#[tokio::test]
async fn the_driver_works_through_linux_embedded_hal_on_a_kernel() {
    let bench = Bench::new(0);
    let radio = Sx127x::start("linux", bench.settings.linux(), driver_settings()).unwrap();
    check_reception_and_transmission(&bench, radio).await;
}

#[tokio::test]
async fn the_driver_works_through_rppal_on_a_kernel() {
    let bench = Bench::new(1);
    let radio = Sx127x::start("rppal", bench.settings.rppal(), driver_settings()).unwrap();
    check_reception_and_transmission(&bench, radio).await;
}

#[tokio::test]
async fn a_device_that_disappears_is_reported_and_the_radio_receives_again_once_it_is_back() {
    let mut bench = Bench::new(2);
    let mut radio = Sx127x::start("linux", bench.settings.linux(), driver_settings()).unwrap();
    let mut health = radio.health();
    timeout(PATIENCE, health.wait_for(|health| *health == Health::Listening)).await.unwrap().unwrap();
    bench.spidev.unplug().unwrap();
    let failing =
        timeout(PATIENCE, health.wait_for(|health| *health != Health::Listening)).await.unwrap().unwrap().clone();
    assert!(matches!(failing, Health::Failing(_)));
    bench.spidev = Spidev::new("spidev0.2", &bench.chip).unwrap();
    timeout(PATIENCE, health.wait_for(|health| *health == Health::Listening)).await.unwrap().unwrap();
    bench.send(b"back again");
    assert_eq!(bench.packet(&mut radio).await.bytes, b"back again");
    assert!(radio.counters().read().rebuilt >= 1);
}
