//! A board of an emulated chip that calls hooks of a test around each frame of the bus.

use embedded_hal_02::blocking::spi::{Transfer, Write};
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Board02, BusDownError, Chip, Dio0, EmulatedDelay, Reset, Spi02};
use std::sync::{Arc, Mutex};

/// Hooks around chip-select frames.
pub(crate) trait FrameHooks: Send + 'static {
    /// Called before every frame.
    fn before_frame(&mut self) {}

    /// Called after a frame that reads, starting at `address`.
    fn after_read(&mut self, address: u8, values: &[u8]) {
        let _ = (address, values);
    }

    /// Called after a frame that writes. The first word is the address.
    fn after_write(&mut self, words: &[u8]) {
        let _ = words;
    }
}

/// The board. Its hooks keep their state when the driver connects again.
pub(crate) struct HookedBoard<A> {
    board: Board02,
    hooks: Arc<Mutex<A>>,
}

impl<A: FrameHooks> HookedBoard<A> {
    pub(crate) fn new(chip: &Chip, hooks: A) -> Self {
        Self { board: chip.board(), hooks: Arc::new(Mutex::new(hooks)) }
    }

    /// Returns the hooks, for a test to inspect.
    pub(crate) fn hooks(&self) -> Arc<Mutex<A>> {
        Arc::clone(&self.hooks)
    }
}

impl<A: FrameHooks> Board for HookedBoard<A> {
    type Bus = HookedBus<A>;
    type BusError = BusDownError;
    type Reset = Reset;
    type Dio0 = Dio0;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus: HookedBus { bus, hooks: self.hooks() }, reset, dio0, delay })
    }
}

/// The bus of a [`HookedBoard`].
pub(crate) struct HookedBus<A> {
    bus: Spi02,
    hooks: Arc<Mutex<A>>,
}

impl<A: FrameHooks> Transfer<u8> for HookedBus<A> {
    type Error = BusDownError;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDownError> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.before_frame();
        let address = words[0];
        let answer = self.bus.transfer(words)?;
        hooks.after_read(address, &answer[1..]);
        Ok(answer)
    }
}

impl<A: FrameHooks> Write<u8> for HookedBus<A> {
    type Error = BusDownError;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDownError> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.before_frame();
        self.bus.write(words)?;
        hooks.after_write(words);
        Ok(())
    }
}
