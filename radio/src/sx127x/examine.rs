//! What a person wants to know of a chip before trusting it: is it there, are its wires, how loud is the channel.

use std::time::Duration;

use embedded_hal_02::blocking::delay::DelayMs;
use embedded_hal_02::digital::v2::OutputPin;

use super::Settings;
use super::bus::{Port, Shared};
use super::convert::channel_dbm;
use super::fault::Fault;
use super::register::{Register, dio0, op_mode};
use super::setup::{Chip, Wired};
use crate::board::{Board, EdgeLine, Wake};
use crate::lora::Modulation;

/// Readings of the channel, one a millisecond.
const READINGS: usize = 64;
/// A look for activity takes less than three symbols (data sheet, section 4.1.6.6); the longest symbol is 525 ms.
const ACTIVITY_WITHIN: Duration = Duration::from_secs(2);
/// `RegOcp`, which both modems share: what it holds after a reset, and something else (data sheet, table 85).
const AFTER_RESET: u8 = 0x2B;
const MARK: u8 = 0x20;
/// A pulse on RESET, and the time after it (data sheet, section 7.2.2).
const RESET_MS: u8 = 10;

/// What was found of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examination {
    /// Whether a pulse on RESET resets the chip. If not, a chip that hangs cannot be helped.
    pub reset_works: bool,
    /// Whether DIO0 tells. If not, the radio hears by looking.
    pub dio0_tells: bool,
    /// The middle one of the readings of the channel, in dBm. In a quiet place near -174 + 10 log (bandwidth) + 6.
    pub noise_dbm: i16,
    /// The loudest one.
    pub loudest_dbm: i16,
}

/// Connects a chip, sets it up, tries its lines, listens to the noise, and leaves it in sleep. Blocks for some 200 ms, and
/// where DIO0 does not tell for 2 s more. Nobody else may use the chip meanwhile.
pub fn examine<B: Board>(board: &mut B, modulation: &Modulation) -> Result<Examination, Fault> {
    let wired = Wired::from(board.connect()?);
    let reset_works = resets::<B>(wired.bus.clone(), wired.reset.clone(), wired.delay.clone())?;
    let mut chip = Chip::set_up(wired, &Settings { modulation: *modulation, transmit: None })?;
    let mut readings = chip.read_channel()?;
    let dio0_tells = chip.tells_by_dio0()?;
    chip.named.sleep()?;
    readings.sort_unstable();
    let [noise_dbm, loudest_dbm] = [READINGS / 2, READINGS - 1].map(|place| readings[place]);
    Ok(Examination { reset_works, dio0_tells, noise_dbm, loudest_dbm })
}

/// Whether a register that was changed is back after a pulse on RESET.
fn resets<B: Board>(
    bus: Shared<B::Bus>,
    mut reset: Shared<B::Reset>,
    mut delay: Shared<B::Delay>,
) -> Result<bool, Fault> {
    let mut port = Port::new(bus);
    let failed = Fault::of_bus("trying the line RESET");
    port.write(Register::Ocp, MARK).map_err(&failed)?;
    reset.set_low().map_err(|_| Fault::ResetLine)?;
    delay.delay_ms(RESET_MS);
    reset.set_high().map_err(|_| Fault::ResetLine)?;
    delay.delay_ms(RESET_MS);
    Ok(port.read(Register::Ocp).map_err(&failed)? == AFTER_RESET)
}

impl<B: Board> Chip<B> {
    fn read_channel(&mut self) -> Result<[i16; READINGS], Fault> {
        let mut readings = [0; READINGS];
        for reading in &mut readings {
            self.delay.delay_ms(1);
            let value = self.port.read(Register::RssiValue).map_err(Fault::of_bus("listening to the channel"))?;
            *reading = channel_dbm(self.modulation.frequency_hz, value);
        }
        Ok(readings)
    }

    /// Lets the chip look for activity, which it ends by raising DIO0, whether there was any or not (section 4.1.6.6).
    fn tells_by_dio0(&mut self) -> Result<bool, Fault> {
        let failed = Fault::of_bus("trying the line DIO0");
        self.named.stand_by()?;
        self.port
            .write(Register::IrqFlagsMask, 0)
            .and_then(|()| self.port.write(Register::IrqFlags, 0xFF))
            .and_then(|()| self.port.change(Register::DioMapping1, dio0::MASK, dio0::CAD_DONE))
            .map_err(&failed)?;
        // What was heard before may have left an edge behind.
        self.dio0.wait(Duration::ZERO)?;
        self.port.write(Register::OpMode, op_mode::LONG_RANGE | op_mode::CAD).map_err(&failed)?;
        Ok(self.dio0.wait(ACTIVITY_WITHIN)? == Wake::Edge)
    }
}
