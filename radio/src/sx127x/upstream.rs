//! The upstream driver, the crate `sx127x_lora`, for what it does right: reset, probe, modes, modem and power. No other
//! file names it.
//!
//! It never receives or transmits packets here. Its receive path accepts corrupt packets and loses the first of two;
//! its blocking transmit can spin forever; its packet readings lose their sign. `radio/tests/sx127x/defects.rs` checks
//! each claim against both drivers. What its set-up leaves wrong is fixed afterwards, in `setup`.
//!
//! It talks through a [`GuardedBus`], which turns impossible values into errors: it divides by what it reads. A check
//! before each call was rejected, because a module can be unplugged during the call.

use super::bus::{BusError, GuardedBus, NoChipSelect, SharedPart};
use super::error::ChipError;
use crate::board::Board;
use crate::lora::Modulation;
use std::convert::Infallible;
use sx127x_lora::{Error, LoRa, RadioMode};

/// The driver's number for the output that modules wire to the antenna (data sheet, section 5.4.2, `PA_BOOST`).
const PA_BOOST: u8 = 1;

type Driver<B> =
    LoRa<GuardedBus<<B as Board>::Bus>, NoChipSelect, SharedPart<<B as Board>::Reset>, SharedPart<<B as Board>::Delay>>;

/// The upstream driver on a board's chip.
pub(super) struct UpstreamDriver<B: Board>(Driver<B>);

impl<B: Board> UpstreamDriver<B> {
    /// Resets the chip, checks its version, and leaves it in standby in LoRa mode.
    ///
    /// The upstream driver takes whole MHz, so the carrier is off by up to one. `setup` sets it again in Hz.
    pub(super) fn reset(
        bus: SharedPart<B::Bus>,
        reset: SharedPart<B::Reset>,
        delay: SharedPart<B::Delay>,
        carrier_hz: u32,
    ) -> Result<Self, ChipError> {
        let whole_mhz = i64::from(carrier_hz / 1_000_000);
        LoRa::new(GuardedBus::new(bus), NoChipSelect, reset, whole_mhz, delay)
            .map(Self)
            .map_err(|error| chip_error("resetting the chip", error))
    }

    /// Sets the modem parameters, except for frequency, sync word and LowDataRateOptimize.
    pub(super) fn set_modem(&mut self, modulation: &Modulation) -> Result<(), ChipError> {
        self.try_set_modem(modulation).map_err(|error| chip_error("setting the modem", error))
    }

    fn try_set_modem(&mut self, modulation: &Modulation) -> Result<(), DriverError<B>> {
        let Self(driver) = self;
        driver.set_spreading_factor(modulation.spreading_factor.get())?;
        driver.set_signal_bandwidth(i64::from(modulation.bandwidth.hz()))?;
        driver.set_coding_rate_4(modulation.coding_rate.denominator())?;
        driver.set_preamble_length(i64::from(modulation.preamble_symbols))?;
        driver.set_crc(true)?;
        driver.set_invert_iq(modulation.invert_iq)
    }

    /// Sets the power of the boosted output: 2..=17 dBm, or 20.
    pub(super) fn set_power(&mut self, power_dbm: u8) -> Result<(), ChipError> {
        self.0.set_tx_power(i32::from(power_dbm), PA_BOOST).map_err(|error| chip_error("setting the power", error))
    }

    /// Puts the chip to sleep, which loses the content of the FIFO.
    pub(super) fn sleep(&mut self) -> Result<(), ChipError> {
        self.set_mode(RadioMode::Sleep)
    }

    pub(super) fn stand_by(&mut self) -> Result<(), ChipError> {
        self.set_mode(RadioMode::Stdby)
    }

    pub(super) fn receive(&mut self) -> Result<(), ChipError> {
        self.set_mode(RadioMode::RxContinuous)
    }

    /// Starts to transmit the content of the FIFO, and returns at once.
    pub(super) fn transmit(&mut self) -> Result<(), ChipError> {
        self.set_mode(RadioMode::Tx)
    }

    fn set_mode(&mut self, mode: RadioMode) -> Result<(), ChipError> {
        self.0.set_mode(mode).map_err(|error| chip_error("changing the chip's mode", error))
    }
}

type DriverError<B> =
    Error<BusError, Infallible, <<B as Board>::Reset as embedded_hal_02::digital::v2::OutputPin>::Error>;

fn chip_error<R>(context: &'static str, error: Error<BusError, Infallible, R>) -> ChipError {
    match error {
        Error::SPI(bus) => ChipError::from_bus(context)(bus),
        Error::VersionMismatch(0) => ChipError::Dead { context, byte: 0 },
        Error::VersionMismatch(version) => ChipError::UnsupportedVersion { version },
        Error::Reset(_) => ChipError::ResetLine,
        Error::CS(never) => match never {},
        // The calls above return neither.
        Error::Uninformative | Error::Transmitting => {
            ChipError::Bus { context, reason: "the upstream driver gave no reason".to_owned() }
        }
    }
}
