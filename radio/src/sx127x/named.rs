//! The named driver, `sx127x_lora`, for what it does right: reset, probe, modes, modem and power. No other file names
//! it.
//!
//! Its receive path takes corrupt packets for good ones and loses the first of two, its busy transmit path can spin
//! for ever, and its readings of a packet lose signs; none of them is called. What its set-up gets wrong is put right
//! behind it, in `setup`. It gets the bus [`Guarded`], so that a module pulled out at any moment is an error.

use std::convert::Infallible;

use sx127x_lora::{Error, LoRa, RadioMode};

use super::bus::{BusFault, Guarded, NoChipSelect, Shared};
use super::fault::Fault;
use crate::board::Board;
use crate::lora::Modulation;

/// The driver's number of the output that modules wire to the antenna (data sheet, section 5.4.2, `PA_BOOST`).
const PA_BOOST: u8 = 1;

type Driver<B> =
    LoRa<Guarded<<B as Board>::Bus>, NoChipSelect, Shared<<B as Board>::Reset>, Shared<<B as Board>::Delay>>;

/// The named driver on a board's chip.
pub(super) struct Named<B: Board>(Driver<B>);

impl<B: Board> Named<B> {
    /// Resets the chip, asks for its version, and leaves it in standby with LoRa's modem.
    ///
    /// The frequency is in whole MHz here, and wrong by up to one: it is set again in Hz.
    pub(super) fn reset(
        bus: Shared<B::Bus>,
        reset: Shared<B::Reset>,
        delay: Shared<B::Delay>,
        carrier_hz: u32,
    ) -> Result<Self, Fault> {
        let whole_mhz = i64::from(carrier_hz / 1_000_000);
        LoRa::new(Guarded::new(bus), NoChipSelect, reset, whole_mhz, delay)
            .map(Self)
            .map_err(|error| fault("resetting the chip", error))
    }

    /// Sets what both ends must agree on, apart from frequency, sync word and LowDataRateOptimize.
    pub(super) fn set_modem(&mut self, modulation: &Modulation) -> Result<(), Fault> {
        self.try_set_modem(modulation).map_err(|error| fault("setting the modem", error))
    }

    fn try_set_modem(&mut self, modulation: &Modulation) -> Result<(), DriverError<B>> {
        let Self(driver) = self;
        driver.set_spreading_factor(modulation.spreading_factor.get())?;
        driver.set_signal_bandwidth(i64::from(modulation.bandwidth.hz()))?;
        driver.set_coding_rate_4(modulation.coding_rate.denominator())?;
        driver.set_preamble_length(i64::from(modulation.preamble_symbols))?;
        driver.set_crc(true)?;
        driver.set_invert_iq(false)
    }

    /// Sets the power of the transmitter, at its boosted output: 2..=17 dBm, or 20.
    pub(super) fn set_power(&mut self, power_dbm: u8) -> Result<(), Fault> {
        self.0.set_tx_power(i32::from(power_dbm), PA_BOOST).map_err(|error| fault("setting the power", error))
    }

    /// Loses the FIFO.
    pub(super) fn sleep(&mut self) -> Result<(), Fault> {
        self.mode(RadioMode::Sleep)
    }

    pub(super) fn stand_by(&mut self) -> Result<(), Fault> {
        self.mode(RadioMode::Stdby)
    }

    pub(super) fn receive(&mut self) -> Result<(), Fault> {
        self.mode(RadioMode::RxContinuous)
    }

    /// Begins to transmit what is in the FIFO, and returns at once.
    pub(super) fn transmit(&mut self) -> Result<(), Fault> {
        self.mode(RadioMode::Tx)
    }

    fn mode(&mut self, mode: RadioMode) -> Result<(), Fault> {
        self.0.set_mode(mode).map_err(|error| fault("changing the chip's mode", error))
    }
}

type DriverError<B> =
    Error<BusFault, Infallible, <<B as Board>::Reset as embedded_hal_02::digital::v2::OutputPin>::Error>;

fn fault<R>(doing: &'static str, error: Error<BusFault, Infallible, R>) -> Fault {
    match error {
        Error::SPI(bus) => Fault::of_bus(doing)(bus),
        Error::VersionMismatch(0) => Fault::Dead { doing, byte: 0 },
        Error::VersionMismatch(version) => Fault::ForeignVersion { version },
        Error::Reset(_) => Fault::ResetLine,
        Error::CS(never) => match never {},
        // Neither comes from what is called here.
        Error::Uninformative | Error::Transmitting => {
            Fault::Bus { doing, reason: "the driver gave no reason".to_owned() }
        }
    }
}
