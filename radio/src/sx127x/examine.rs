//! An examination of a chip, for a person who sets one up: does it answer, do its lines work, how loud is the channel.
//!
//! It takes the chip out of receive mode, so it runs only while no daemon uses the chip: a daemon would lose reads
//! without noticing.

use super::bus::{Port, SharedPart};
use super::convert::channel_dbm;
use super::error::ChipError;
use super::register::{Register, dio0, op_mode};
use super::settings::Settings;
use super::setup::{Chip, SharedWiring};
use crate::board::{Board, EdgeLine, Wake};
use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::digital::v2::OutputPin;
use std::time::Duration;

/// Number of readings of the channel, one per millisecond.
const READINGS: usize = 64;
/// Timeout of a channel activity detection. It takes less than three symbols (data sheet, section 4.1.6.6), and the
/// longest symbol is 525 ms.
const CAD_TIMEOUT: Duration = Duration::from_secs(2);
/// `RegOcp` after a reset (data sheet, table 85). Both modems share this register.
const OCP_AFTER_RESET: u8 = 0x2B;
/// A different value for `RegOcp`, which a reset must undo.
const OCP_MARK: u8 = 0x20;
/// Length of a pulse on RESET, and of the wait after it (data sheet, section 7.2.2).
const RESET_MS: u8 = 10;

/// Result of an examination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examination {
    /// Effect of a pulse on RESET. Without it, a chip that hangs cannot be recovered.
    pub reset: LineCheck,
    /// Effect of the chip on DIO0. Without it, the radio receives by polling.
    pub dio0: LineCheck,
    /// Median of the channel readings, in dBm. In a quiet place about -174 + 10 log (bandwidth) + 6.
    pub noise_dbm: i16,
    /// Maximum of the channel readings, in dBm.
    pub loudest_dbm: i16,
}

/// Result of trying a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineCheck {
    /// The line works.
    Works,
    /// The line has no effect.
    Dead,
    /// The settings say that the line is not wired.
    NotWired,
}

impl LineCheck {
    fn of(works: bool) -> Self {
        if works { Self::Works } else { Self::Dead }
    }
}

/// Connects a chip, sets it up, tries its lines, measures the noise, and leaves it in sleep mode.
///
/// Blocks for about 200 ms, plus 2 s if DIO0 does not work. Nothing else may use the chip meanwhile.
pub fn examine<B: Board>(board: &mut B, settings: &Settings) -> Result<Examination, ChipError> {
    let wiring = SharedWiring::from(board.connect()?);
    let reset = if board.has_reset() {
        LineCheck::of(try_reset::<B>(wiring.bus.clone(), wiring.reset.clone(), wiring.delay.clone())?)
    } else {
        LineCheck::NotWired
    };
    let mut chip = Chip::set_up(wiring, &Settings { transmit: None, ..*settings })?;
    let mut readings = chip.read_channel()?;
    let dio0 = if chip.dio0.is_wired() { LineCheck::of(chip.try_dio0()?) } else { LineCheck::NotWired };
    chip.upstream.sleep()?;
    readings.sort_unstable();
    let [noise_dbm, loudest_dbm] = [READINGS / 2, READINGS - 1].map(|index| readings[index]);
    Ok(Examination { reset, dio0, noise_dbm, loudest_dbm })
}

/// Returns true if a pulse on RESET restores a register that was changed.
fn try_reset<B: Board>(
    bus: SharedPart<B::Bus>,
    mut reset: SharedPart<B::Reset>,
    mut delay: SharedPart<B::Delay>,
) -> Result<bool, ChipError> {
    let mut port = Port::new(bus);
    let bus_error = ChipError::from_bus("trying the RESET line");
    port.write(Register::Ocp, OCP_MARK).map_err(&bus_error)?;
    reset.set_low().map_err(|_| ChipError::ResetLine)?;
    delay.delay_ms(RESET_MS);
    reset.set_high().map_err(|_| ChipError::ResetLine)?;
    delay.delay_ms(RESET_MS);
    Ok(port.read(Register::Ocp).map_err(&bus_error)? == OCP_AFTER_RESET)
}

impl<B: Board> Chip<B> {
    fn read_channel(&mut self) -> Result<[i16; READINGS], ChipError> {
        let mut readings = [0; READINGS];
        for reading in &mut readings {
            self.delay.delay_ms(1);
            let value = self.port.read(Register::RssiValue).map_err(ChipError::from_bus("measuring the channel"))?;
            *reading = channel_dbm(self.modulation.frequency_hz, value);
        }
        Ok(readings)
    }

    /// Runs a channel activity detection. The chip raises DIO0 at its end, with or without activity (section 4.1.6.6).
    fn try_dio0(&mut self) -> Result<bool, ChipError> {
        let bus_error = ChipError::from_bus("trying the DIO0 line");
        self.upstream.stand_by()?;
        self.port
            .write(Register::IrqFlagsMask, 0)
            .and_then(|()| self.port.write(Register::IrqFlags, 0xFF))
            .and_then(|()| self.port.change(Register::DioMapping1, dio0::MASK, dio0::CAD_DONE))
            .map_err(&bus_error)?;
        // A packet received before may have left an edge behind.
        self.dio0.wait(Duration::ZERO)?;
        self.port.write(Register::OpMode, op_mode::LONG_RANGE | op_mode::CAD).map_err(&bus_error)?;
        Ok(self.dio0.wait(CAD_TIMEOUT)? == Wake::Edge)
    }
}
