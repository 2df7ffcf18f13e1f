//! A board whose RESET or DIO0 is not wired.

use super::board::Board02;
use super::chip::Chip;
use super::lines::Dio0;
use crate::board::{Board, BoardError, EdgeLine, LineError, Wake, Wiring};
use crate::emulator::{Faults, StuckLine};
use std::time::Duration;

/// The lines between host and chip besides the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WiredLines {
    /// RESET is wired.
    pub reset: bool,
    /// DIO0 is wired.
    pub dio0: bool,
}

impl WiredLines {
    /// Both lines.
    pub const ALL: Self = Self { reset: true, dio0: true };
    /// Every choice that lacks a line.
    pub const PARTIAL: [Self; 3] =
        [Self { reset: false, dio0: true }, Self { reset: true, dio0: false }, Self { reset: false, dio0: false }];
}

impl Chip {
    /// Returns a board of embedded-hal 0.2 with this chip and these lines. The chip gets a dead line for each that is not
    /// wired, so that a driver which uses it all the same fails.
    pub fn board_with(&self, wired: WiredLines) -> PartialBoard {
        let stuck_dio0 = (!wired.dio0).then_some(StuckLine::Low);
        self.set_faults(Faults { dead_reset: !wired.reset, stuck_dio0, ..Faults::default() });
        PartialBoard { board: self.board(), wired }
    }
}

/// An emulated chip on a board that may lack lines, from [`Chip::board_with`].
#[derive(Clone, Debug)]
pub struct PartialBoard {
    board: Board02,
    wired: WiredLines,
}

/// A DIO0 that may be missing. Waits take the time of the emulated board.
#[derive(Debug)]
pub struct PartialDio0 {
    line: Dio0,
    is_wired: bool,
}

impl EdgeLine for PartialDio0 {
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        self.line.wait(at_most)
    }

    fn is_wired(&self) -> bool {
        self.is_wired
    }
}

impl Board for PartialBoard {
    type Bus = <Board02 as Board>::Bus;
    type BusError = <Board02 as Board>::BusError;
    type Reset = <Board02 as Board>::Reset;
    type Dio0 = PartialDio0;
    type Delay = <Board02 as Board>::Delay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus, reset, dio0: PartialDio0 { line: dio0, is_wired: self.wired.dio0 }, delay })
    }

    fn has_reset(&self) -> bool {
        self.wired.reset
    }
}
