//! An emulated chip behind the seam of every board, over either embedded-hal.

use super::wiring::{BusDown, Chip, Dio0, EmulatedDelay, Reset, Spi02, Spi10};
use crate::board::hal::Hal02;
use crate::board::{Board, BoardError, Wiring};

/// An emulated chip on a board of embedded-hal 0.2.
#[derive(Debug, Clone)]
pub struct Board02(Chip);

impl Board02 {
    pub(super) fn new(chip: Chip) -> Self {
        Self(chip)
    }
}

impl Board for Board02 {
    type Bus = Spi02;
    type BusError = BusDown;
    type Reset = Reset;
    type Dio0 = Dio0;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let chip = &self.0;
        Ok(Wiring { bus: chip.spi02(), reset: chip.reset(), dio0: chip.dio0(), delay: chip.delay() })
    }
}

/// An emulated chip on a board of embedded-hal 1.0, through the adapter that real ones use.
#[derive(Debug, Clone)]
pub struct Board10(Chip);

impl Board10 {
    pub(super) fn new(chip: Chip) -> Self {
        Self(chip)
    }
}

impl Board for Board10 {
    type Bus = Hal02<Spi10>;
    type BusError = BusDown;
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
