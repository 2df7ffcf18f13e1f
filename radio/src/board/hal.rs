//! An adapter from embedded-hal 1.0, which Linux boards use, to 0.2, which the upstream driver uses.

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::spi::SpiDevice;
use embedded_hal_02::blocking::{delay, spi};
use embedded_hal_02::digital::v2;

/// A bus, line or clock of embedded-hal 1.0 that implements the traits of 0.2.
#[derive(Debug)]
pub struct Hal02<T>(pub T);

impl<T: SpiDevice> spi::Transfer<u8> for Hal02<T> {
    type Error = T::Error;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], T::Error> {
        self.0.transfer_in_place(words)?;
        Ok(words)
    }
}

impl<T: SpiDevice> spi::Write<u8> for Hal02<T> {
    type Error = T::Error;

    fn write(&mut self, words: &[u8]) -> Result<(), T::Error> {
        self.0.write(words)
    }
}

impl<T: OutputPin> v2::OutputPin for Hal02<T> {
    type Error = T::Error;

    fn set_low(&mut self) -> Result<(), T::Error> {
        self.0.set_low()
    }

    fn set_high(&mut self) -> Result<(), T::Error> {
        self.0.set_high()
    }
}

impl<T: DelayNs> delay::DelayMs<u8> for Hal02<T> {
    fn delay_ms(&mut self, ms: u8) {
        self.0.delay_ms(u32::from(ms));
    }
}
