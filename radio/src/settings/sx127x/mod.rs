//! Settings of an SX127x on the SPI bus of a board.
//!
//! - **There is no default region, and without a region nothing is transmitted.** No rule is right for somebody who has
//!   not said where the barn stands. Receiving needs no region.
//! - **The SPI bus runs at 2 MHz, although the chip supports 10 MHz.** Jumper wires carry 2 MHz reliably. A full FIFO
//!   is then read in about 1 ms, and the next packet ends 12.9 ms later at the earliest, at the fastest modulation.

mod line;
mod open;
#[cfg(test)]
mod tests;

pub use line::LineSetting;

use crate::SettingsError;
use crate::board::{HEADER_CHIP, Linux, Pins, Rppal};
use crate::lora::{
    Bandwidth, CodingRate, Emission, Limit, LowDataRateOptimize, Modulation, Region, SpreadingFactor, Violation,
    limits, region, violations,
};
use crate::settings_error::check_range;
use crate::sx127x::CrcPolicy;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Bands that crystal, synthesizer and front end lock in (SX1276 data sheet, "Frequency Bands"). The highest band
/// begins at 862 MHz on an SX1276 and at 779 MHz on an SX1279, which reports the same version.
const BANDS_HZ: [(u32, u32); 3] =
    [(137_000_000, 175_000_000), (410_000_000, 525_000_000), (779_000_000, 1_020_000_000)];
/// Widest bandwidth of the lowest band, which does not support 250 and 500 kHz (data sheet, register 0x1D).
const LOWEST_BAND_WIDEST_HZ: u32 = 125_000;
/// Clock rates that the chip's SPI supports (data sheet, table 12).
const SPI_HZ: (u32, u32) = (100_000, 10_000_000);
/// Power of the output `PA_BOOST`, the only one that modules wire to their antenna (data sheet, sections 5.4.2 and
/// 5.4.3).
const CONTINUOUS_DBM: RangeInclusive<i8> = 2..=17;
/// Power of `PA_BOOST` in its high power mode.
const HIGH_DBM: i8 = 20;
const GAIN_DBI: (f64, f64) = (-20.0, 20.0);
const PREAMBLE_SYMBOLS: (f64, f64) = (6.0, 65_535.0);
/// Last GPIO line of the processors that rppal knows. The GPIO chip of another board may have more.
const RPPAL_LAST_LINE: u32 = 53;
/// Last GPIO line that is accepted for another board.
const LAST_LINE: u32 = 1_023;

/// Library that drives the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoardKind {
    /// A Raspberry Pi, through rppal.
    #[default]
    Rppal,
    /// Any Linux board, through spidev and the GPIO character device.
    Linux,
}

/// Settings of one SX127x (RFM95, RFM96, RFM98, Ra-01, Ra-02 and similar modules), as in the settings file.
///
/// Unknown keys are rejected. `docs/radios.md` lists the pins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sx127xSettings {
    /// `rppal` (a Raspberry Pi) or `linux` (any board with spidev). Default `rppal`.
    pub board: BoardKind,
    /// SPI device, whose chip select the kernel drives. With `rppal` it must be `/dev/spidevB.S`. Default
    /// `/dev/spidev0.0`: the first bus, CE0.
    pub spi: PathBuf,
    /// Clock of the bus in Hz: 100,000..=10,000,000. Default 2,000,000.
    pub spi_hz: u32,
    /// GPIO chip of the two lines: its path, its label, or `header` for that of a Raspberry Pi's header. With `rppal` it
    /// is used only if there is no `/dev/gpiomem*`. Default `header`.
    pub gpio_chip: PathBuf,
    /// Line that is wired to RESET, or `"none"`; on a Raspberry Pi its BCM number. Default 25, which is pin 22.
    pub reset_line: LineSetting,
    /// Line that is wired to DIO0, or `"none"`; on a Raspberry Pi its BCM number. Default 22, which is pin 15.
    pub dio0_line: LineSetting,
    /// Set if an oscillator (TCXO) drives the module's crystal pin. Default false.
    pub tcxo: bool,
    /// Center of the channel in Hz: 137,000,000..=175,000,000, 410,000,000..=525,000,000 or
    /// 779,000,000..=1,020,000,000. Default 915,000,000.
    pub frequency_hz: u32,
    /// Chips per symbol, as a power of two: 7..=12. Default 7.
    pub spreading_factor: u8,
    /// Width of the channel in Hz: 7,800, 10,400, 15,600, 20,800, 31,250, 41,700, 62,500, 125,000, 250,000 or 500,000.
    /// Default 125,000.
    pub bandwidth_hz: u32,
    /// Redundancy of transmissions: `4/5`, `4/6`, `4/7` or `4/8`. Packets with any of them are received. Default `4/5`.
    pub coding_rate: String,
    /// Sync word, 0..=255: 0x12 is usual in private networks, 0x34 is LoRaWAN's. Default 0x12.
    pub sync_word: u8,
    /// Symbols of preamble: 6..=65,535. Default 8.
    pub preamble_symbols: u16,
    /// LowDataRateOptimize of the readers: `auto` (on for symbols of 16 ms or more), `on` or `off`. Default `auto`.
    pub low_data_rate_optimize: LowDataRateOptimize,
    /// Set if the readers exchange I and Q, as LoRaWAN gateways do. Default false.
    pub invert_iq: bool,
    /// Treatment of packets that were sent without a CRC: `required` drops and counts them, `optional` delivers them.
    /// Default `required`.
    pub crc: CrcPolicy,
    /// Region whose law a transmission must comply with: `us902`, `ca902`, `eu868` or `eu433`. There is no default.
    pub region: Option<Region>,
    /// Permission to transmit. Requires `region`, and settings that are lawful there. Default false.
    pub transmit: bool,
    /// Power at the module's antenna connector in dBm: 2..=17, or 20. Default 14.
    pub power_dbm: i8,
    /// Gain of antenna and cable in the best direction, in dBi: -20..=20. Default 2.15, a half-wave dipole.
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
            gpio_chip: HEADER_CHIP.into(),
            reset_line: LineSetting::Wired(25),
            dio0_line: LineSetting::Wired(22),
            tcxo: false,
            frequency_hz,
            spreading_factor: spreading_factor.get(),
            bandwidth_hz: bandwidth.hz(),
            coding_rate: "4/5".to_owned(),
            sync_word,
            preamble_symbols,
            low_data_rate_optimize: LowDataRateOptimize::Auto,
            invert_iq: false,
            crc: CrcPolicy::Required,
            region: None,
            transmit: false,
            power_dbm: 14,
            antenna_gain_dbi: region::DIPOLE_GAIN_DBI,
        }
    }
}

impl Sx127xSettings {
    /// Checks ranges and, if there is a region, its law. Opens no file.
    ///
    /// Returns an error for the first value that is out of range. With `transmit` on, a violation of the law is an
    /// error too. With `transmit` off, returns the violations that a transmitter with these settings would commit.
    pub fn validate(&self) -> Result<Vec<Violation>, SettingsError> {
        self.check_board()?;
        let emission = self.emission()?;
        let Some(region) = self.region else {
            return if self.transmit { Err(self.missing_region()) } else { Ok(Vec::new()) };
        };
        let violations = violations(region, &emission);
        if self.transmit && !violations.is_empty() { Err(unlawful(&violations)) } else { Ok(violations) }
    }

    /// Returns the modulation, on which the radio and the readers must agree, or the first value that is out of range.
    pub fn modulation(&self) -> Result<Modulation, SettingsError> {
        self.check_frequency()?;
        check_range("preamble_symbols", self.preamble_symbols.into(), PREAMBLE_SYMBOLS.0..=PREAMBLE_SYMBOLS.1)?;
        let spreading_factor = SpreadingFactor::new(self.spreading_factor)
            .ok_or_else(|| SettingsError::new("spreading_factor", self.spreading_factor, "7..=12"))?;
        let &Self { frequency_hz, sync_word, preamble_symbols, low_data_rate_optimize, invert_iq, .. } = self;
        let (bandwidth, coding_rate) = (self.bandwidth()?, self.coding_rate()?);
        Ok(Modulation {
            frequency_hz,
            spreading_factor,
            bandwidth,
            coding_rate,
            sync_word,
            preamble_symbols,
            low_data_rate_optimize,
            invert_iq,
        })
    }

    /// Returns what the antenna emits during a transmission, or the first value that is out of range.
    pub fn emission(&self) -> Result<Emission, SettingsError> {
        if !CONTINUOUS_DBM.contains(&self.power_dbm) && self.power_dbm != HIGH_DBM {
            return Err(SettingsError::new("power_dbm", self.power_dbm, "2..=17, or 20"));
        }
        check_range("antenna_gain_dbi", self.antenna_gain_dbi, GAIN_DBI.0..=GAIN_DBI.1)?;
        let &Self { power_dbm, antenna_gain_dbi, .. } = self;
        Ok(Emission { modulation: self.modulation()?, power_dbm, antenna_gain_dbi, hop_channels: 1 })
    }

    /// Returns the limits of air time in the region. Empty if there is no region, because nothing is transmitted then.
    pub fn limits(&self) -> Result<Vec<Limit>, SettingsError> {
        let emission = self.emission()?;
        Ok(self.region.map(|region| limits(region, &emission)).unwrap_or_default())
    }

    /// Returns the board for `board = "rppal"`.
    pub fn rppal(&self) -> Rppal {
        Rppal::new(self.pins())
    }

    /// Returns the board for `board = "linux"`.
    pub fn linux(&self) -> Linux {
        Linux::new(self.pins())
    }

    /// Returns the bus and the lines that the chip is wired to, on either board.
    pub fn pins(&self) -> Pins {
        Pins {
            spi: self.spi.clone(),
            spi_hz: self.spi_hz,
            gpio_chip: self.gpio_chip.clone(),
            reset_line: self.reset_line.number(),
            dio0_line: self.dio0_line.number(),
        }
    }

    fn check_board(&self) -> Result<(), SettingsError> {
        check_range("spi_hz", self.spi_hz.into(), SPI_HZ.0.into()..=SPI_HZ.1.into())?;
        let last = match self.board {
            BoardKind::Rppal => RPPAL_LAST_LINE,
            BoardKind::Linux => LAST_LINE,
        };
        for (key, setting) in [("reset_line", self.reset_line), ("dio0_line", self.dio0_line)] {
            if setting.number().is_some_and(|line| line > last) {
                let allowed = format!("0..={last}, or \"none\" if the module's pin is not wired");
                return Err(SettingsError::new(key, setting, allowed));
            }
        }
        if self.reset_line.number().is_some() && self.reset_line == self.dio0_line {
            return Err(SettingsError::new("dio0_line", self.dio0_line, "a line other than `reset_line`"));
        }
        if self.gpio_chip.as_os_str().is_empty() {
            let allowed = "a path such as /dev/gpiochip0, a label such as pinctrl-rp1, or \"header\"";
            return Err(SettingsError::new("gpio_chip", "\"\"", allowed));
        }
        match self.board {
            BoardKind::Rppal if !Rppal::can_open(&self.spi) => {
                let allowed = "/dev/spidevB.S with B in 0..=6 and S in 0..=15, or set `board = \"linux\"`";
                Err(SettingsError::new("spi", self.spi.display(), allowed))
            }
            _ => Ok(()),
        }
    }

    fn check_frequency(&self) -> Result<(), SettingsError> {
        if BANDS_HZ.iter().any(|&(lowest, highest)| (lowest..=highest).contains(&self.frequency_hz)) {
            return Ok(());
        }
        let bands: Vec<String> = BANDS_HZ.iter().map(|(lowest, highest)| format!("{lowest}..={highest}")).collect();
        Err(SettingsError::new("frequency_hz", self.frequency_hz, bands.join(" or ")))
    }

    fn bandwidth(&self) -> Result<Bandwidth, SettingsError> {
        let widest_hz = if self.frequency_hz <= BANDS_HZ[0].1 { LOWEST_BAND_WIDEST_HZ } else { u32::MAX };
        let supported = |bandwidth: &Bandwidth| bandwidth.hz() <= widest_hz;
        Bandwidth::from_hz(self.bandwidth_hz).filter(supported).ok_or_else(|| {
            let widths = Bandwidth::ALL.into_iter().filter(supported).map(|width| width.hz().to_string());
            SettingsError::new("bandwidth_hz", self.bandwidth_hz, widths.collect::<Vec<_>>().join(", "))
        })
    }

    fn coding_rate(&self) -> Result<CodingRate, SettingsError> {
        let known = CodingRate::ALL.into_iter().find(|rate| self.coding_rate == format!("4/{}", rate.denominator()));
        known.ok_or_else(|| SettingsError::new("coding_rate", &self.coding_rate, "4/5, 4/6, 4/7, 4/8"))
    }

    fn missing_region(&self) -> SettingsError {
        let names = Region::ALL.map(Region::name).join(", ");
        SettingsError::new("transmit", self.transmit, format!("`false`, or set `region` to one of {names}"))
    }
}

fn unlawful(violations: &[Violation]) -> SettingsError {
    let violations: Vec<String> = violations.iter().map(Violation::to_string).collect();
    SettingsError::new(
        "transmit",
        true,
        format!("`false`, or change the other settings: {}", violations.join("; and ")),
    )
}
