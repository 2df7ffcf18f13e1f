//! Errors that end a demo without a result.

use crate::processes::{LogExportError, ProcessError};
use herd::change::ChangeError;
use mirror::link::LinkSetupError;
use service::harness::HarnessError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A demo without a result. The files in the state directory stay there.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A flag has a value that the simulated radio does not accept.
    #[error("{0}")]
    Flag(#[from] radio::SettingsError),
    /// An earlier run in this state directory had the same traffic.
    #[error(
        "an earlier run in {} used the seed {seed} (modulo {modulo}), so that every payload would be a duplicate: choose \
         another --seed, or omit it",
        run_dir.display()
    )]
    SeedUsed {
        /// The seed.
        seed: u64,
        /// Number of distinct seeds.
        modulo: u64,
        /// The state directory.
        run_dir: PathBuf,
    },
    /// A file of the demo cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// A verb: `read` or `write`.
        action: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The notes of earlier runs are malformed.
    #[error("{} is malformed ({reason}): choose another --state directory, or remove this one", path.display())]
    Notes {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// The ledger of the simulated radio, or its summary, is malformed.
    #[error("{} was not written by a simulated radio", path.display())]
    Ledger {
        /// Path of the file.
        path: PathBuf,
    },
    /// The simulated radio wrote no summary when it ended.
    #[error(
        "{} is missing: the barn was killed, or its driver did not deliver what its chip received; the end of barn.log \
         says which",
        path.display()
    )]
    NoSummary {
        /// Path of the missing file.
        path: PathBuf,
    },
    /// The system refused something that the demo needs, such as its state directory or a signal handler.
    #[error("cannot {action}: {source}")]
    System {
        /// A verb and its object.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The introduction or the result could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[source] io::Error),
    /// The files of the barn cannot be opened.
    #[error("cannot open the files of the barn: {0}")]
    Open(String),
    /// A process did not do what the demo asked.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No HTTPS client can be built.
    #[error(transparent)]
    Link(#[from] LinkSetupError),
    /// A log could not be read over the sync interface.
    #[error(transparent)]
    Log(#[from] LogExportError),
    /// An exported change is malformed.
    #[error("malformed change in an export: {0}")]
    Change(#[from] ChangeError),
    /// The office did not follow the barn in time.
    #[error("{source}; the office reports {link}; look at the end of {}", log.display())]
    NotLive {
        /// The condition and the duration of the wait.
        source: HarnessError,
        /// Latest state of the link.
        link: String,
        /// Log of the office.
        log: PathBuf,
    },
    /// A process exited after SIGTERM with an exit status other than 0.
    #[error("the {name} was stopped and exited with {status}: look at the end of {}", log.display())]
    UncleanExit {
        /// `barn` or `office`.
        name: &'static str,
        /// Exit status.
        status: ExitStatus,
        /// Log of the process.
        log: PathBuf,
    },
}
