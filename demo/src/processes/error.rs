//! Errors of a barn or an office that runs as a process.

use mirror::link::LinkSetupError;
use service::control::AskError;
use service::door::certificate::CertificateError;
use service::harness::HarnessError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A process that did not do what the caller asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The process did not start, or the system does not report its state.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// A settings file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The process exited although nobody stopped it.
    #[error("the {name} exited unexpectedly ({status}): look at the end of {}", log.display())]
    Exited {
        /// `barn` or `office`.
        name: &'static str,
        /// Exit status.
        status: ExitStatus,
        /// Path of its log.
        log: PathBuf,
    },
    /// The process did not answer in time after its start, and was killed.
    #[error("the {name} did not answer within {after:?} of its start: look at the end of {}", log.display())]
    StartTimeout {
        /// `barn` or `office`.
        name: &'static str,
        /// Duration of the wait.
        after: Duration,
        /// Path of its log.
        log: PathBuf,
    },
    /// The process did not exit in time after SIGTERM, and was killed.
    #[error("the {name} did not exit after SIGTERM and was killed: look at the end of {}", log.display())]
    ShutdownTimeout {
        /// `barn` or `office`.
        name: &'static str,
        /// Path of its log.
        log: PathBuf,
    },
    /// The call needs a running process.
    #[error("the {0} is not running: start it first")]
    NotRunning(&'static str),
    /// The call needs a process that does not run.
    #[error("the {0} is already running")]
    AlreadyRunning(&'static str),
    /// A command of the program failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// First argument of the command; the others may be secrets.
        command: String,
        /// Exit status.
        status: ExitStatus,
        /// Output on stderr.
        stderr: String,
    },
    /// A command did not end in time, and was killed.
    #[error("`{command}` did not end within {after:?} and was killed")]
    CommandTimeout {
        /// First argument of the command.
        command: String,
        /// Duration of the wait.
        after: Duration,
    },
    /// The control socket did not answer.
    #[error(transparent)]
    Control(#[from] AskError),
    /// A reply lacks a part that the caller needs.
    #[error("the reply of the {name} has no {part}: is the process another version?")]
    Incomplete {
        /// `barn` or `office`.
        name: &'static str,
        /// The missing part.
        part: &'static str,
    },
    /// The certificate of the process cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No HTTPS client can be built.
    #[error(transparent)]
    Link(#[from] LinkSetupError),
    /// An HTTP request failed, or its reply is incomplete.
    #[error("request to {url} failed: {reason}")]
    Request {
        /// URL of the request.
        url: String,
        /// Cause.
        reason: String,
    },
    /// The status or the body of a reply is not the expected one.
    #[error("{url} answered {status}: {body}")]
    UnexpectedReply {
        /// URL of the request.
        url: String,
        /// HTTP status.
        status: u16,
        /// The body, or its beginning.
        body: String,
    },
}
