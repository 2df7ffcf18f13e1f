//! Root's `check`, run as the service would run it: as its user and in its sandbox.
//!
//! As root almost every file opens and every port binds, so a check by root would pass where the service fails. This
//! module starts a copy of the service's unit under another name, whose only command is `check --here`.
//!
//! Decisions:
//! - **A copy of what `systemctl cat` prints.** That is the unit with all its drop-ins in their order, and reads as one
//!   unit file. So the copy follows every change by `systemctl edit`. `systemd-run` with the properties of `systemctl
//!   show` was rejected, because many of them cannot be given back. So was a unit of its own that ships with the package
//!   and shares the sandbox, because drop-ins of the service do not apply to it.
//! - **Not a reload.** `ExecReload=` would run inside the unit itself, but only while the service runs, and with the
//!   credentials of its last start.
//! - **The command is that of `ExecStart=`**, with `check --here` in place of `run`. So `--config` in a drop-in counts.
//! - **Credentials** appear below the name of the unit, and settings name that path. The copy's are bound there.

mod unit_text;

use crate::lifecycle::Exit;
use rustix::process::geteuid;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use unit_text::UnitCopy;

/// Exists while systemd is PID 1 (`sd_booted(3)`).
const SYSTEMD_RUNS: &str = "/run/systemd/system";
/// First exit status that systemd uses for steps before the program itself, such as `226` for the mounts.
const FIRST_STEP_STATUS: i32 = 200;

/// Maximum number of lines of the journal in an error. systemd writes two or three about one failed step.
const MAX_REASONS: usize = 5;

/// Reason why the service would not start, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum UnitCheckError {
    /// The check ran as the service and failed; its output has been printed.
    #[error("{unit} would not start with these settings; a running one is not affected until it is restarted")]
    Refused {
        /// The unit.
        unit: String,
        /// Exit status of the check.
        status: i32,
    },
    /// systemd could not start a process of the unit.
    #[error(
        "{unit} cannot start, whatever its settings: {reason}. Its lines in `systemctl cat {unit}` say what it needs"
    )]
    Unit {
        /// The unit.
        unit: String,
        /// The words of systemd.
        reason: String,
    },
    /// The copy of the unit could not be made, or systemd not be asked.
    #[error("cannot check as {unit} would: {what}: {source}; `check --here` checks as root instead")]
    Io {
        /// The unit.
        unit: String,
        /// The step that failed, as a participle.
        what: &'static str,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl From<&UnitCheckError> for Exit {
    fn from(error: &UnitCheckError) -> Self {
        match error {
            UnitCheckError::Refused { status, .. } if *status == Self::CannotListen as i32 => Self::CannotListen,
            UnitCheckError::Refused { status, .. } if *status == Self::Usage as i32 => Self::Usage,
            UnitCheckError::Refused { .. } | UnitCheckError::Unit { .. } | UnitCheckError::Io { .. } => Self::Failure,
        }
    }
}

/// The unit of a service, as systemd has loaded it.
#[derive(Debug)]
pub struct ServiceUnit {
    /// Name with `.service`.
    name: String,
    /// The unit file with all its drop-ins.
    text: String,
}

impl ServiceUnit {
    /// Returns the unit of `program`, if this is root on a machine where systemd runs and has such a unit.
    pub fn of(program: &str) -> Result<Option<Self>, UnitCheckError> {
        if !geteuid().is_root() || !Path::new(SYSTEMD_RUNS).exists() {
            return Ok(None);
        }
        let name = format!("{program}.service");
        let io_error = |source| UnitCheckError::Io { unit: name.clone(), what: "reading the unit", source };
        let state = systemctl(&["show", "--value", "--property=LoadState", &name]).map_err(io_error)?;
        if state.stdout.trim_ascii() != b"loaded" {
            return Ok(None);
        }
        let text = systemctl(&["cat", &name]).map_err(io_error)?;
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        Ok(Some(Self { name, text }))
    }

    /// Runs the check as the service and passes its output on.
    pub fn check(&self, program: &str, out: &mut dyn Write) -> Result<(), UnitCheckError> {
        let copy = InstalledCopy::of(self, program)?;
        let started =
            systemctl(&["start", &copy.name]).map_err(|source| self.io_error("starting the check", source))?;
        copy.pass_on(out).map_err(|source| self.io_error("reading what the check printed", source))?;
        if started.status.success() {
            return writeln!(out, "{} would start with them: checked as its user, in its sandbox.", self.name)
                .map_err(|source| self.io_error("printing the result", source));
        }
        let show = ["show", "--value", "--property=ExecMainStatus", &copy.name];
        let status = systemctl(&show).map_err(|source| self.io_error("reading the result", source))?;
        let status = String::from_utf8_lossy(&status.stdout).trim().parse().unwrap_or(0);
        match status {
            1..FIRST_STEP_STATUS => Err(UnitCheckError::Refused { unit: self.name.clone(), status }),
            _ => Err(UnitCheckError::Unit { unit: self.name.clone(), reason: copy.reason(&started) }),
        }
    }

    fn io_error(&self, what: &'static str, source: io::Error) -> UnitCheckError {
        UnitCheckError::Io { unit: self.name.clone(), what, source }
    }
}

/// A copy of the unit that systemd can start. Dropping it removes its files.
struct InstalledCopy {
    name: String,
    unit_file: PathBuf,
    /// Output of the check. Only root can enter it.
    directory: PathBuf,
}

impl InstalledCopy {
    fn of(unit: &ServiceUnit, program: &str) -> Result<Self, UnitCheckError> {
        let name = format!("{program}-check-{}.service", std::process::id());
        let unit_file = Path::new(SYSTEMD_RUNS).join(&name);
        let directory = Path::new("/run").join(&name);
        let copy = Self { name, unit_file, directory };
        let text = UnitCopy {
            original: &unit.text,
            original_name: &unit.name,
            name: &copy.name,
            program,
            stdout: &copy.stdout(),
            stderr: &copy.stderr(),
        };
        DirBuilder::new()
            .mode(0o700)
            .create(&copy.directory)
            .and_then(|()| fs::write(&copy.unit_file, text.to_string()))
            .map_err(|source| unit.io_error("writing a copy of the unit", source))?;
        Ok(copy)
    }

    fn stdout(&self) -> PathBuf {
        self.directory.join("stdout")
    }

    fn stderr(&self) -> PathBuf {
        self.directory.join("stderr")
    }

    /// Prints what the check printed. The files are missing if it did not come to run.
    fn pass_on(&self, out: &mut dyn Write) -> io::Result<()> {
        let read = |path| match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        };
        out.write_all(&read(self.stdout())?)?;
        out.flush()?;
        io::stderr().write_all(&read(self.stderr())?)
    }

    /// Returns systemd's own words about a step that failed: from the journal, or else from `systemctl`.
    fn reason(&self, started: &Output) -> String {
        let name = format!("UNIT={}", self.name);
        let journal = Command::new("journalctl").args(["-q", "--no-pager", "-o", "cat", "-p", "err", &name]).output();
        let said = journal.map_or_else(|_| Vec::new(), |output| output.stdout);
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().filter_map(|line| line.strip_prefix(self.name.as_str()));
        let lines: Vec<_> = lines.map(|line| line.trim_matches([':', ' ', '.'])).take(MAX_REASONS).collect();
        match lines.as_slice() {
            [] => String::from_utf8_lossy(&started.stderr).trim().to_owned(),
            lines => lines.join("; "),
        }
    }
}

impl Drop for InstalledCopy {
    fn drop(&mut self) {
        // What cannot be removed is in /run, which the next boot empties. A unit that succeeded has nothing to reset.
        let _ = fs::remove_file(&self.unit_file);
        let _ = fs::remove_dir_all(&self.directory);
        let _ = systemctl(&["reset-failed", &self.name]);
    }
}

fn systemctl(arguments: &[&str]) -> io::Result<Output> {
    Command::new("systemctl").arg("--no-pager").args(arguments).env("SYSTEMD_COLORS", "0").output()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    /// Catches a script that cannot tell a wrong setting from a taken port.
    #[test]
    fn the_code_of_a_refused_check_is_passed_on_if_it_says_what_to_do() {
        for (status, expected) in [(1, Exit::Failure), (2, Exit::Usage), (3, Exit::Failure), (4, Exit::CannotListen)] {
            let refused = UnitCheckError::Refused { unit: "herdlinxd.service".to_owned(), status };
            assert_eq!(Exit::from(&refused), expected, "{status}");
        }
        let unit = UnitCheckError::Unit { unit: "herdlinxd.service".to_owned(), reason: "no mount".to_owned() };
        assert_eq!(Exit::from(&unit), Exit::Failure);
    }

    #[test]
    fn a_program_without_a_unit_is_checked_in_its_own_place() {
        assert!(ServiceUnit::of("herdlinx-no-such-program").unwrap().is_none());
    }

    /// Returns a copy in `directory` that systemd does not know.
    fn copy_in(directory: &Path) -> InstalledCopy {
        let name = format!("herdlinx-test-{}.service", std::process::id());
        InstalledCopy { unit_file: directory.join(&name), name, directory: directory.join("output") }
    }

    /// Catches a check whose findings are lost, one that never ran and is called an error of reading, and the reverse.
    #[test]
    fn what_the_check_printed_is_passed_on_and_nothing_if_it_did_not_run() {
        let place = tempfile::tempdir().unwrap();
        let copy = copy_in(place.path());
        let passed_on = || {
            let mut out = Vec::new();
            copy.pass_on(&mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(passed_on().unwrap(), "");
        fs::create_dir(&copy.directory).unwrap();
        fs::write(copy.stdout(), "The settings are good.\n").unwrap();
        fs::write(&copy.unit_file, "[Service]").unwrap();
        assert_eq!(passed_on().unwrap(), "The settings are good.\n");
        fs::create_dir(copy.stderr()).unwrap();
        passed_on().unwrap_err();
        drop(copy);
        assert_eq!(place.path().read_dir().unwrap().count(), 0, "the copy is removed with its output");
    }

    /// Catches an error without a reason on a machine that has no journal of the unit.
    #[test]
    fn the_reason_is_that_of_systemctl_if_the_journal_has_none() {
        let place = tempfile::tempdir().unwrap();
        let stderr = b" Job failed. See the journal.\n".to_vec();
        let started = Output { status: ExitStatus::from_raw(0x100), stdout: Vec::new(), stderr };
        assert_eq!(copy_in(place.path()).reason(&started), "Job failed. See the journal.");
    }
}
