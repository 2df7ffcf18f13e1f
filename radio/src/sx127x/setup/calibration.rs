//! Calibrating the receiver at the working frequency, and selecting the oscillator.
//!
//! At power-up the chip calibrates its image rejection at 434 MHz only, and a reset repeats that (data sheet, section
//! on image and RSSI calibration). Elsewhere a strong signal on the image frequency is then received as if it were in
//! the channel. Only FSK standby can calibrate, so the chip leaves LoRa mode for it, through sleep.
//!
//! A calibration that does not finish is reported, but the chip is used: it hears its channel all the same, and a
//! barn that hears a little worse is better than a deaf one.

use super::expected::TCXO_INPUT;
use super::receive_carrier;
use crate::sx127x::bus::{BusError, Port};
use crate::sx127x::convert::is_low_port;
use crate::sx127x::register::{IMAGE_CAL, Register, op_mode};
use crate::sx127x::settings::Settings;
use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::blocking::spi::{Transfer, Write};

/// `RegImageCal` bit 6: starts a calibration.
const START: u8 = 0x40;
/// `RegImageCal` bit 5: a calibration is running.
const RUNNING: u8 = 0x20;
/// Time that a crystal or an oscillator gets to start (data sheet, table 8: 250 us for a crystal).
const OSCILLATOR_START_MS: u8 = 5;
/// Timeout of a calibration, with a wide margin.
pub(in crate::sx127x) const CALIBRATION_TIMEOUT_MS: u32 = 50;

/// Selects the oscillator and calibrates a chip in LoRa mode, and leaves it in LoRa standby. Returns false if the
/// calibration did not finish in time.
pub(super) fn calibrate<S, E>(
    port: &mut Port<S>,
    delay: &mut impl DelayMs<u8>,
    settings: &Settings,
) -> Result<bool, BusError>
where
    S: Transfer<u8, Error = E> + Write<u8, Error = E>,
    E: std::fmt::Debug,
{
    let Settings { modulation, tcxo, .. } = settings;
    let band = if is_low_port(modulation.frequency_hz) { op_mode::LOW_FREQUENCY } else { 0 };
    // The modem changes only in sleep mode (data sheet, table 85, `RegOpMode`).
    port.write(Register::OpMode, op_mode::SLEEP)?;
    port.write(Register::OpMode, op_mode::FSK_SLEEP)?;
    port.change(Register::Tcxo, TCXO_INPUT, if *tcxo { TCXO_INPUT } else { 0 })?;
    port.write_from(Register::FrfMsb, &receive_carrier(modulation))?;
    port.write(Register::OpMode, op_mode::FSK_STANDBY | band)?;
    delay.delay_ms(OSCILLATOR_START_MS);
    port.change(IMAGE_CAL, START, START)?;
    let finished = wait_until_calibrated(port, delay)?;
    port.write(Register::OpMode, op_mode::FSK_SLEEP)?;
    port.write(Register::OpMode, op_mode::SLEEP)?;
    port.write(Register::OpMode, op_mode::STANDBY)?;
    Ok(finished)
}

fn wait_until_calibrated<S, E>(port: &mut Port<S>, delay: &mut impl DelayMs<u8>) -> Result<bool, BusError>
where
    S: Transfer<u8, Error = E> + Write<u8, Error = E>,
    E: std::fmt::Debug,
{
    for _ in 0..CALIBRATION_TIMEOUT_MS {
        delay.delay_ms(1);
        if port.read(IMAGE_CAL)? & RUNNING == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
