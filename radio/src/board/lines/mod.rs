//! RESET and DIO0 through the kernel's GPIO character device. It maps no registers, so it works on any board. The only
//! file that names gpiocdev.

use super::{BoardError, EdgeLine, LineError, Pins, ResetError, Wake};
use embedded_hal_02::digital::v2::OutputPin;
use gpiocdev::line::{Bias, EdgeDetection, Value};
use gpiocdev::request::Builder;
use gpiocdev::{Chip, Request};
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

/// Consumer name of the lines, as `gpioinfo` shows it.
const CONSUMER: &str = "herdlinx";
/// Maximum number of edges that one wait reads, so that it ends on a chattering line. The kernel queues 16 per line;
/// they count as one.
const MAX_EDGES: usize = 64;

/// The RESET line, active low. When it is released, the chip's pull-up keeps the chip running.
#[derive(Debug)]
pub struct ResetLine {
    request: Request,
    line: u32,
}

/// The DIO0 line, watched for rising edges.
#[derive(Debug)]
pub struct Dio0Line {
    request: Request,
}

/// Requests both lines from their chip: RESET high, so that the chip runs, and DIO0 with a pull-down, so that a module
/// that was unplugged causes no edges.
pub(super) fn take(pins: &Pins) -> Result<(ResetLine, Dio0Line), BoardError> {
    let chip = open(&pins.gpio_chip)?;
    let reset = |builder: &mut Builder| _ = builder.as_output(Value::Active);
    let dio0 = |builder: &mut Builder| {
        builder.as_input().with_bias(Bias::PullDown).with_edge_detection(EdgeDetection::RisingEdge);
    };
    let line = pins.reset_line;
    Ok((
        ResetLine { request: request(&chip, "RESET", line, reset)?, line },
        Dio0Line { request: request(&chip, "DIO0", pins.dio0_line, dio0)? },
    ))
}

fn open(path: &Path) -> Result<Chip, BoardError> {
    // Opened directly first, because the library's error for a path that cannot be opened has lost its kind.
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| BoardError::of_gpio_chip(path, error))?;
    Chip::from_path(path).map_err(|error| match error {
        gpiocdev::Error::GpioChip(..) => BoardError::NotGpioChip { path: path.display().to_string() },
        other => BoardError::of_gpio_chip(path, std::io::Error::other(other)),
    })
}

fn request(
    chip: &Chip,
    what: &'static str,
    line: u32,
    configure: impl FnOnce(&mut Builder),
) -> Result<Request, BoardError> {
    let path = chip.path().display().to_string();
    if let Ok(info) = chip.info()
        && line >= info.num_lines
    {
        return Err(BoardError::NoLine { what, chip: path, line, lines: info.num_lines });
    }
    let mut builder = Request::builder();
    builder.on_chip(chip.path()).with_consumer(CONSUMER).with_line(line);
    configure(&mut builder);
    builder.request().map_err(|error| match chip.line_info(line) {
        Ok(info) if info.used => BoardError::LineTaken { what, chip: path, line, holder: holder(&info.consumer) },
        _ => BoardError::Line { what, chip: path, line, reason: error.to_string() },
    })
}

fn holder(consumer: &str) -> String {
    if consumer.is_empty() { "an unnamed program".to_owned() } else { format!("`{consumer}`") }
}

impl ResetLine {
    fn drive(&self, value: Value) -> Result<(), ResetError> {
        self.request.set_value(self.line, value).map_err(|error| ResetError(error.to_string()))
    }
}

impl OutputPin for ResetLine {
    type Error = ResetError;

    fn set_low(&mut self) -> Result<(), ResetError> {
        self.drive(Value::Inactive)
    }

    fn set_high(&mut self) -> Result<(), ResetError> {
        self.drive(Value::Active)
    }
}

impl EdgeLine for Dio0Line {
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        // A Unix signal interrupts the wait and looks like an error. The second call, which does not wait, shows if the
        // line itself works.
        let found = self.request.wait_edge_event(at_most).or_else(|_| self.request.has_edge_event());
        let mut pending = found.map_err(line_error)?;
        if !pending {
            return Ok(Wake::TimedOut);
        }
        for _ in 0..MAX_EDGES {
            if !pending {
                break;
            }
            self.request.read_edge_event().map_err(line_error)?;
            pending = self.request.has_edge_event().map_err(line_error)?;
        }
        Ok(Wake::Edge)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn line_error(error: gpiocdev::Error) -> LineError {
    LineError(error.to_string())
}

#[cfg(test)]
#[cfg(feature = "kernel-tests")]
mod tests;
