//! Errors of commands, and their exit codes.

use crate::firstboot::FirstBootError;
use crate::listen::ListenError;
use crate::open::OpenError;
use crate::recover::RecoverCommandError;
use crate::run::RunError;
use crate::settings::BarnSettingsError;
use crate::slots::command::SlotCommandError;
use crate::update::command::UpdateError;
use service::backup::BackupCommandError;
use service::control::CommandError;
use service::door::key_command::KeyCommandError;
use service::lifecycle::Exit;
use service::process::ServiceCommandError;
use service::verify::VerifyCommandError;
use std::io;

/// Reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings were refused.
    #[error(transparent)]
    Settings(#[from] BarnSettingsError),
    /// `run` could not start, or ended by itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `run` or `check` ended before the daemon did anything.
    #[error(transparent)]
    Service(#[from] ServiceCommandError),
    /// The files could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The running daemon or the files gave no response.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The running daemon may have recorded the correction all the same.
    #[error(
        "{error}. It is unknown whether the correction is recorded: run the command again with --idempotency-key \
         {idempotency_key}, and it is recorded once"
    )]
    InDoubt {
        /// Reason why there is no receipt.
        error: CommandError,
        /// The key of the order.
        idempotency_key: String,
    },
    /// A command about keys failed.
    #[error(transparent)]
    Key(#[from] KeyCommandError),
    /// The store is damaged, or was not verified.
    #[error(transparent)]
    Verify(#[from] VerifyCommandError),
    /// A backup was not written, or is not whole.
    #[error(transparent)]
    Backup(#[from] BackupCommandError),
    /// The file to recover from cannot be used.
    #[error(transparent)]
    Recover(#[from] RecoverCommandError),
    /// A command about the slots of a card failed.
    #[error(transparent)]
    Slot(#[from] SlotCommandError),
    /// An update was not installed.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// `listen` failed.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// `firstboot` failed, or the card has mistakes.
    #[error(transparent)]
    FirstBoot(#[from] FirstBootError),
    /// A check of `doctor` failed; its lines have been printed.
    #[error("some checks failed; the lines above that begin with FAIL say what to do")]
    ChecksFailed,
    /// The result could not be printed.
    #[error("cannot print the result: {0}")]
    Print(#[source] io::Error),
    /// The runtime could not start.
    #[error("cannot start the program's threads: {0}")]
    Runtime(#[source] io::Error),
}

impl From<&CliError> for Exit {
    fn from(error: &CliError) -> Self {
        match error {
            CliError::Settings(error) => Self::from(error),
            CliError::Run(error) => Self::from(error),
            CliError::Service(error) => Self::from(error),
            CliError::Open(error) => Self::from(error),
            CliError::Command(error) | CliError::InDoubt { error, .. } => Self::from(error),
            CliError::Key(error) => Self::from(error),
            CliError::Verify(error) => Self::from(error),
            CliError::Backup(error) => Self::from(error),
            CliError::Recover(error) => Self::from(error),
            CliError::Slot(error) => Self::from(error),
            CliError::Update(error) => Self::from(error),
            CliError::Listen(error) => Self::from(error),
            CliError::FirstBoot(error) => Self::from(error),
            CliError::ChecksFailed | CliError::Print(_) | CliError::Runtime(_) => Self::Failure,
        }
    }
}
