//! What can go wrong with a process.

use mirror::link::NoLink;
use service::control::AskError;
use service::door::certificate::CertificateError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a process did not do what was asked of it. Each names where to look.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The executable could not be started.
    #[error("starting the {what} from {}: {source}", program.display())]
    Spawn {
        /// Which process.
        what: &'static str,
        /// Its executable.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of it could not be written.
    #[error("writing {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not tell of it, or does not take a signal to it.
    #[error("watching the {what}: {source}")]
    Wait {
        /// Which process.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended where it was to go on.
    #[error("the {what} ended by itself ({status}): look at the end of {}", log.display())]
    Ended {
        /// Which process.
        what: &'static str,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
    },
    /// It does not begin to answer.
    #[error("the {what} does not answer within {after:?} of its start: look at the end of {}", log.display())]
    Silent {
        /// Which process.
        what: &'static str,
        /// How long it had.
        after: Duration,
        /// Its log.
        log: PathBuf,
    },
    /// It did not end after SIGTERM, and was killed.
    #[error("the {what} did not end after SIGTERM and was killed: look at the end of {}", log.display())]
    StaysOn {
        /// Which process.
        what: &'static str,
        /// Its log.
        log: PathBuf,
    },
    /// It was to run, and does not.
    #[error("the {0} is not running: start it first")]
    NotRunning(&'static str),
    /// It runs, and was to be started.
    #[error("the {0} is running already")]
    Running(&'static str),
    /// A command of it failed.
    #[error("`{command}` failed ({status}): {told}")]
    Command {
        /// The command, without what stands before it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        told: String,
    },
    /// Its control socket gives no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// An answer lacks what it should hold.
    #[error("the answer of the {what} lacks `{lacks}`: are both of one version?")]
    Incomplete {
        /// Which process.
        what: &'static str,
        /// The key.
        lacks: &'static str,
    },
    /// Its certificate does not read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No client can be made.
    #[error(transparent)]
    Link(#[from] NoLink),
    /// A request was not answered whole.
    #[error("asking {url}: {why}")]
    Request {
        /// Where.
        url: String,
        /// Why not.
        why: String,
    },
    /// An answer is not what it should be.
    #[error("{url} answered {status}: {body}")]
    Unexpected {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The body, or its beginning.
        body: String,
    },
}
