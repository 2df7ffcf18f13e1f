//! From the settings of a chip to the chip.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{BoardKind, OpenError, SettingsError, Sx127xSettings};
use crate::board::{Board, BoardError, Rppal};
use crate::lora::AirTimeBudget;
use crate::sx127x::{ChipError, Examination, Settings, Sx127x, TransmitSettings, examine};

/// Why a chip was not examined, or what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// A value is out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The chip is not as it should be.
    #[error(transparent)]
    Chip(#[from] ChipError),
}

impl Sx127xSettings {
    /// What the driver is to set up; or the first value that is out of its range, as [`validate`](Self::validate) has
    /// it.
    pub fn chip(&self) -> Result<Settings, SettingsError> {
        self.validate()?;
        let modulation = self.modulation()?;
        // In the range of a byte by then, and among what the chip can do.
        let transmit = self.transmit.then(|| TransmitSettings { power_dbm: self.power_dbm.unsigned_abs() });
        Ok(Settings { modulation, transmit })
    }

    /// Starts the radio; `name` is its own. What is wrong with board or chip is no error here: the radio says so
    /// itself, and tries again.
    pub fn open(&self, name: &str) -> Result<Sx127x, OpenError> {
        match self.board {
            BoardKind::Rppal => self.start(name, self.rppal()),
            BoardKind::Linux => self.start(name, self.linux()),
        }
    }

    fn start(&self, name: &str, board: impl Board) -> Result<Sx127x, OpenError> {
        let settings = self.chip()?;
        Ok(if self.transmit {
            // Nobody knows what this station sent before the process was started.
            let budget = AirTimeBudget::exhausted(self.limits()?, Duration::ZERO);
            Sx127x::start_with_budget(name, board, settings, budget)
        } else {
            Sx127x::start(name, board, settings)
        }?)
    }

    /// Whether the devices that the chip hangs on are there and may be opened: each by what it is for, and its path.
    /// Says nothing to the chip, and disturbs no radio that has it.
    pub fn look_at_devices(&self) -> Vec<(&'static str, &Path, Result<(), BoardError>)> {
        let opened = |path: &Path, failed: fn(&Path, io::Error) -> BoardError| {
            OpenOptions::new().read(true).write(true).open(path).map(drop).map_err(|error| failed(path, error))
        };
        let mut devices = vec![("bus", self.spi.as_path(), opened(&self.spi, BoardError::of_spi))];
        if self.board == BoardKind::Linux || !Rppal::maps_registers() {
            devices.push(("lines", &self.gpio_chip, opened(&self.gpio_chip, BoardError::of_gpio_chip)));
        }
        devices
    }

    /// Looks at the chip: see [`examine`]. Nobody else may use it meanwhile. Blocks for some 200 ms, at most a few
    /// seconds.
    pub fn examine(&self) -> Result<Examination, ExamineError> {
        let modulation = self.chip()?.modulation;
        Ok(match self.board {
            BoardKind::Rppal => examine(&mut self.rppal(), &modulation),
            BoardKind::Linux => examine(&mut self.linux(), &modulation),
        }?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::Region;

    #[test]
    fn a_chip_that_only_listens_gets_no_power_and_one_that_transmits_gets_one_that_it_has() {
        assert_eq!(Sx127xSettings::default().chip().unwrap().transmit, None);
        let lawful = Sx127xSettings {
            transmit: true,
            region: Some(Region::Eu868),
            frequency_hz: 869_525_000,
            power_dbm: 14,
            ..Sx127xSettings::default()
        };
        assert_eq!(lawful.chip().unwrap().transmit, Some(TransmitSettings { power_dbm: 14 }));
        let between = Sx127xSettings { power_dbm: 18, ..lawful };
        assert_eq!(between.chip().unwrap_err().key, "power_dbm");
    }
}
