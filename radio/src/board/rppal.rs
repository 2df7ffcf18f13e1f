//! A Raspberry Pi through rppal. The only file that names rppal.
//!
//! - **Bus.** The plain `Spi` is used. `SimpleHalSpiDevice` was rejected: it sends zeros in an in-place transfer.
//! - **Lines.** `Gpio` maps registers, which needs the `/dev/gpiomem` of Raspberry Pi OS. Under another kernel the
//!   lines come from the GPIO character device.
//! - **Edges.** They come from rppal's callback. Its poll was rejected: it holds a process-wide lock while it waits, so
//!   two radios would wait for each other, and it rounds timeouts to milliseconds.

use super::lines::{self, Dio0Line, ResetLine};
use super::{Board, BoardError, EdgeLine, LineError, Pins, ResetError, Wake, Wiring};
use embedded_hal_02::digital::v2::OutputPin;
use rppal::gpio::{self, Gpio, InputPin, Trigger};
use rppal::hal::Delay;
use rppal::spi::{self, Bus, Mode, SlaveSelect, Spi};
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// Device files through which `Gpio` maps the registers: the first up to the Pi 4, the second on a Pi 5.
const REGISTER_FILES: [&str; 2] = ["/dev/gpiomem", "/dev/gpiomem0"];
const BUSES: [Bus; 7] = [Bus::Spi0, Bus::Spi1, Bus::Spi2, Bus::Spi3, Bus::Spi4, Bus::Spi5, Bus::Spi6];
const SELECTS: [SlaveSelect; 16] = [
    SlaveSelect::Ss0,
    SlaveSelect::Ss1,
    SlaveSelect::Ss2,
    SlaveSelect::Ss3,
    SlaveSelect::Ss4,
    SlaveSelect::Ss5,
    SlaveSelect::Ss6,
    SlaveSelect::Ss7,
    SlaveSelect::Ss8,
    SlaveSelect::Ss9,
    SlaveSelect::Ss10,
    SlaveSelect::Ss11,
    SlaveSelect::Ss12,
    SlaveSelect::Ss13,
    SlaveSelect::Ss14,
    SlaveSelect::Ss15,
];

/// A chip on a Raspberry Pi.
#[derive(Clone, Debug)]
pub struct Rppal {
    pins: Pins,
}

/// The RESET line on a Raspberry Pi.
#[derive(Debug)]
pub struct RppalReset(ResetKind);

#[derive(Debug)]
enum ResetKind {
    Mapped(gpio::IoPin),
    NotWired,
    Chip(ResetLine),
}

/// The DIO0 line on a Raspberry Pi.
#[derive(Debug)]
pub struct RppalDio0(Dio0Kind);

#[derive(Debug)]
enum Dio0Kind {
    /// Each edge leaves a mark. Further edges while a mark is there add nothing. The pin owns the thread that watches
    /// it.
    Mapped {
        edges: Receiver<()>,
        _pin: InputPin,
    },
    NotWired,
    Chip(Dio0Line),
}

impl Rppal {
    /// Creates a board without opening it.
    pub fn new(pins: Pins) -> Self {
        Self { pins }
    }

    /// Returns true if rppal can open this SPI device: `/dev/spidevB.S` with B in 0..=6 and S in 0..=15.
    pub fn can_open(spi: &Path) -> bool {
        address(spi).is_some()
    }

    /// Returns true if the lines are driven through mapped registers, so that no GPIO chip is opened.
    pub(crate) fn maps_registers() -> bool {
        mapped_registers().is_some()
    }

    fn open_spi(&self) -> Result<Spi, BoardError> {
        let path = &self.pins.spi;
        let (bus, select) = address(path).ok_or_else(|| BoardError::NotSpi { path: path.display().to_string() })?;
        Spi::new(bus, select, self.pins.spi_hz, Mode::Mode0).map_err(|error| match error {
            spi::Error::Io(error) => BoardError::of_spi(path, error),
            other => BoardError::of_spi(path, io::Error::new(io::ErrorKind::InvalidInput, other)),
        })
    }

    fn take_lines(&self) -> Result<(RppalReset, RppalDio0), BoardError> {
        match mapped_registers() {
            _ if !self.pins.has_lines() => Ok((RppalReset(ResetKind::NotWired), RppalDio0(Dio0Kind::NotWired))),
            Some(registers) => match Gpio::new() {
                Ok(gpio) => self.mapped_lines(&gpio, registers),
                // The board is newer than rppal.
                Err(gpio::Error::UnknownModel) => self.chip_lines(),
                Err(error) => {
                    let line = self.pins.reset_line.or(self.pins.dio0_line).unwrap_or_default();
                    Err(self.gpio_error(error, registers, "RESET or DIO0", line))
                }
            },
            None => self.chip_lines(),
        }
    }

    fn chip_lines(&self) -> Result<(RppalReset, RppalDio0), BoardError> {
        let (reset, dio0) = lines::take(&self.pins)?;
        Ok((RppalReset(ResetKind::Chip(reset)), RppalDio0(Dio0Kind::Chip(dio0))))
    }

    fn mapped_lines(&self, gpio: &Gpio, registers: &str) -> Result<(RppalReset, RppalDio0), BoardError> {
        let reset = match self.pins.reset_line {
            None => ResetKind::NotWired,
            Some(line) => {
                let pin = get(gpio, line).map_err(|error| self.gpio_error(error, registers, "RESET", line))?;
                ResetKind::Mapped(released(pin))
            }
        };
        let dio0 = match self.pins.dio0_line {
            None => Dio0Kind::NotWired,
            Some(line) => get(gpio, line)
                .and_then(|pin| watched(pin.into_input_pulldown()))
                .map_err(|error| self.gpio_error(error, registers, "DIO0", line))?,
        };
        Ok((RppalReset(reset), RppalDio0(dio0)))
    }

    fn gpio_error(&self, error: gpio::Error, registers: &str, what: &'static str, line: u32) -> BoardError {
        let chip = registers.to_owned();
        match error {
            gpio::Error::PermissionDenied(path) => BoardError::NoPermission { path, group: "gpio" },
            gpio::Error::PinUsed(_) => {
                BoardError::LineTaken { what, chip, line, holder: "another radio of this program".to_owned() }
            }
            gpio::Error::Io(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                let holder = format!("another program (`gpioinfo` on {} shows it)", self.pins.gpio_chip.display());
                BoardError::LineTaken { what, chip, line, holder }
            }
            other => BoardError::Line { what, chip, line, reason: other.to_string() },
        }
    }
}

impl Board for Rppal {
    type Bus = Spi;
    type BusError = spi::Error;
    type Reset = RppalReset;
    type Dio0 = RppalDio0;
    type Delay = Delay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let bus = self.open_spi()?;
        let (reset, dio0) = self.take_lines()?;
        Ok(Wiring { bus, reset, dio0, delay: Delay::new() })
    }

    fn has_reset(&self) -> bool {
        self.pins.reset_line.is_some()
    }
}

impl OutputPin for RppalReset {
    type Error = ResetError;

    fn set_low(&mut self) -> Result<(), ResetError> {
        match &mut self.0 {
            ResetKind::Mapped(pin) => {
                // The level first, so that the pin does not drive the other one for a moment.
                pin.set_low();
                pin.set_mode(gpio::Mode::Output);
            }
            ResetKind::Chip(line) => line.set_low()?,
            ResetKind::NotWired => {}
        }
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), ResetError> {
        match &mut self.0 {
            ResetKind::Mapped(pin) => pin.set_mode(gpio::Mode::Input),
            ResetKind::Chip(line) => line.set_high()?,
            ResetKind::NotWired => {}
        }
        Ok(())
    }
}

impl EdgeLine for RppalDio0 {
    fn is_wired(&self) -> bool {
        match &self.0 {
            Dio0Kind::Mapped { .. } => true,
            Dio0Kind::Chip(line) => line.is_wired(),
            Dio0Kind::NotWired => false,
        }
    }

    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        match &mut self.0 {
            Dio0Kind::Chip(line) => line.wait(at_most),
            Dio0Kind::NotWired => {
                std::thread::sleep(at_most);
                Ok(Wake::TimedOut)
            }
            Dio0Kind::Mapped { edges, .. } => match edges.recv_timeout(at_most) {
                Ok(()) => Ok(Wake::Edge),
                Err(RecvTimeoutError::Timeout) => Ok(Wake::TimedOut),
                Err(RecvTimeoutError::Disconnected) => Err(LineError(
                    "rppal's thread that watches the line has ended; the line must be opened again".into(),
                )),
            },
        }
    }
}

/// Returns rppal's bus and chip select for a path.
fn address(path: &Path) -> Option<(Bus, SlaveSelect)> {
    let (bus, select) = path.to_str()?.strip_prefix("/dev/spidev")?.split_once('.')?;
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| number.to_string() == text);
    Some((*BUSES.get(number(bus)?)?, *SELECTS.get(number(select)?)?))
}

fn mapped_registers() -> Option<&'static str> {
    REGISTER_FILES.into_iter().find(|path| Path::new(path).exists())
}

fn get(gpio: &Gpio, line: u32) -> gpio::Result<gpio::Pin> {
    // rppal has no line 255, so it rejects a number that does not fit into a byte.
    gpio.get(u8::try_from(line).unwrap_or(u8::MAX))
}

/// Returns a RESET pin that does not drive the line, with a pull-up for modules that have a weak one or none.
fn released(pin: gpio::Pin) -> gpio::IoPin {
    let mut pin = pin.into_io(gpio::Mode::Input);
    pin.set_bias(gpio::Bias::PullUp);
    // Otherwise the pull-up would go with the radio, and the line would float.
    pin.set_reset_on_drop(false);
    pin
}

fn watched(mut pin: InputPin) -> gpio::Result<Dio0Kind> {
    // The callback's thread requests the line but hides a failure, so the line is requested here first.
    pin.set_interrupt(Trigger::RisingEdge, None)?;
    pin.clear_interrupt()?;
    let (mark, edges) = mpsc::sync_channel(1);
    pin.set_async_interrupt(Trigger::RisingEdge, None, move |_| _ = mark.try_send(()))?;
    Ok(Dio0Kind::Mapped { edges, _pin: pin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_rppal_opens_itself_are_accepted() {
        let named = |path: &str| address(Path::new(path)).map(|(bus, select)| (bus as usize, select as usize));
        assert_eq!(named("/dev/spidev0.0"), Some((0, 0)));
        assert_eq!(named("/dev/spidev6.15"), Some((6, 15)));
        for other in ["/dev/spidev7.0", "/dev/spidev0.16", "/dev/spidev0", "/dev/spidev00.0", "/dev/spidev0.+1"] {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!(named("spidev0.0"), None);
    }

    /// Catches a module without wired lines that cannot be used where the GPIO cannot.
    #[test]
    fn without_wired_lines_no_gpio_is_opened() {
        let (gpio_chip, spi) = ("/nowhere".into(), "/dev/spidev0.0".into());
        let pins = Pins { spi, spi_hz: 1, gpio_chip, reset_line: None, dio0_line: None };
        let lines = Rppal::new(pins.clone()).take_lines().unwrap();
        assert!(matches!(lines, (RppalReset(ResetKind::NotWired), RppalDio0(Dio0Kind::NotWired))), "{lines:?}");
        if mapped_registers().is_none() {
            assert!(Rppal::new(Pins { reset_line: Some(22), ..pins }).take_lines().is_err());
        }
    }
}
