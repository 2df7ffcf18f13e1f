//! The upstream driver on an emulated chip, used as its documentation says, without any of our code around it. A
//! [`Scene`] gives it and our driver the same transmissions.

use super::barn::{BEGIN, Barn};
use embedded_hal_02::blocking::spi::{Transfer, Write};
use embedded_hal_02::digital::v2::OutputPin;
use radio::Radio;
use radio::emulator::{BusDownError, Chip, EmulatedDelay, Reset, Spi02, Transmission};
use radio::lora::Modulation;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use sx127x_lora::LoRa;
use tokio::time::{sleep, timeout};

/// Number of transfers after which a call counts as an endless loop.
const MAX_TRANSFERS: u32 = 100_000;
/// Length of one poll of the upstream driver, in its milliseconds.
const POLL_MS: i32 = 20;

/// A packet as either driver reports it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PacketReport {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rssi_dbm: f64,
    pub(crate) snr_db: f64,
    pub(crate) frequency_error_hz: f64,
}

/// Transmissions on the air, and the behavior of the receiving program.
pub(crate) struct Scene {
    pub(crate) modulation: Modulation,
    pub(crate) sent: Vec<Transmission>,
    /// Silence between two transmissions.
    pub(crate) gap: Duration,
    /// Time that the program spends on each packet, as for a commit.
    pub(crate) busy: Duration,
}

impl Scene {
    pub(crate) fn new(modulation: Modulation, sent: Vec<Transmission>) -> Self {
        let sent = sent.into_iter().map(|one| Transmission { modulation, ..one }).collect();
        Self { modulation, sent, gap: Duration::from_millis(50), busy: Duration::ZERO }
    }

    /// Schedules all transmissions on a fresh air. Returns the time at which the scene is over.
    fn plan(&self, barn: &Barn) -> Duration {
        let mut at = BEGIN;
        for transmission in &self.sent {
            barn.air.transmit(transmission.clone(), at).unwrap();
            let length = u8::try_from(transmission.payload.len()).unwrap();
            at += transmission.modulation.air_time(length) + self.gap;
        }
        at + self.busy + Duration::from_millis(100)
    }

    /// Returns the packets that our driver delivers.
    pub(crate) fn received_by_ours(&self) -> Vec<PacketReport> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.receive_with_ours())
    }

    async fn receive_with_ours(&self) -> Vec<PacketReport> {
        let barn = Barn::new(1);
        let end = self.plan(&barn);
        let mut radio = barn.radio(self.modulation);
        let mut received = Vec::new();
        loop {
            match timeout(Duration::from_millis(5), radio.receive()).await {
                Ok(packet) => {
                    let packet = packet.unwrap();
                    received.push(PacketReport {
                        bytes: packet.bytes,
                        rssi_dbm: f64::from(packet.rssi_dbm.unwrap()),
                        snr_db: f64::from(packet.snr_quarter_db.unwrap()) / 4.0,
                        frequency_error_hz: f64::from(packet.frequency_error_hz.unwrap()),
                    });
                    let free_at = barn.air.now() + self.busy;
                    while barn.air.now() < free_at {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                Err(_) if barn.air.now() > end => return received,
                Err(_) => {}
            }
        }
    }

    /// Returns the packets that the upstream driver delivers, or the text of its panic.
    pub(crate) fn received_by_upstream(&self) -> Result<Vec<PacketReport>, String> {
        caught(|| {
            let barn = Barn::new(1);
            let end = self.plan(&barn);
            let mut driver = upstream(&barn.chip, &self.modulation);
            let mut received = Vec::new();
            while barn.air.now() < end {
                let Ok(length) = driver.poll_irq(Some(POLL_MS)) else { continue };
                barn.air.pass(self.busy);
                let bytes = driver.read_packet().unwrap();
                received.push(PacketReport {
                    bytes: bytes[..length].to_vec(),
                    rssi_dbm: f64::from(driver.get_packet_rssi().unwrap()),
                    snr_db: driver.get_packet_snr().unwrap(),
                    #[expect(clippy::cast_precision_loss, reason = "the error is at most some thousands of Hz")]
                    frequency_error_hz: driver.get_packet_frequency_error().unwrap() as f64,
                });
            }
            received
        })
    }
}

/// The upstream driver on an emulated chip.
pub(crate) type UpstreamDriver = LoRa<BoundedBus, NoPin, Reset, EmulatedDelay>;

/// Sets the upstream driver up. It takes the frequency in whole MHz.
pub(crate) fn upstream(chip: &Chip, modulation: &Modulation) -> UpstreamDriver {
    let megahertz = i64::from(modulation.frequency_hz / 1_000_000);
    let Ok(mut driver) = LoRa::new(BoundedBus::new(chip), NoPin, chip.reset(), megahertz, chip.delay()) else {
        panic!("the upstream driver does not set the chip up")
    };
    driver.set_spreading_factor(modulation.spreading_factor.get()).unwrap();
    driver.set_signal_bandwidth(i64::from(modulation.bandwidth.hz())).unwrap();
    driver.set_coding_rate_4(modulation.coding_rate.denominator()).unwrap();
    driver.set_preamble_length(i64::from(modulation.preamble_symbols)).unwrap();
    driver.set_crc(true).unwrap();
    driver
}

/// Runs a function that may panic, and returns the text of the panic as an error.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown panic payload");
        format!("it panicked: {text}")
    })
}

/// A bus that panics after many transfers, because nothing else can stop an endless loop in the driver.
pub(crate) struct BoundedBus {
    bus: Spi02,
    left: u32,
}

impl BoundedBus {
    fn new(chip: &Chip) -> Self {
        Self { bus: chip.spi02(), left: MAX_TRANSFERS }
    }

    fn count(&mut self) {
        assert!(self.left > 0, "the call did not return within {MAX_TRANSFERS} transfers");
        self.left -= 1;
    }
}

impl Transfer<u8> for BoundedBus {
    type Error = BusDownError;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDownError> {
        self.count();
        self.bus.transfer(words)
    }
}

impl Write<u8> for BoundedBus {
    type Error = BusDownError;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDownError> {
        self.count();
        self.bus.write(words)
    }
}

/// A chip-select pin that does nothing, because the emulated bus drives chip select itself.
pub(crate) struct NoPin;

impl OutputPin for NoPin {
    type Error = Infallible;

    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
