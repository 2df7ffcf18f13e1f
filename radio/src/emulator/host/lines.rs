//! The lines RESET and DIO0 of a chip, and the clock of its board.

use super::chip::Chip;
use crate::board::{EdgeLine, LineError, Wake};
use embedded_hal_02::blocking::delay;
use embedded_hal_02::digital::v2;
use std::convert::Infallible;
use std::time::Duration;

impl Chip {
    /// Returns the RESET line, for both versions of embedded-hal.
    pub fn reset(&self) -> Reset {
        Reset(self.clone())
    }

    /// Requests the DIO0 line. Earlier edges are discarded.
    pub fn dio0(&self) -> Dio0 {
        self.air().inspect(|world| while world.chip(self.index()).dio0.take_edge() {});
        Dio0(self.clone())
    }

    /// Returns a clock for both versions of embedded-hal. A delay lets time pass on the air.
    pub fn delay(&self) -> EmulatedDelay {
        EmulatedDelay(self.clone())
    }
}

/// The RESET line of a chip, active low.
#[derive(Clone, Debug)]
pub struct Reset(Chip);

impl Reset {
    fn drive(&self, low: bool) {
        self.0.air().change(|world| {
            let now_ns = world.now_ns();
            world.chip(self.0.index()).drive_reset(low, now_ns);
            world.settle(self.0.index());
        });
    }
}

impl v2::OutputPin for Reset {
    type Error = Infallible;

    fn set_low(&mut self) -> Result<(), Infallible> {
        self.drive(true);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.drive(false);
        Ok(())
    }
}

impl embedded_hal::digital::ErrorType for Reset {
    type Error = Infallible;
}

impl embedded_hal::digital::OutputPin for Reset {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.drive(true);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.drive(false);
        Ok(())
    }
}

/// The DIO0 line of a chip.
///
/// Its first wait makes the caller a driver that the air waits for, until this value is dropped.
#[derive(Debug)]
pub struct Dio0(Chip);

impl Drop for Dio0 {
    fn drop(&mut self) {
        self.0.air().remove_driver(self.0.index());
    }
}

impl EdgeLine for Dio0 {
    fn wait(&mut self, timeout: Duration) -> Result<Wake, LineError> {
        Ok(self.0.air().wait_for_edge(self.0.index(), timeout))
    }
}

/// The clock of a chip's board. A delay lets time pass on the air.
#[derive(Clone, Debug)]
pub struct EmulatedDelay(Chip);

impl delay::DelayMs<u8> for EmulatedDelay {
    fn delay_ms(&mut self, ms: u8) {
        self.0.air().pass(Duration::from_millis(u64::from(ms)));
    }
}

impl embedded_hal::delay::DelayNs for EmulatedDelay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.air().pass(Duration::from_nanos(u64::from(ns)));
    }
}
