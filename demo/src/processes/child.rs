//! One child process.

use super::ProcessError;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use tokio::time::Instant;

/// A process is promised to end within 5 s of SIGTERM; on a busy machine the promise has a margin.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at a condition.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A running child. Killed and reaped when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    what: &'static str,
    log: PathBuf,
}

impl Running {
    /// Starts it in a process group of its own, so that a Ctrl-C at the terminal reaches only the one who stops it.
    pub(super) fn spawn(mut command: Command, what: &'static str, log: PathBuf) -> Result<Self, ProcessError> {
        let child = command.process_group(0).spawn();
        let program = || command.get_program().into();
        let child = child.map_err(|source| ProcessError::Spawn { what, program: program(), source })?;
        Ok(Self { child, what, log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|source| ProcessError::Wait { what: self.what, source })
    }

    /// SIGKILL, and waits for its end.
    pub(super) fn kill(mut self) {
        self.kill_and_reap();
    }

    /// SIGTERM, and waits for its end. One that does not end in time is killed.
    pub(super) async fn terminate(mut self) -> Result<ExitStatus, ProcessError> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        let wait = |source| ProcessError::Wait { what: self.what, source };
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|errno| wait(errno.into()))?;
        let deadline = Instant::now() + ENDS_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(ProcessError::StaysOn { what: self.what, log: self.log.clone() })
    }

    fn kill_and_reap(&mut self) {
        // Neither fails for a child of ours that was not reaped; for one that was, both have nothing to do.
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = killed {
            tracing::warn!(what = self.what, %error, "ending a process");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_and_reap();
    }
}
