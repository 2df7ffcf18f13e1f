//! The command's side of a verification.

use super::VerifyState;
use crate::control::CommandError;
use crate::lifecycle::{Exit, print_notice};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Interval of the progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which the running process is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Reason why a store is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyCommandError {
    /// Neither the process nor the files gave a response.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The store is damaged; the findings have been printed.
    #[error("the store is damaged; the lines above say where")]
    Damaged,
    /// The verification could not be done.
    #[error("the store could not be verified: {0}")]
    Failed(String),
    /// The findings could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] io::Error),
}

impl From<&VerifyCommandError> for Exit {
    fn from(error: &VerifyCommandError) -> Self {
        match error {
            VerifyCommandError::Command(error) => Self::from(error),
            VerifyCommandError::Damaged => Self::Damaged,
            VerifyCommandError::Failed(_) | VerifyCommandError::Print(_) => Self::Failure,
        }
    }
}

/// Runs a verification to its end: prints the progress to stderr and the findings to `out`.
///
/// `ask` starts it if its first argument is true, and returns its state; the second argument takes the progress of a
/// verification that `ask` does itself. Blocks.
pub fn verify_with(
    mut ask: impl FnMut(bool, &mut dyn FnMut(String)) -> Result<VerifyState, CommandError>,
    out: &mut dyn Write,
) -> Result<(), VerifyCommandError> {
    let mut last_line = Instant::now();
    let mut progress = |text: String| {
        if last_line.elapsed() >= PROGRESS_INTERVAL {
            last_line = Instant::now();
            print_notice(text);
        }
    };
    let mut state = ask(true, &mut progress)?;
    let report = loop {
        match state {
            VerifyState::Running(text) => progress(text),
            VerifyState::Finished(report) => break report,
            VerifyState::Failed(reason) => return Err(VerifyCommandError::Failed(reason)),
        }
        std::thread::sleep(POLL_INTERVAL);
        state = ask(false, &mut progress)?;
    };
    for line in &report.lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    if report.sound { Ok(()) } else { Err(VerifyCommandError::Damaged) }
}
