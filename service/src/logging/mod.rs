//! What a process logs, and where: to the journal with fields where its stderr is the journal, else to stderr as text;
//! and to a file of its own where it is asked to.

mod file;
mod journal;
mod spoken;

pub use file::{FILE_BYTES, FILES_KEPT, LOG_FILES, is_log_file};

use file::RotatedFile;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged where `RUST_LOG` does not say otherwise.
pub const DEFAULT_LOG: &str = "info";

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what may.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The log of a process that goes on.
#[derive(Clone, Copy, Debug)]
pub struct ServiceLog<'a> {
    /// The program's name, `SYSLOG_IDENTIFIER` in the journal.
    pub program: &'a str,
    /// What stands as `SITE` in each of its entries; none where they name different ones.
    pub site: Option<&'a str>,
    /// How much, where `RUST_LOG` does not say otherwise.
    pub level: LogLevel,
    /// A file that gets all of it too.
    pub file: Option<&'a Path>,
}

/// Logs to stderr, from now on and for the whole process: what `RUST_LOG` asks for, [`DEFAULT_LOG`] without it; with
/// colors on a terminal unless `NO_COLOR` is set. Only the first call in a process has an effect.
pub fn start_logging() {
    start_logging_at(LogLevel::default());
}

/// As [`start_logging`], with a level of the settings where `RUST_LOG` does not say otherwise.
pub fn start_logging_at(level: LogLevel) {
    let filter = Filter::at(level);
    let started = tracing_subscriber::registry().with(filter.filter).with(to_stderr()).try_init();
    say(started.is_ok(), level, filter.refused.as_deref());
}

/// Logs a service, from now on and for the whole process. Only the first call in a process has an effect. What cannot
/// be logged to is said in what can; it keeps nothing from running.
pub fn start_service_log(log: &ServiceLog<'_>) {
    let filter = Filter::at(log.level);
    let (journal, no_journal) = split(journal::layer(log.program, log.site).transpose());
    let journal = journal.flatten();
    let (file, no_file) = split(log.file.map(RotatedFile::open).transpose());
    let file =
        file.flatten().map(|file| fmt::layer().with_ansi(false).with_target(false).with_writer(Mutex::new(file)));
    let text = journal.is_none().then(to_stderr);
    let started = tracing_subscriber::registry().with(filter.filter).with(journal).with(text).with(file).try_init();
    say(started.is_ok(), log.level, filter.refused.as_deref());
    if let Some(error) = no_journal {
        tracing::warn!(%error, "stderr is the journal, and its socket does not answer: logging as plain text");
    }
    if let Some(error) = no_file {
        tracing::error!(%error, "`log_file` cannot be written to, and is left out: look at its directory and owner");
    }
}

fn split<T, E>(result: Result<T, E>) -> (Option<T>, Option<E>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

fn to_stderr<S>() -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colors = !no_color && std::io::stderr().is_terminal();
    fmt::layer().with_writer(std::io::stderr).with_ansi(colors).with_target(false)
}

fn say(started: bool, level: LogLevel, refused: Option<&str>) {
    if !started {
        tracing::debug!("logging was started already; it stays as it is");
    }
    if let Some(reason) = refused {
        tracing::warn!("RUST_LOG is not understood ({reason}); logging at `{}`", level.name());
    }
}

/// The filter, and why the one asked for is not it.
struct Filter {
    filter: EnvFilter,
    refused: Option<String>,
}

impl Filter {
    fn at(level: LogLevel) -> Self {
        let asked = std::env::var_os("RUST_LOG").map(|text| text.to_string_lossy().into_owned());
        Self::of(asked.as_deref(), level.name())
    }

    fn of(asked: Option<&str>, level: &str) -> Self {
        match asked.filter(|text| !text.trim().is_empty()).map(EnvFilter::try_new) {
            Some(Ok(filter)) => Self { filter, refused: None },
            Some(Err(error)) => Self { filter: EnvFilter::new(level), refused: Some(error.to_string()) },
            None => Self { filter: EnvFilter::new(level), refused: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_that_is_not_understood_is_said_and_replaced() {
        assert!(Filter::of(None, DEFAULT_LOG).refused.is_none());
        assert_eq!(Filter::of(None, "warn").filter.to_string(), "warn");
        assert!(Filter::of(Some("  "), DEFAULT_LOG).refused.is_none());
        assert_eq!(Filter::of(Some("debug,herd=trace"), DEFAULT_LOG).filter.to_string(), "herd=trace,debug");
        let Filter { filter, refused } = Filter::of(Some("herd=loud"), DEFAULT_LOG);
        assert!(refused.is_some());
        assert_eq!(filter.to_string(), DEFAULT_LOG);
    }
}
