//! Why a command failed, and the number that it leaves.

use crate::run::RunError;
use crate::settings::BadSettings;
use herd::store::StoreError;
use service::control::{CommandError, OwnerError};
use service::door::certificate::CertificateError;
use service::door::key_command::KeyCommandError;
use service::lifecycle::Exit;
use service::show::PrintError;
use std::io;
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings were refused.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The user's own certificate does not serve.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// `run` could not start or ended by itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `run` is not for whoever called it.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Neither the process nor the files gave an answer.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A command about keys.
    #[error(transparent)]
    Key(#[from] KeyCommandError),
    /// What was to be shown could not be printed.
    #[error(transparent)]
    Show(#[from] PrintError),
    /// The authority's file is not there.
    #[error("reading the authority's certificates in {}: {source}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The copy could not be verified.
    #[error("{0}")]
    NotVerified(String),
    /// The running process answered something else.
    #[error("the answer lacks `{0}`; is the process of another version?")]
    Incomplete(&'static str),
    /// The line could not be read or the result not printed.
    #[error("reading the line or printing the result: {0}")]
    Io(#[from] io::Error),
    /// No threads.
    #[error("starting the program's threads: {0}")]
    Runtime(#[source] io::Error),
}

impl From<&CliError> for Exit {
    fn from(error: &CliError) -> Self {
        match error {
            CliError::Settings(_) | CliError::Certificate(_) | CliError::Authority { .. } => Self::Usage,
            CliError::Run(error) => Self::from(error),
            CliError::Owner(error) => Self::from(error),
            CliError::Command(error) | CliError::Key(KeyCommandError::Command(error)) => of_command(error),
            CliError::Key(error) => Self::from(error),
            CliError::Damaged(_) => Self::Damaged,
            CliError::Show(_)
            | CliError::NotVerified(_)
            | CliError::Incomplete(_)
            | CliError::Io(_)
            | CliError::Runtime(_) => Self::Failure,
        }
    }
}

fn of_command(error: &CommandError) -> Exit {
    match error {
        CommandError::Failed(source) => match source.downcast_ref() {
            Some(StoreError::Locked { .. }) => Exit::Locked,
            Some(StoreError::DamagedLog { .. }) => Exit::Damaged,
            _ => Exit::from(error),
        },
        other => Exit::from(other),
    }
}
