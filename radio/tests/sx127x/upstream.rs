//! The named driver as its documentation says that it is to be used, on an emulated chip, with nothing of ours around
//! it; and ours on the same air. What both are to be measured by is a [`Scene`].

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

/// Transfers after which a driver that has not come back is taken for one that never will.
const MOST_TRANSFERS: u32 = 100_000;
/// The named driver polls so long at a time, in its milliseconds.
const POLL_MS: i32 = 20;

/// A packet as either driver tells of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reception {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rssi_dbm: f64,
    pub(crate) snr_db: f64,
    pub(crate) frequency_error_hz: f64,
}

/// What is on the air, and what a listener does with it.
pub(crate) struct Scene {
    pub(crate) modulation: Modulation,
    pub(crate) on_air: Vec<Transmission>,
    /// Silence between two transmissions.
    pub(crate) gap: Duration,
    /// The listener is busy for so long with each packet, as with a commit.
    pub(crate) busy: Duration,
}

impl Scene {
    pub(crate) fn new(modulation: Modulation, on_air: Vec<Transmission>) -> Self {
        let on_air = on_air.into_iter().map(|sent| Transmission { modulation, ..sent }).collect();
        Self { modulation, on_air, gap: Duration::from_millis(50), busy: Duration::ZERO }
    }

    /// Plans all on a fresh air. Gives when it is over.
    fn plan(&self, barn: &Barn) -> Duration {
        let mut at = BEGIN;
        for sent in &self.on_air {
            barn.air.transmit(sent.clone(), at).unwrap();
            let length = u8::try_from(sent.payload.len()).unwrap();
            at += sent.modulation.air_time(length) + self.gap;
        }
        at + self.busy + Duration::from_millis(100)
    }

    /// What our driver makes of it.
    pub(crate) fn heard_by_ours(&self) -> Vec<Reception> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.listen_with_ours())
    }

    async fn listen_with_ours(&self) -> Vec<Reception> {
        let barn = Barn::new(1);
        let end = self.plan(&barn);
        let mut radio = barn.radio(self.modulation);
        let mut heard = Vec::new();
        loop {
            match timeout(Duration::from_millis(5), radio.receive()).await {
                Ok(packet) => {
                    let packet = packet.unwrap();
                    heard.push(Reception {
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
                Err(_) if barn.air.now() > end => return heard,
                Err(_) => {}
            }
        }
    }

    /// What the named driver makes of it; a panic is told as text.
    pub(crate) fn heard_by_bare(&self) -> Result<Vec<Reception>, String> {
        caught(|| {
            let barn = Barn::new(1);
            let end = self.plan(&barn);
            let mut driver = bare(&barn.chip, &self.modulation);
            let mut heard = Vec::new();
            while barn.air.now() < end {
                let Ok(length) = driver.poll_irq(Some(POLL_MS)) else { continue };
                barn.air.pass(self.busy);
                let bytes = driver.read_packet().unwrap();
                heard.push(Reception {
                    bytes: bytes[..length].to_vec(),
                    rssi_dbm: f64::from(driver.get_packet_rssi().unwrap()),
                    snr_db: driver.get_packet_snr().unwrap(),
                    #[expect(clippy::cast_precision_loss, reason = "an error of some Hz")]
                    frequency_error_hz: driver.get_packet_frequency_error().unwrap() as f64,
                });
            }
            heard
        })
    }
}

/// The named driver on an emulated chip.
pub(crate) type Bare = LoRa<BoundedBus, NoPin, Reset, EmulatedDelay>;

/// Sets the named driver up, in whole MHz as it takes them.
pub(crate) fn bare(chip: &Chip, modulation: &Modulation) -> Bare {
    let megahertz = i64::from(modulation.frequency_hz / 1_000_000);
    let Ok(mut driver) = LoRa::new(BoundedBus::new(chip), NoPin, chip.reset(), megahertz, chip.delay()) else {
        panic!("the named driver does not set the chip up")
    };
    driver.set_spreading_factor(modulation.spreading_factor.get()).unwrap();
    driver.set_signal_bandwidth(i64::from(modulation.bandwidth.hz())).unwrap();
    driver.set_coding_rate_4(modulation.coding_rate.denominator()).unwrap();
    driver.set_preamble_length(i64::from(modulation.preamble_symbols)).unwrap();
    driver.set_crc(true).unwrap();
    driver
}

/// Runs what may panic.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something else");
        format!("it panicked: {text}")
    })
}

/// A bus that ends an endless loop by a panic, as nothing else could.
pub(crate) struct BoundedBus {
    bus: Spi02,
    left: u32,
}

impl BoundedBus {
    fn new(chip: &Chip) -> Self {
        Self { bus: chip.spi02(), left: MOST_TRANSFERS }
    }

    fn count(&mut self) {
        assert!(self.left > 0, "it has not come back after {MOST_TRANSFERS} transfers");
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

/// Chip select, which the emulated bus drives itself.
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
