//! `herdlinxd doctor`: looks at each part that a barn stands on, says what to do, and what a bug report needs.
//!
//! It writes nothing. A radio's chip is set up and tried only while no daemon runs on the same state directory; of one
//! that runs it is told what the daemon says.

mod about;
mod machine;
mod radios;

pub use about::About;

use crate::control::{BarnRequest, BarnResponse, BarnStatus};
use crate::settings::Settings;
use herd::clock::SystemClock;
use serde::Serialize;
use serde_json::json;
use service::control::{AskError, CommandError, SOCKET_NAME, ask};
use std::io::{self, Write};

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, or does not have to; a person should know.
    Warn,
    /// It does not work, and somebody must do something.
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok  ",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What was found of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// Which part.
    pub what: String,
    /// What was found. Errors of parts say in the same sentence what to do.
    pub found: String,
    /// What to do, where that is not said yet.
    pub advice: Option<&'static str>,
}

impl Finding {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), found: found.into(), advice: None }
    }

    fn warn(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Warn, ..Self::ok(what, found) }
    }

    fn fail(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::ok(what, found) }
    }

    fn advising(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Part by part.
    pub findings: Vec<Finding>,
    /// What a bug report needs.
    pub about: About,
}

/// The daemon of this state directory.
enum Daemon {
    /// It runs.
    Runs(Box<BarnStatus>),
    /// Nobody else has the radios.
    Away,
    /// Somebody may have them.
    Unknown,
}

/// Looks at everything. Needs a tokio runtime with threads for what blocks.
pub async fn examine(settings: &Settings) -> Report {
    let socket = settings.state_dir.join(SOCKET_NAME);
    let status = tokio::task::spawn_blocking(move || ask(&socket, &BarnRequest::Status)).await;
    let (finding, daemon) = match status {
        Ok(Ok(BarnResponse::Status(status))) => (running(&status), Daemon::Runs(status)),
        Ok(Ok(_)) => (Finding::fail("daemon", CommandError::UnexpectedResponse.to_string()), Daemon::Unknown),
        Ok(Err(AskError::NotRunning { .. })) => {
            (Finding::ok("daemon", "does not run on this state directory"), Daemon::Away)
        }
        Ok(Err(error)) => (unanswered(&error), Daemon::Unknown),
        Err(error) => (Finding::fail("daemon", error.to_string()), Daemon::Unknown),
    };
    let mut findings = vec![finding];
    findings.extend(radios::look(settings, &daemon).await);
    findings.extend(machine::look(settings, &SystemClock::default()));
    Report { findings, about: About::of(settings) }
}

/// Somebody is there, and gave no answer.
fn unanswered(error: &AskError) -> Finding {
    match error {
        AskError::NoResponse { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            let advice = "ask as the user of the daemon, or as root";
            Finding::fail("daemon", format!("{} may not be opened by this user", path.display())).advising(advice)
        }
        error => Finding::fail("daemon", error.to_string()),
    }
}

/// Reports on the running daemon, without its radios.
fn running(BarnStatus { pid, listen, sequence, blocked, .. }: &BarnStatus) -> Finding {
    let runs = format!("runs as process {pid} at {listen}, {sequence} changes");
    match blocked {
        Some(why) => Finding::fail("daemon", format!("{runs}; its tables do not follow the log: {why}")),
        None => Finding::ok("daemon", runs),
    }
}

impl Report {
    /// Whether nothing must be put right.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.level < Level::Fail)
    }

    /// As lines, or as one JSON object.
    pub fn print(&self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json {
            return writeln!(
                out,
                "{}",
                json!({"well": self.is_well(), "findings": self.findings, "about": self.about})
            );
        }
        for Finding { level, what, found, advice } in &self.findings {
            let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
            writeln!(out, "{} {what}: {found}{advice}", level.word())?;
        }
        writeln!(out, "\nFor a bug report, with all lines above:")?;
        self.about.print(out)
    }
}

#[cfg(test)]
mod tests;
