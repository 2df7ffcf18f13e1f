//! The log of a process: entries with fields if stderr is the systemd journal, text on stderr otherwise, and optionally a
//! file too.
//!
//! - In the journal, the message contains the fields, because `journalctl` shows the message alone.
//! - Writes to the journal and to the file wait. A log that drops lines under load is useless when it is needed.
//! - The file rotates by size, so that the log never fills a card.

mod full_message;
mod journal;
#[cfg(any(test, feature = "harness"))]
pub(crate) mod recorder;
mod rotating_file;

pub use rotating_file::{LOG_FILE_RULE, MAX_FILE_BYTES, MAX_FILES, is_log_file, reopen_log_file};

use rotating_file::RotatingFile;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Default filter; `RUST_LOG` takes precedence.
pub const DEFAULT_LOG: &str = "info";

/// Level of detail of the log. Each level includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Problems that may lead to failures.
    Warn,
    /// Ordinary events.
    #[default]
    Info,
    /// Details of how they come about.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// Returns the level's name, as in the settings.
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

/// Options for the log of a long-running process.
#[derive(Clone, Copy, Debug)]
pub struct ServiceLog<'a> {
    /// Name of the program, `SYSLOG_IDENTIFIER` in the journal.
    pub program: &'a str,
    /// Value of `SITE` in each journal entry; `None` if the entries themselves name their site.
    pub site: Option<&'a str>,
    /// Level of detail; `RUST_LOG` takes precedence.
    pub level: LogLevel,
    /// Additional log file.
    pub file: Option<&'a Path>,
}

/// Starts logging to stderr for the whole process, at `RUST_LOG` or else [`DEFAULT_LOG`].
///
/// On a terminal the output has colors, unless `NO_COLOR` is set. Only the first call in a process has an effect.
pub fn start_logging() {
    start_logging_at(LogLevel::default());
}

/// Starts logging like [`start_logging`], at `RUST_LOG` or else the level of the settings.
pub fn start_logging_at(level: LogLevel) {
    let filter = Filter::at(level);
    let started = tracing_subscriber::registry().with(filter.filter).with(stderr_layer()).try_init();
    report_start(started.is_ok(), level, filter.error.as_deref());
}

/// Starts the log of a service for the whole process. Only the first call in a process has an effect.
///
/// A destination that cannot be opened is reported in the others, and the service runs without it.
pub fn start_service_log(log: &ServiceLog<'_>) {
    let filter = Filter::at(log.level);
    let (journal, journal_error) = split(journal::layer(log.program, log.site).transpose());
    let journal = journal.flatten();
    let (file, file_error) = split(log.file.map(RotatingFile::open).transpose());
    let file =
        file.flatten().map(|file| fmt::layer().with_ansi(false).with_target(false).with_writer(Mutex::new(file)));
    let text = journal.is_none().then(stderr_layer);
    let started = tracing_subscriber::registry().with(filter.filter).with(journal).with(text).with(file).try_init();
    report_start(started.is_ok(), log.level, filter.error.as_deref());
    if let Some(error) = journal_error {
        tracing::warn!(%error, "cannot open the journal's socket; logging to stderr as plain text");
    }
    if let Some(error) = file_error {
        tracing::error!(%error, "`log_file` cannot be written to; logging without it. Check its directory and owner");
    }
}

fn split<T, E>(result: Result<T, E>) -> (Option<T>, Option<E>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

fn stderr_layer<S>() -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colors = !no_color && std::io::stderr().is_terminal();
    fmt::layer().with_writer(std::io::stderr).with_ansi(colors).with_target(false)
}

fn report_start(started: bool, level: LogLevel, filter_error: Option<&str>) {
    if !started {
        tracing::debug!("logging was already started; keeping it");
    }
    if let Some(reason) = filter_error {
        tracing::warn!("invalid RUST_LOG ({reason}); logging at `{}`", level.name());
    }
}

/// The filter in use, and the error of the requested one if that is invalid.
struct Filter {
    filter: EnvFilter,
    error: Option<String>,
}

impl Filter {
    fn at(level: LogLevel) -> Self {
        let requested = std::env::var_os("RUST_LOG").map(|text| text.to_string_lossy().into_owned());
        Self::new(requested.as_deref(), level.name())
    }

    fn new(requested: Option<&str>, level: &str) -> Self {
        match requested.filter(|text| !text.trim().is_empty()).map(EnvFilter::try_new) {
            Some(Ok(filter)) => Self { filter, error: None },
            Some(Err(error)) => Self { filter: EnvFilter::new(level), error: Some(error.to_string()) },
            None => Self { filter: EnvFilter::new(level), error: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a level of the settings that is another one in the filter, or none.
    #[test]
    fn each_level_has_the_name_of_the_settings() {
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        for level in levels {
            assert_eq!(serde_json::to_value(level).unwrap(), level.name());
            assert_eq!(Filter::new(None, level.name()).filter.to_string(), level.name());
        }
        assert_eq!(LogLevel::default().name(), DEFAULT_LOG);
    }

    /// Catches a typo in `RUST_LOG` that silences the log.
    #[test]
    fn an_invalid_filter_is_reported_and_replaced() {
        assert!(Filter::new(None, DEFAULT_LOG).error.is_none());
        assert_eq!(Filter::new(None, "warn").filter.to_string(), "warn");
        assert!(Filter::new(Some("  "), DEFAULT_LOG).error.is_none());
        assert_eq!(Filter::new(Some("debug,herd=trace"), DEFAULT_LOG).filter.to_string(), "herd=trace,debug");
        let Filter { filter, error } = Filter::new(Some("herd=loud"), DEFAULT_LOG);
        assert!(error.is_some());
        assert_eq!(filter.to_string(), DEFAULT_LOG);
    }
}
