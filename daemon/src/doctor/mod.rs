//! `herdlinxd doctor`: checks each part that a barn needs, gives advice, and collects the facts for a bug report.
//!
//! It writes nothing.
//!
//! Decision: a chip is set up and tested only while no daemon runs on the same state directory. A test takes the chip out
//! of the receive mode, so reads would be lost unnoticed. While a daemon runs, its own report is shown. A daemon that starts
//! or stops has no socket, but its radios: the locks of its files show it.

mod machine;
mod port_users;
mod radios;
mod system_info;

pub use system_info::SystemInfo;

use crate::control::{BarnRequest, BarnResponse, BarnStatus};
use crate::health::{CERTIFICATE_PART, LISTEN_PART};
use crate::open::are_files_in_use;
use crate::pairing_code::PairingStatus;
use crate::settings::Settings;
use herd::clock::SystemClock;
use herd::wire::HealthFinding;
use serde::Serialize;
use serde_json::json;
use service::backup::BackupReport;
use service::control::{AskError, CommandError, SOCKET_NAME, ask};
use std::io::{self, Write};

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The part works.
    Ok,
    /// The part works, or is not needed, but somebody should know.
    Warn,
    /// The part does not work until somebody fixes it.
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

/// A check of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Result of the check.
    pub level: Level,
    /// Name of the part.
    #[serde(rename = "what")]
    pub part: String,
    /// State of the part. An error includes its own advice.
    pub found: String,
    /// Advice, unless `found` includes it.
    pub advice: Option<&'static str>,
}

impl Finding {
    fn ok(part: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, part: part.into(), found: found.into(), advice: None }
    }

    fn warn(part: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Warn, ..Self::ok(part, found) }
    }

    fn fail(part: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::ok(part, found) }
    }

    fn with_advice(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }
}

/// All findings of `doctor`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The findings, part by part.
    pub findings: Vec<Finding>,
    /// The system information for a bug report.
    #[serde(rename = "about")]
    pub system_info: SystemInfo,
}

/// State of the daemon on this state directory.
enum DaemonState {
    Running(Box<BarnStatus>),
    /// The radios are free.
    NotRunning,
    /// A daemon may be using the radios.
    Unknown,
}

/// Checks everything. Needs a tokio runtime with threads for blocking calls.
pub async fn examine(settings: &Settings) -> Report {
    let socket = settings.state_dir.join(SOCKET_NAME);
    let status = tokio::task::spawn_blocking(move || ask(&socket, &BarnRequest::Status)).await;
    let (finding, daemon) = match status {
        Ok(Ok(BarnResponse::Status(status))) => (running_finding(&status), DaemonState::Running(status)),
        Ok(Ok(_)) => (Finding::fail("daemon", CommandError::UnexpectedResponse.to_string()), DaemonState::Unknown),
        Ok(Err(AskError::NotRunning { .. })) if are_files_in_use(settings) => {
            let found = "does not answer, and its files are in use: it starts or stops, or a command works on them";
            let advice = "run `doctor` again when that is over";
            (Finding::warn("daemon", found).with_advice(advice), DaemonState::Unknown)
        }
        Ok(Err(AskError::NotRunning { .. })) => {
            (Finding::ok("daemon", "not running on this state directory"), DaemonState::NotRunning)
        }
        Ok(Err(error)) => (no_response_finding(&error), DaemonState::Unknown),
        Err(error) => (Finding::fail("daemon", error.to_string()), DaemonState::Unknown),
    };
    let mut findings = vec![finding];
    if let DaemonState::Running(status) = &daemon {
        findings.extend(pairing_finding(&status.pairing));
        findings.extend(health_findings(&status.findings));
        findings.extend(status.backup.as_ref().map(backup_finding));
    } else {
        // A daemon that runs reports on them itself.
        let notes = settings.backup.notes(&settings.state_dir);
        findings.extend(notes.into_iter().map(|note| Finding::warn("backup", note)));
    }
    findings.extend(radios::check(settings, &daemon).await);
    findings.extend(machine::check(settings, &SystemClock::default()));
    Report { findings, system_info: SystemInfo::collect(settings) }
}

/// Reports a daemon that did not respond.
fn no_response_finding(error: &AskError) -> Finding {
    match error {
        AskError::NoResponse { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            let advice = "run `doctor` as the user of the daemon, or as root";
            Finding::fail("daemon", format!("this user may not open {}", path.display())).with_advice(advice)
        }
        error => Finding::fail("daemon", error.to_string()),
    }
}

/// Reports on the running daemon, without its radios.
fn running_finding(BarnStatus { pid, listen, sequence, blocked, .. }: &BarnStatus) -> Finding {
    let running = format!("running as process {pid} at {listen}, {sequence} changes");
    match blocked {
        Some(why) => Finding::fail("daemon", format!("{running}; its tables do not follow the log: {why}")),
        None => Finding::ok("daemon", running),
    }
}

/// Reports what only the running daemon knows of its health. Doctor looks at the other parts itself.
fn health_findings(found: &[HealthFinding]) -> Vec<Finding> {
    let parts = ["store", "log", "keys", "reads", CERTIFICATE_PART, LISTEN_PART];
    let known = found.iter().filter(|finding| parts.contains(&finding.part.as_str()));
    known.map(|HealthFinding { part, text, .. }| Finding::fail(part.as_str(), text.as_str())).collect()
}

/// Reports on the nightly backups. One that is missing or in a bad place fails nothing yet.
fn backup_finding(report: &BackupReport) -> Finding {
    match report.note().or_else(|| report.warning.clone()) {
        Some(note) => Finding::warn("backup", note),
        None => Finding::ok("backup", report.last_text()),
    }
}

/// Reports on the one-time code of the card, if there was one.
fn pairing_finding(pairing: &PairingStatus) -> Option<Finding> {
    match pairing {
        PairingStatus::None => None,
        PairingStatus::Waiting { wrong_proofs } => {
            Some(Finding::ok("pairing code", format!("waits for an office, {wrong_proofs} wrong proofs so far")))
        }
        PairingStatus::Claimed { office } => Some(Finding::ok(
            "pairing code",
            format!("proved by the office with the public key {office}, not used yet"),
        )),
        PairingStatus::Used { office, key_name } => {
            let found = format!("used by the office with the public key {office}, whose key is `{key_name}`");
            Some(Finding::ok("pairing code", found))
        }
        PairingStatus::Disabled { wrong_proofs } => {
            let advice = "pair with `herdlinxd pair`, or prepare the card again at the office";
            Some(Finding::warn("pairing code", format!("dead after {wrong_proofs} wrong proofs")).with_advice(advice))
        }
    }
}

impl Report {
    /// Returns true if no check failed.
    pub fn passed(&self) -> bool {
        self.findings.iter().all(|finding| finding.level < Level::Fail)
    }

    /// Prints the report as lines, or as one JSON object.
    pub fn print(&self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json {
            return writeln!(
                out,
                "{}",
                json!({"well": self.passed(), "findings": self.findings, "about": self.system_info})
            );
        }
        for Finding { level, part, found, advice } in &self.findings {
            let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
            writeln!(out, "{} {part}: {found}{advice}", level.word())?;
        }
        writeln!(out, "\nFor a bug report, include the lines above and these:")?;
        self.system_info.print(out)
    }
}

#[cfg(test)]
mod tests;
