//! Opens and examines the chip that the settings describe.

use super::{BoardKind, Sx127xSettings};
use crate::SettingsError;
use crate::board::{Board, BoardError, Rppal, find_gpio_chip};
use crate::lora::AirTimeBudget;
use crate::settings::error::{ExamineError, OpenError};
use crate::sx127x::{Examination, Settings, Sx127x, TransmitSettings, examine};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Sx127xSettings {
    /// Returns the settings of the driver, or the error of [`validate`](Self::validate).
    pub fn chip(&self) -> Result<Settings, SettingsError> {
        self.validate()?;
        let modulation = self.modulation()?;
        // Validated: the chip supports this power, and it fits into a byte.
        let transmit = self.transmit.then(|| TransmitSettings { power_dbm: self.power_dbm.unsigned_abs() });
        Ok(Settings { modulation, transmit, crc: self.crc, tcxo: self.tcxo })
    }

    /// Starts the radio under the given name.
    ///
    /// A fault of the board or the chip is not an error here: the radio reports it through its health and tries again.
    pub fn open(&self, name: &str) -> Result<Sx127x, OpenError> {
        match self.board {
            BoardKind::Rppal => self.start(name, self.rppal()),
            BoardKind::Linux => self.start(name, self.linux()),
        }
    }

    fn start(&self, name: &str, board: impl Board) -> Result<Sx127x, OpenError> {
        let settings = self.chip()?;
        Ok(if self.transmit {
            // What this station sent before the process started is unknown, so the budget starts exhausted.
            let budget = AirTimeBudget::exhausted(self.limits()?, Duration::ZERO);
            Sx127x::start_with_budget(name, board, settings, budget)
        } else {
            Sx127x::start(name, board, settings)
        }?)
    }

    /// Checks that the device files of the chip exist and may be opened.
    ///
    /// Returns the purpose, the path and the result of each device. Does not talk to the chip, so it does not disturb a
    /// radio that is using it.
    pub fn check_devices(&self) -> Vec<(&'static str, PathBuf, Result<(), BoardError>)> {
        let check = |path: &Path, to_error: fn(&Path, io::Error) -> BoardError| {
            OpenOptions::new().read(true).write(true).open(path).map(drop).map_err(|error| to_error(path, error))
        };
        let mut devices = vec![("bus", self.spi.clone(), check(&self.spi, BoardError::of_spi))];
        let has_lines = self.pins().has_lines();
        if has_lines && (self.board == BoardKind::Linux || !Rppal::maps_registers()) {
            devices.push(match find_gpio_chip(&self.gpio_chip) {
                Ok(path) => {
                    let opened = check(&path, BoardError::of_gpio_chip);
                    ("lines", path, opened)
                }
                Err(error) => ("lines", self.gpio_chip.clone(), Err(error)),
            });
        }
        devices
    }

    /// Examines the chip, see [`examine`]. No radio may use the chip meanwhile.
    ///
    /// Blocks for about 200 ms, and for a few seconds at most.
    pub fn examine(&self) -> Result<Examination, ExamineError> {
        let settings = self.chip()?;
        Ok(match self.board {
            BoardKind::Rppal => examine(&mut self.rppal(), &settings),
            BoardKind::Linux => examine(&mut self.linux(), &settings),
        }?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::Region;
    use crate::settings::LineSetting;

    /// Catches a transmitter that is set up although `transmit` is off, or with a power that the chip does not have.
    #[test]
    fn only_a_transmitting_radio_gets_a_power_and_only_one_the_chip_supports() {
        assert_eq!(Sx127xSettings::default().chip().unwrap().transmit, None);
        let lawful = Sx127xSettings {
            transmit: true,
            region: Some(Region::Eu868),
            frequency_hz: 869_525_000,
            power_dbm: 14,
            ..Sx127xSettings::default()
        };
        assert_eq!(lawful.chip().unwrap().transmit, Some(TransmitSettings { power_dbm: 14 }));
        let unsupported = Sx127xSettings { power_dbm: 18, ..lawful };
        assert_eq!(unsupported.chip().unwrap_err().key, "power_dbm");
    }

    /// Catches a device that is not looked at, and a chip that is needed although no line is wired.
    #[test]
    fn the_bus_and_the_chip_of_wired_lines_are_opened_for_a_look() {
        let devices = tempfile::tempdir().unwrap();
        let [spi, gpio_chip] = ["spidev0.0", "gpiochip0"].map(|name| devices.path().join(name));
        let settings = Sx127xSettings { board: BoardKind::Linux, spi, gpio_chip, ..Sx127xSettings::default() };
        let looked = |settings: &Sx127xSettings| -> Vec<_> {
            settings.check_devices().into_iter().map(|(what, path, opened)| (what, path, opened.is_ok())).collect()
        };
        let (bus, lines) = (settings.spi.clone(), settings.gpio_chip.clone());
        assert_eq!(looked(&settings), [("bus", bus.clone(), false), ("lines", lines.clone(), false)]);
        std::fs::write(&bus, "").unwrap();
        assert_eq!(looked(&settings), [("bus", bus.clone(), true), ("lines", lines.clone(), false)]);
        std::fs::write(&lines, "").unwrap();
        assert_eq!(looked(&settings), [("bus", bus.clone(), true), ("lines", lines, true)]);
        let (reset_line, dio0_line) = (LineSetting::None, LineSetting::None);
        assert_eq!(looked(&Sx127xSettings { reset_line, dio0_line, ..settings }), [("bus", bus, true)]);
    }
}
