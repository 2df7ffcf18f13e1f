//! Boards with an emulated chip, for embedded-hal 0.2 and 1.0.

use super::chip::Chip;
use super::lines::{Dio0, EmulatedDelay, Reset};
use super::spi::{BusDownError, Spi02, Spi10};
use crate::board::hal::Hal02;
use crate::board::{Board, BoardError, Wiring};

impl Chip {
    /// Returns a board of embedded-hal 0.2 with this chip.
    pub fn board(&self) -> Board02 {
        Board02(self.clone())
    }

    /// Returns a board of embedded-hal 1.0 with this chip.
    pub fn board10(&self) -> Board10 {
        Board10(self.clone())
    }
}

/// An emulated chip on a board of embedded-hal 0.2.
#[derive(Clone, Debug)]
pub struct Board02(Chip);

impl Board for Board02 {
    type Bus = Spi02;
    type BusError = BusDownError;
    type Reset = Reset;
    type Dio0 = Dio0;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let chip = &self.0;
        Ok(Wiring { bus: chip.spi02(), reset: chip.reset(), dio0: chip.dio0(), delay: chip.delay() })
    }
}

/// An emulated chip on a board of embedded-hal 1.0, behind the same adapter as a real one.
#[derive(Clone, Debug)]
pub struct Board10(Chip);

impl Board for Board10 {
    type Bus = Hal02<Spi10>;
    type BusError = BusDownError;
    type Reset = Hal02<Reset>;
    type Dio0 = Dio0;
    type Delay = Hal02<EmulatedDelay>;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let chip = &self.0;
        Ok(Wiring {
            bus: Hal02(chip.spi10()),
            reset: Hal02(chip.reset()),
            dio0: chip.dio0(),
            delay: Hal02(chip.delay()),
        })
    }
}
