//! What can be set about an SX127x on a board's SPI bus.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{SettingsError, check_range};
use crate::board::{Linux, Pins, Rppal};
use crate::lora::{
    Bandwidth, CodingRate, Emission, Limit, Modulation, Region, SpreadingFactor, Violation, limits, region, violations,
};

/// Crystal, synthesizer and front end lock in these bands (SX1276 data sheet, "Frequency Bands"); the highest begins
/// at 862 MHz on an SX1276 and at 779 MHz on an SX1279, which answers with the same version.
const BANDS_HZ: [(u32, u32); 3] =
    [(137_000_000, 175_000_000), (410_000_000, 525_000_000), (779_000_000, 1_020_000_000)];
/// In the lowest band 250 and 500 kHz are not supported (data sheet, register 0x1D).
const LOWEST_BAND_WIDEST_HZ: u32 = 125_000;
/// What the chip's SPI bears (data sheet, table 12).
const SPI_HZ: (u32, u32) = (100_000, 10_000_000);
/// What the output `PA_BOOST` gives, the only one that modules wire to their antenna (data sheet, sections 5.4.2 and
/// 5.4.3).
const CONTINUOUS_DBM: RangeInclusive<i8> = 2..=17;
const HIGH_DBM: i8 = 20;
const GAIN_DBI: (f64, f64) = (-20.0, 20.0);
const PREAMBLE_SYMBOLS: (f64, f64) = (6.0, 65_535.0);
/// Lines of the processors that rppal knows; a chip of another board may have more.
const RPPAL_LAST_LINE: u32 = 53;
const LAST_LINE: u32 = 1_023;

/// Through which library the board is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoardKind {
    /// A Raspberry Pi, through rppal.
    #[default]
    Rppal,
    /// Any Linux board, through spidev and the GPIO character device.
    Linux,
}

/// The settings of one SX127x (RFM95, RFM96, RFM98, Ra-01, Ra-02 and their kin), as they stand in a configuration file.
/// Unknown keys are refused. Which pin goes where stands in `docs/radios.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sx127xSettings {
    /// `rppal` (a Raspberry Pi) or `linux` (any board with spidev). Default `rppal`.
    pub board: BoardKind,
    /// The SPI device; the kernel drives its chip select. With `rppal` it must be `/dev/spidevB.S`. Default
    /// `/dev/spidev0.0`: the first bus, CE0.
    pub spi: PathBuf,
    /// Clock of the bus in Hz: 100,000..=10,000,000. Default 2,000,000, which jumper wires bear and which empties a
    /// full FIFO in about 1 ms.
    pub spi_hz: u32,
    /// The GPIO chip of the two lines. With `rppal` it counts only where there is no `/dev/gpiomem*`. Default
    /// `/dev/gpiochip0`.
    pub gpio_chip: PathBuf,
    /// The line wired to RESET; on a Raspberry Pi its BCM number. Default 25, which is pin 22.
    pub reset_line: u32,
    /// The line wired to DIO0; on a Raspberry Pi its BCM number. Default 22, which is pin 15.
    pub dio0_line: u32,
    /// Middle of the channel in Hz: 137,000,000..=175,000,000, 410,000,000..=525,000,000 or
    /// 779,000,000..=1,020,000,000. Default 915,000,000.
    pub frequency_hz: u32,
    /// Chips in a symbol, as a power of two: 7..=12. Default 7.
    pub spreading_factor: u8,
    /// Width of the channel in Hz: 7,800, 10,400, 15,600, 20,800, 31,250, 41,700, 62,500, 125,000, 250,000 or 500,000.
    /// Default 125,000.
    pub bandwidth_hz: u32,
    /// Redundancy of what is sent: `4/5`, `4/6`, `4/7` or `4/8`. What is heard may have any. Default `4/5`.
    pub coding_rate: String,
    /// 0x12 is usual for private networks, 0x34 is LoRaWAN's: 0..=255. Default 0x12.
    pub sync_word: u8,
    /// Symbols of preamble: 6..=65,535. Default 8.
    pub preamble_symbols: u16,
    /// Whose law a transmission must keep: `us902`, `ca902`, `eu868` or `eu433`. There is no default.
    pub region: Option<Region>,
    /// Whether this radio may transmit. Needs `region`, and settings that are lawful there. Default false.
    pub transmit: bool,
    /// What the module puts into its antenna connector, in dBm: 2..=17, or 20. Default 14.
    pub power_dbm: i8,
    /// What antenna and cable add in the best direction, in dBi: -20..=20. Default 2.15, a half-wave dipole.
    pub antenna_gain_dbi: f64,
}

impl Default for Sx127xSettings {
    fn default() -> Self {
        let Modulation { frequency_hz, spreading_factor, bandwidth, sync_word, preamble_symbols, .. } =
            Modulation::default();
        Self {
            board: BoardKind::default(),
            spi: "/dev/spidev0.0".into(),
            spi_hz: 2_000_000,
            gpio_chip: "/dev/gpiochip0".into(),
            reset_line: 25,
            dio0_line: 22,
            frequency_hz,
            spreading_factor: spreading_factor.get(),
            bandwidth_hz: bandwidth.hz(),
            coding_rate: "4/5".to_owned(),
            sync_word,
            preamble_symbols,
            region: None,
            transmit: false,
            power_dbm: 14,
            antenna_gain_dbi: region::DIPOLE_GAIN_DBI,
        }
    }
}

impl Sx127xSettings {
    /// Names the first value that is out of its range, or, with `transmit` on, the law that the settings break. With
    /// it off, gives what a transmitter with these settings would break, as notes; none where no region is set. Opens
    /// no file.
    pub fn validate(&self) -> Result<Vec<Violation>, SettingsError> {
        self.check_board()?;
        let emission = self.emission()?;
        let Some(region) = self.region else {
            return if self.transmit { Err(self.no_region()) } else { Ok(Vec::new()) };
        };
        let breaches = violations(region, &emission);
        if self.transmit && !breaches.is_empty() { Err(unlawful(&breaches)) } else { Ok(breaches) }
    }

    /// What the radio and those that it hears must agree on; or the first value that is out of its range.
    pub fn modulation(&self) -> Result<Modulation, SettingsError> {
        self.check_frequency()?;
        check_range("preamble_symbols", self.preamble_symbols.into(), PREAMBLE_SYMBOLS.0..=PREAMBLE_SYMBOLS.1)?;
        let spreading_factor = SpreadingFactor::new(self.spreading_factor)
            .ok_or_else(|| refused("spreading_factor", self.spreading_factor, "7..=12"))?;
        let &Self { frequency_hz, sync_word, preamble_symbols, .. } = self;
        let (bandwidth, coding_rate) = (self.bandwidth()?, self.coding_rate()?);
        Ok(Modulation { frequency_hz, spreading_factor, bandwidth, coding_rate, sync_word, preamble_symbols })
    }

    /// What the radio sends out when it transmits; or the first value that is out of its range.
    pub fn emission(&self) -> Result<Emission, SettingsError> {
        if !CONTINUOUS_DBM.contains(&self.power_dbm) && self.power_dbm != HIGH_DBM {
            return Err(refused("power_dbm", self.power_dbm, "2..=17, or 20"));
        }
        check_range("antenna_gain_dbi", self.antenna_gain_dbi, GAIN_DBI.0..=GAIN_DBI.1)?;
        let &Self { power_dbm, antenna_gain_dbi, .. } = self;
        Ok(Emission { modulation: self.modulation()?, power_dbm, antenna_gain_dbi, hop_channels: 1 })
    }

    /// The limits of air time to keep a budget by; none where there is no region, as nothing is sent there.
    pub fn limits(&self) -> Result<Vec<Limit>, SettingsError> {
        let emission = self.emission()?;
        Ok(self.region.map(|region| limits(region, &emission)).unwrap_or_default())
    }

    /// The board that `board = "rppal"` means.
    pub fn rppal(&self) -> Rppal {
        Rppal::new(self.pins())
    }

    /// The board that `board = "linux"` means.
    pub fn linux(&self) -> Linux {
        Linux::new(self.pins())
    }

    /// Where the chip hangs, whichever board that is.
    pub fn pins(&self) -> Pins {
        let &Self { spi_hz, reset_line, dio0_line, .. } = self;
        Pins { spi: self.spi.clone(), spi_hz, gpio_chip: self.gpio_chip.clone(), reset_line, dio0_line }
    }

    fn check_board(&self) -> Result<(), SettingsError> {
        check_range("spi_hz", self.spi_hz.into(), SPI_HZ.0.into()..=SPI_HZ.1.into())?;
        let last = match self.board {
            BoardKind::Rppal => RPPAL_LAST_LINE,
            BoardKind::Linux => LAST_LINE,
        };
        check_range("reset_line", self.reset_line.into(), 0.0..=last.into())?;
        check_range("dio0_line", self.dio0_line.into(), 0.0..=last.into())?;
        if self.reset_line == self.dio0_line {
            return Err(refused("dio0_line", self.dio0_line, "another line than `reset_line`"));
        }
        match self.board {
            BoardKind::Rppal if !Rppal::can_open(&self.spi) => {
                let allowed = "with `board = \"rppal\"` a name /dev/spidevB.S, B in 0..=6 and S in 0..=15";
                Err(refused("spi", self.spi.display(), allowed))
            }
            _ => Ok(()),
        }
    }

    fn check_frequency(&self) -> Result<(), SettingsError> {
        if BANDS_HZ.iter().any(|&(lowest, highest)| (lowest..=highest).contains(&self.frequency_hz)) {
            return Ok(());
        }
        let bands: Vec<String> = BANDS_HZ.iter().map(|(lowest, highest)| format!("{lowest}..={highest}")).collect();
        Err(refused("frequency_hz", self.frequency_hz, &bands.join(" or ")))
    }

    fn bandwidth(&self) -> Result<Bandwidth, SettingsError> {
        let widest_hz = if self.frequency_hz <= BANDS_HZ[0].1 { LOWEST_BAND_WIDEST_HZ } else { u32::MAX };
        let supported = |bandwidth: &Bandwidth| bandwidth.hz() <= widest_hz;
        Bandwidth::from_hz(self.bandwidth_hz).filter(supported).ok_or_else(|| {
            let widths = Bandwidth::ALL.into_iter().filter(supported).map(|width| width.hz().to_string());
            refused("bandwidth_hz", self.bandwidth_hz, &widths.collect::<Vec<_>>().join(", "))
        })
    }

    fn coding_rate(&self) -> Result<CodingRate, SettingsError> {
        let known = CodingRate::ALL.into_iter().find(|rate| self.coding_rate == format!("4/{}", rate.denominator()));
        known.ok_or_else(|| refused("coding_rate", &self.coding_rate, "4/5, 4/6, 4/7, 4/8"))
    }

    fn no_region(&self) -> SettingsError {
        let names = Region::ALL.map(Region::name).join(", ");
        refused("transmit", self.transmit, &format!("`false` until `region` says whose law binds: {names}"))
    }
}

fn unlawful(breaches: &[Violation]) -> SettingsError {
    let breaches: Vec<String> = breaches.iter().map(Violation::to_string).collect();
    refused("transmit", true, &format!("`false` as long as {}", breaches.join("; and ")))
}

fn refused(key: &'static str, value: impl std::fmt::Display, allowed: &str) -> SettingsError {
    SettingsError { key, value: value.to_string(), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests;
