//! Why a demo ended without a result.

use crate::processes::ProcessError;
use herd::change::ChangeError;
use herd::wire::BlobError;
use mirror::link::LinkSetupError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why there is no result. What there is in the state directory stays there.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A flag asks for what cannot be.
    #[error("{0}")]
    Flag(#[from] radio::SettingsError),
    /// An earlier run in this state directory had the same traffic.
    #[error(
        "the seed {seed} is that of an earlier run in {}, modulo {modulo}: its payloads would all be duplicates. Choose \
         another --seed, or leave it out",
        place.display()
    )]
    SeedUsed {
        /// The seed.
        seed: u64,
        /// What seeds count modulo.
        modulo: u64,
        /// The state directory.
        place: PathBuf,
    },
    /// A file of the demo itself.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done to it.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The notes of earlier runs do not read.
    #[error("{} does not read ({why}): choose another --state directory, or remove this one", path.display())]
    Notes {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The generator's list, or its counts.
    #[error("{} is not what a simulated radio writes", path.display())]
    Ledger {
        /// Which file.
        path: PathBuf,
    },
    /// The radio wrote no counts at its end.
    #[error(
        "{} is not there: the barn was killed, or what its chip heard is not what its driver delivered; the end of \
         barn.log says which",
        path.display()
    )]
    NoAccount {
        /// Where they should be.
        path: PathBuf,
    },
    /// The state directory or a port could not be had, or signals not be listened to.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The barn's files do not open.
    #[error("opening the barn's files: {0}")]
    Open(String),
    /// A process did not do what was asked of it.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no way to the office.
    #[error(transparent)]
    Link(#[from] LinkSetupError),
    /// An answer of the sync interface does not read.
    #[error("an answer of the sync interface: {0}")]
    Blob(#[from] BlobError),
    /// A change does not read.
    #[error("an exported change: {0}")]
    Change(#[from] ChangeError),
    /// An export whose parts do not follow each other.
    #[error("an export is not whole: its pages do not continue each other, or its end tells of others")]
    Export,
    /// Something did not happen in time.
    #[error("waited {after:?} in vain for {what}{why}")]
    Late {
        /// For what.
        what: &'static str,
        /// How long.
        after: Duration,
        /// What is known about it, with a colon before it; may be empty.
        why: String,
    },
    /// A process that was told to stop ended otherwise than by 0.
    #[error("the {what} was told to stop and ended with {status}: look at the end of {}", log.display())]
    BadEnd {
        /// Which.
        what: &'static str,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
    },
}
