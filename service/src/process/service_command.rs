//! The commands `run` and `check`, which begin in the same way in both programs.
//!
//! The order of the steps of `run` is a decision: the delay after failed starts comes first, so that settings which are
//! refused do not spin. Root is refused before the log file is opened: a file of root's would keep the service from its own
//! log. The refusal goes to stderr, and so to the journal.
//!
//! All files of the process are for its owner alone, whatever umask it was started with: `redb` and the log file take
//! theirs from it, and `run` by hand has that of a shell.

use super::free_memory::share_one_heap;
use super::{ServiceUnit, StartCheck, StartError, UnitCheckError, in_runtime};
use crate::control::{OwnerError, refuse_root_on};
use crate::lifecycle::Exit;
use crate::logging::{LogLevel, ServiceLog, start_logging_at, start_service_log};
use crate::supervisor::FailedStarts;
use rustix::fs::Mode;
use rustix::process::umask;
use std::future::Future;
use std::io::{self, Write};

/// Settings of a service, as far as `run` and `check` need them.
pub trait ServiceSettings {
    /// Returns the options for the log of the service.
    fn log(&self) -> ServiceLog<'_>;

    /// Returns what a start needs.
    fn start_check(&self) -> StartCheck<'_>;

    /// Returns what does not prevent a start but should be known, each as a sentence.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Reason why a service does not run, or would not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceCommandError {
    /// `run` was called by root on another user's files.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The service could not start with these settings.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The unit of systemd would not start, or was not checked.
    #[error(transparent)]
    Unit(#[from] UnitCheckError),
    /// The result could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] io::Error),
    /// The runtime could not start.
    #[error("cannot start the program's threads: {0}")]
    Runtime(#[source] io::Error),
}

impl From<&ServiceCommandError> for Exit {
    fn from(error: &ServiceCommandError) -> Self {
        match error {
            ServiceCommandError::Owner(error) => Self::from(error),
            ServiceCommandError::Start(error) => Self::from(error),
            ServiceCommandError::Unit(error) => Self::from(error),
            ServiceCommandError::Print(_) | ServiceCommandError::Runtime(_) => Self::Failure,
        }
    }
}

/// Loads the settings and runs the service with them until it ends.
pub fn run_service<S, L, E, F>(load: impl FnOnce() -> Result<S, L>, run: impl FnOnce(S) -> F) -> Result<(), E>
where
    S: ServiceSettings,
    E: From<ServiceCommandError> + From<L>,
    F: Future<Output = Result<(), E>>,
{
    FailedStarts::from_env().iter().for_each(FailedStarts::delay_start);
    let settings = load()?;
    refuse_root_on(settings.start_check().state_dir).map_err(ServiceCommandError::from)?;
    umask(Mode::RWXG | Mode::RWXO);
    start_service_log(&settings.log());
    share_one_heap();
    in_runtime(run(settings)).map_err(ServiceCommandError::Runtime)?
}

/// Checks that the service could start, and prints what it found.
///
/// With `as_unit`, root checks in the place of the service of systemd, if `program` has one.
pub fn check_service<S, L, E>(
    program: &str,
    as_unit: bool,
    load: impl FnOnce() -> Result<S, L>,
    out: &mut dyn Write,
) -> Result<(), E>
where
    S: ServiceSettings,
    E: From<ServiceCommandError> + From<L>,
{
    if as_unit && let Some(unit) = ServiceUnit::of(program).map_err(ServiceCommandError::from)? {
        return Ok(unit.check(program, out).map_err(ServiceCommandError::from)?);
    }
    let settings = load()?;
    start_logging_at(LogLevel::Warn);
    Ok(check_settings(&settings, out)?)
}

fn check_settings(settings: &impl ServiceSettings, out: &mut dyn Write) -> Result<(), ServiceCommandError> {
    let start = settings.start_check();
    start.print_places(out)?;
    start.check()?;
    for note in settings.notes().into_iter().chain(start.notes()) {
        writeln!(out, "Note: {note}")?;
    }
    Ok(writeln!(out, "The settings are good.")?)
}
