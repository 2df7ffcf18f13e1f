//! RESET and DIO0 between an emulated chip and lines of the kernel.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

use embedded_hal_02::digital::v2::OutputPin;

use super::{DeviceError, GpioSim};
use crate::board::{EdgeLine, Wake};
use crate::emulator::Chip;

/// The line that RESET hangs on.
pub const RESET_LINE: u32 = 25;
/// The line that DIO0 hangs on.
pub const DIO0_LINE: u32 = 22;

/// So often RESET, and a DIO0 that is high, are looked at: the kernel does not tell of outputs.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// So long DIO0 is waited for before it is looked whether to stop.
const WAIT_AT_MOST: Duration = Duration::from_millis(20);

/// Whether DIO0 is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dio0Wire {
    /// From the chip to its line.
    Whole,
    /// The chip drives its pin as ever, and the line never moves.
    Cut,
}

/// The wires, followed by two threads until they are dropped. One of them lets time pass on the chip's air, in real
/// time, whatever the program at the other end does.
#[derive(Debug)]
pub struct Wires {
    gpio: Arc<GpioSim>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    resets: AtomicU32,
    edges: AtomicU32,
}

/// One end of the wires.
struct End {
    chip: Chip,
    gpio: Arc<GpioSim>,
    counts: Arc<Counts>,
}

impl Wires {
    /// Makes a GPIO chip, and wires this chip to it.
    pub fn new(chip: &Chip, dio0: Dio0Wire) -> Result<Self, DeviceError> {
        let gpio = Arc::new(GpioSim::new()?);
        // The module's own resistor, for as long as nobody drives the line.
        gpio.pull(RESET_LINE, true)?;
        let mut wires = Self { gpio, counts: Arc::default(), threads: Vec::new() };
        wires.follow("RESET", chip, End::follow_reset)?;
        wires.follow("DIO0", chip, move |end| end.follow_dio0(dio0))?;
        Ok(wires)
    }

    /// The GPIO chip's file.
    pub fn gpio_chip(&self) -> &Path {
        self.gpio.path()
    }

    /// How often RESET was pulled and let go.
    pub fn resets(&self) -> u32 {
        self.counts.resets.load(SeqCst)
    }

    /// How often the chip raised DIO0.
    pub fn edges(&self) -> u32 {
        self.counts.edges.load(SeqCst)
    }

    fn follow(
        &mut self,
        name: &'static str,
        chip: &Chip,
        follow: impl FnOnce(&End) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<(), DeviceError> {
        let end = End { chip: chip.clone(), gpio: Arc::clone(&self.gpio), counts: Arc::clone(&self.counts) };
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = follow(&end) {
                tracing::error!(%error, "a wire is not followed any more");
            }
        });
        self.threads.push(thread.map_err(|source| DeviceError::Thread { name, source })?);
        Ok(())
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.counts.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl End {
    fn is_stopped(&self) -> bool {
        self.counts.stop.load(SeqCst)
    }

    fn follow_reset(&self) -> Result<(), DeviceError> {
        let (mut reset, mut was_low) = (self.chip.reset(), false);
        while !self.is_stopped() {
            let is_low = !self.gpio.is_high(RESET_LINE)?;
            if is_low && !was_low {
                let Ok(()) = reset.set_low();
            } else if !is_low && was_low {
                let Ok(()) = reset.set_high();
                self.counts.resets.fetch_add(1, SeqCst);
            }
            was_low = is_low;
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Lets time pass on the air, and moves the line as the chip does.
    fn follow_dio0(&self, wire: Dio0Wire) -> Result<(), DeviceError> {
        let mut dio0 = self.chip.dio0();
        while !self.is_stopped() {
            // An emulated line can be waited on, always.
            if !matches!(dio0.wait(WAIT_AT_MOST), Ok(Wake::Edge)) {
                continue;
            }
            self.counts.edges.fetch_add(1, SeqCst);
            if wire == Dio0Wire::Whole {
                self.gpio.pull(DIO0_LINE, true)?;
            }
            while self.chip.dio0_is_high() && !self.is_stopped() {
                self.chip.air().pass(LOOK_EVERY);
            }
            self.gpio.pull(DIO0_LINE, false)?;
        }
        Ok(())
    }
}
