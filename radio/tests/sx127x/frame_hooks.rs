//! An emulated chip's board on which a test has its say around each frame of the bus.

use embedded_hal_02::blocking::spi::{Transfer, Write};
use radio::board::{Board, BoardError, Wiring};
use radio::emulator::{Board02, BusDownError, Chip, Dio0, EmulatedDelay, Reset, Spi02};
use std::sync::{Arc, Mutex};

/// What a test does around frames of chip select.
pub(crate) trait AroundFrames: Send + 'static {
    /// Before a frame of either kind.
    fn before_frame(&mut self) {}

    /// Behind a frame that reads from `address` on.
    fn has_read(&mut self, address: u8, values: &[u8]) {
        let _ = (address, values);
    }

    /// Behind a frame that writes; the address comes first.
    fn has_written(&mut self, words: &[u8]) {
        let _ = words;
    }
}

/// The board. What is done around frames goes on where it was when the driver connects anew.
pub(crate) struct WatchedFrames<A> {
    board: Board02,
    around: Arc<Mutex<A>>,
}

impl<A: AroundFrames> WatchedFrames<A> {
    pub(crate) fn new(chip: &Chip, around: A) -> Self {
        Self { board: chip.board(), around: Arc::new(Mutex::new(around)) }
    }

    /// What is done around frames, to be looked at.
    pub(crate) fn around(&self) -> Arc<Mutex<A>> {
        Arc::clone(&self.around)
    }
}

impl<A: AroundFrames> Board for WatchedFrames<A> {
    type Bus = WatchedBus<A>;
    type BusError = BusDownError;
    type Reset = Reset;
    type Dio0 = Dio0;
    type Delay = EmulatedDelay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus: WatchedBus { bus, around: self.around() }, reset, dio0, delay })
    }
}

/// Its bus.
pub(crate) struct WatchedBus<A> {
    bus: Spi02,
    around: Arc<Mutex<A>>,
}

impl<A: AroundFrames> Transfer<u8> for WatchedBus<A> {
    type Error = BusDownError;

    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], BusDownError> {
        let mut around = self.around.lock().unwrap();
        around.before_frame();
        let address = words[0];
        let answer = self.bus.transfer(words)?;
        around.has_read(address, &answer[1..]);
        Ok(answer)
    }
}

impl<A: AroundFrames> Write<u8> for WatchedBus<A> {
    type Error = BusDownError;

    fn write(&mut self, words: &[u8]) -> Result<(), BusDownError> {
        let mut around = self.around.lock().unwrap();
        around.before_frame();
        self.bus.write(words)?;
        around.has_written(words);
        Ok(())
    }
}
