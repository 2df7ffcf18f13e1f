//! RESET and DIO0 through the kernel's GPIO character device. It maps no registers, so it works on any board. The only
//! file that names gpiocdev.

mod labels;

pub use labels::HEADER_CHIP;

use super::{BoardError, EdgeLine, LineError, Pins, ResetError, Wake};
use embedded_hal_02::digital::v2::OutputPin;
use gpiocdev::line::{Bias, Drive, EdgeDetection, Value};
use gpiocdev::request::Builder;
use gpiocdev::{Chip, Request};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Consumer name of the lines, as `gpioinfo` shows it.
const CONSUMER: &str = "herdlinx";
/// Maximum number of edges that one wait reads, so that it ends on a chattering line. The kernel queues 16 per line;
/// they count as one.
const MAX_EDGES: usize = 64;
/// Directory of the device files.
const DEVICES: &str = "/dev";

/// The RESET line, active low and open-drain: it is pulled low or released, never driven high. When it is released, the
/// chip's pull-up keeps the chip running.
#[derive(Debug)]
pub struct ResetLine {
    /// `None` if the pin is not wired.
    wired: Option<(Request, u32)>,
}

/// The DIO0 line, watched for rising edges.
#[derive(Debug)]
pub struct Dio0Line {
    /// `None` if the pin is not wired.
    request: Option<Request>,
}

/// Requests the wired lines from their chip: RESET released, so that the chip runs, and DIO0 with a pull-down, so that a
/// module that was unplugged causes no edges.
pub(super) fn take(pins: &Pins) -> Result<(ResetLine, Dio0Line), BoardError> {
    if !pins.has_lines() {
        return Ok((ResetLine { wired: None }, Dio0Line { request: None }));
    }
    let chip = open(&find_gpio_chip(&pins.gpio_chip)?)?;
    // The pull-up of the GPIO chip helps modules that have a weak one or none.
    let reset = |builder: &mut Builder| {
        builder.as_output(Value::Active).with_drive(Drive::OpenDrain).with_bias(Bias::PullUp);
    };
    let dio0 = |builder: &mut Builder| {
        builder.as_input().with_bias(Bias::PullDown).with_edge_detection(EdgeDetection::RisingEdge);
    };
    let wired = match pins.reset_line {
        Some(line) => Some((request(&chip, "RESET", line, reset)?, line)),
        None => None,
    };
    let request = match pins.dio0_line {
        Some(line) => Some(request(&chip, "DIO0", line, dio0)?),
        None => None,
    };
    Ok((ResetLine { wired }, Dio0Line { request }))
}

/// Returns the path of a GPIO chip that is given as a path, a label, or [`HEADER_CHIP`].
pub fn find_gpio_chip(wanted: &Path) -> Result<PathBuf, BoardError> {
    if wanted.is_absolute() {
        return Ok(wanted.to_owned());
    }
    labels::choose(&wanted.display().to_string(), &labeled_chips(Path::new(DEVICES)))
}

/// Returns the GPIO chips in a directory that can be opened, in the order of their names.
fn labeled_chips(devices: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(devices).into_iter().flatten().flatten();
    let is_chip = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("gpiochip"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_chip).collect();
    paths.sort();
    let label = |path: PathBuf| Some((path.clone(), Chip::from_path(&path).ok()?.info().ok()?.label));
    paths.into_iter().filter_map(label).collect()
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
        match &self.wired {
            Some((request, line)) => request.set_value(*line, value).map_err(|error| ResetError(error.to_string())),
            None => Ok(()),
        }
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
    fn is_wired(&self) -> bool {
        self.request.is_some()
    }

    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        let Some(request) = &self.request else {
            std::thread::sleep(at_most);
            return Ok(Wake::TimedOut);
        };
        // A Unix signal interrupts the wait and looks like an error. The second call, which does not wait, shows if the
        // line itself works.
        let found = request.wait_edge_event(at_most).or_else(|_| request.has_edge_event());
        let mut pending = found.map_err(line_error)?;
        if !pending {
            return Ok(Wake::TimedOut);
        }
        for _ in 0..MAX_EDGES {
            if !pending {
                break;
            }
            request.read_edge_event().map_err(line_error)?;
            pending = request.has_edge_event().map_err(line_error)?;
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
