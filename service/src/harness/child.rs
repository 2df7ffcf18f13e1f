//! One child process, from its start to its exit status.

use super::{HarnessError, Signal, wait_until, wait_until_blocking};
use rustix::process::{Pid, kill_process};
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus};

/// Prefix of the environment variables that are settings of one of the programs.
const SETTINGS_PREFIX: &str = "HERDLINX_";

/// Returns a command for `program` without the settings in the environment of the caller.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(SETTINGS_PREFIX)) {
        command.env_remove(name);
    }
    command
}

/// A running child process. Dropping it kills and reaps the process.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    name: &'static str,
}

impl ChildProcess {
    /// Starts `command` and appends its stderr to the file at `log`. Its stdin and stdout are left to the caller.
    /// `name` stands in error messages.
    pub fn spawn(name: &'static str, mut command: Command, log: &Path) -> Result<Self, HarnessError> {
        let file = File::options().append(true).create(true).open(log);
        command.stderr(file.map_err(|source| HarnessError::Log { path: log.into(), source })?);
        let child = command.spawn();
        let program = || command.get_program().into();
        let child = child.map_err(|source| HarnessError::Spawn { name, program: program(), source })?;
        Ok(Self { child, name })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Takes the read end of stdout; `None` unless the command piped it, and after the first call.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Returns the exit status, or `None` while the process runs.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, HarnessError> {
        self.child.try_wait().map_err(|source| HarnessError::Watch { name: self.name, source })
    }

    /// Sends a signal. The process must not have been reaped, because its id may belong to another one by then.
    pub fn signal(&self, signal: Signal) -> Result<(), HarnessError> {
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.map_err(|errno| HarnessError::Watch { name: self.name, source: errno.into() })
    }

    /// Waits for the exit, for at most [`TIMEOUT`](super::TIMEOUT).
    pub async fn wait(&mut self) -> Result<ExitStatus, HarnessError> {
        let what = self.exit_condition();
        wait_until(&what, async || self.try_wait().transpose()).await?
    }

    /// Waits for the exit, for at most [`TIMEOUT`](super::TIMEOUT). Blocks the thread.
    pub fn wait_blocking(&mut self) -> Result<ExitStatus, HarnessError> {
        let what = self.exit_condition();
        wait_until_blocking(&what, || self.try_wait().transpose())?
    }

    fn exit_condition(&self) -> String {
        format!("the exit of the {}", self.name)
    }

    /// Sends SIGTERM and waits for the exit. A process that has exited already is not an error.
    ///
    /// The process is killed if it does not exit within [`TIMEOUT`](super::TIMEOUT), or if the call is canceled.
    pub async fn terminate(mut self) -> Result<ExitStatus, HarnessError> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait().await
    }

    /// Sends SIGTERM and waits for the exit, as [`terminate`](Self::terminate) does. Blocks the thread.
    pub fn terminate_blocking(mut self) -> Result<ExitStatus, HarnessError> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait_blocking()
    }
}

impl Drop for ChildProcess {
    /// Sends SIGKILL and reaps the process. Both calls do nothing if it has been reaped.
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(process = self.name, %error, "cannot kill a child process");
        }
    }
}
