//! The wires RESET and DIO0 between an emulated chip and GPIO lines of the kernel.

use super::error::DeviceError;
use super::gpio_sim::GpioSim;
use crate::board::{EdgeLine, Wake};
use crate::emulator::host::Chip;
use embedded_hal_02::digital::v2::OutputPin;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

/// GPIO line of RESET.
pub const RESET_LINE: u32 = 25;
/// GPIO line of DIO0.
pub const DIO0_LINE: u32 = 22;

/// Interval at which RESET and a high DIO0 are polled, because the kernel does not report changes of outputs.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Longest wait for DIO0 before the thread checks whether to stop.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// State of the DIO0 wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dio0Wire {
    /// Connects the chip's pin to its GPIO line.
    Connected,
    /// The chip drives its pin as always, but the GPIO line never moves.
    Cut,
}

/// The wires of a chip, served by two threads until this value is dropped.
///
/// One thread lets time pass on the chip's air in real time, whatever the program at the other end does.
#[derive(Debug)]
pub struct Wires {
    gpio: Arc<GpioSim>,
    shared: Arc<WireState>,
    threads: Vec<JoinHandle<()>>,
}

/// State shared with the threads.
#[derive(Debug, Default)]
struct WireState {
    stop: AtomicBool,
    resets: AtomicU32,
    edges: AtomicU32,
}

/// One wire, as its thread sees it.
struct Wire {
    chip: Chip,
    gpio: Arc<GpioSim>,
    shared: Arc<WireState>,
}

impl Wires {
    /// Creates a GPIO chip and wires this chip to it.
    pub fn new(chip: &Chip, dio0: Dio0Wire) -> Result<Self, DeviceError> {
        let gpio = Arc::new(GpioSim::new()?);
        pull_reset_up(&gpio)?;
        let mut wires = Self { gpio, shared: Arc::default(), threads: Vec::new() };
        wires.spawn("RESET", chip, Wire::run_reset)?;
        wires.spawn("DIO0", chip, move |wire| wire.run_dio0(dio0))?;
        Ok(wires)
    }

    /// Returns the path of the GPIO chip's device file.
    pub fn gpio_chip(&self) -> &Path {
        self.gpio.path()
    }

    /// Returns the number of resets through the RESET line.
    pub fn resets(&self) -> u32 {
        self.shared.resets.load(SeqCst)
    }

    /// Returns the number of rising edges of the chip's DIO0 pin.
    pub fn edges(&self) -> u32 {
        self.shared.edges.load(SeqCst)
    }

    fn spawn(
        &mut self,
        name: &'static str,
        chip: &Chip,
        run: impl FnOnce(&Wire) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<(), DeviceError> {
        let wire = Wire { chip: chip.clone(), gpio: Arc::clone(&self.gpio), shared: Arc::clone(&self.shared) };
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = run(&wire) {
                tracing::error!(%error, name, "emulated wire stopped");
            }
        });
        self.threads.push(thread.map_err(|source| DeviceError::Thread { name, source })?);
        Ok(())
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Emulates the module's pull-up resistor, which acts while no program drives the line.
fn pull_reset_up(gpio: &GpioSim) -> Result<(), DeviceError> {
    gpio.pull(RESET_LINE, true)
}

impl Wire {
    fn is_stopped(&self) -> bool {
        self.shared.stop.load(SeqCst)
    }

    fn run_reset(&self) -> Result<(), DeviceError> {
        let (mut reset, mut was_low) = (self.chip.reset(), false);
        while !self.is_stopped() {
            let is_low = !self.gpio.is_high(RESET_LINE)?;
            if is_low {
                pull_reset_up(&self.gpio)?;
            }
            if is_low && !was_low {
                self.chip.air().catch_up();
                let Ok(()) = reset.set_low();
            } else if !is_low && was_low {
                self.chip.air().catch_up();
                let Ok(()) = reset.set_high();
                self.shared.resets.fetch_add(1, SeqCst);
            }
            was_low = is_low;
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Lets time pass on the air and moves the GPIO line with the chip's pin.
    fn run_dio0(&self, wire: Dio0Wire) -> Result<(), DeviceError> {
        let mut dio0 = self.chip.dio0();
        while !self.is_stopped() {
            // A wait for an emulated line never fails.
            if !matches!(dio0.wait(MAX_WAIT), Ok(Wake::Edge)) {
                // Otherwise the lags of many waits would add up, and several packets would then arrive at once.
                self.chip.air().catch_up();
                continue;
            }
            self.shared.edges.fetch_add(1, SeqCst);
            if wire == Dio0Wire::Connected {
                self.gpio.pull(DIO0_LINE, true)?;
            }
            while self.chip.dio0_is_high() && !self.is_stopped() {
                self.chip.air().pass(POLL_INTERVAL);
            }
            self.gpio.pull(DIO0_LINE, false)?;
        }
        Ok(())
    }
}
