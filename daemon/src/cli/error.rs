//! Why a command failed, and the number that it leaves.

use crate::boot::BootError;
use crate::listen::ListenError;
use crate::open::OpenError;
use crate::recorder::WriterError;
use crate::run::RunError;
use crate::settings::Refused;
use herd::store::StoreError;
use service::control::{AskError, CommandError, OwnerError};
use service::door::key_command::KeyCommandError;
use service::door::keys::KeyError;
use service::lifecycle::Exit;
use service::show::PrintError;
use std::io;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings were refused.
    #[error(transparent)]
    Settings(#[from] Refused),
    /// `run` could not start or ended by itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `run` is not for whoever called it.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The files could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Neither the process nor the files gave an answer.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A command about keys.
    #[error(transparent)]
    Key(#[from] KeyCommandError),
    /// What was to be shown could not be printed.
    #[error(transparent)]
    Show(#[from] PrintError),
    /// A proof of the store found damage; its lines have been printed.
    #[error("the store is not sound; what is above says where")]
    Unsound,
    /// Nothing was heard, or no more.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A check found what must be put right; its lines have been printed.
    #[error("not all is well; the lines above that begin with FAIL say what to do")]
    Unwell,
    /// The running process answered something else.
    #[error("the answer lacks `{0}`; is the process of another version?")]
    Incomplete(&'static str),
    /// The result could not be printed.
    #[error("printing the result: {0}")]
    Print(#[from] io::Error),
    /// No threads.
    #[error("starting the program's threads: {0}")]
    Runtime(#[source] io::Error),
}

impl From<&CliError> for Exit {
    fn from(error: &CliError) -> Self {
        match error {
            CliError::Settings(_) => Self::Usage,
            CliError::Run(error) => of_run(error),
            CliError::Owner(error) => Self::from(error),
            CliError::Open(error) => of_open(error),
            CliError::Command(error) | CliError::Key(KeyCommandError::Command(error)) => of_command(error),
            CliError::Key(error) => Self::from(error),
            CliError::Unsound => Self::Damaged,
            CliError::Listen(error) => of_listen(error),
            CliError::Unwell
            | CliError::Show(_)
            | CliError::Incomplete(_)
            | CliError::Print(_)
            | CliError::Runtime(_) => Self::Failure,
        }
    }
}

fn of_command(error: &CommandError) -> Exit {
    match error {
        CommandError::Failed(source) => match (source.downcast_ref(), source.downcast_ref()) {
            (Some(error), _) => of_open(error),
            (_, Some(error)) => of_store(error),
            _ => Exit::from(error),
        },
        other => Exit::from(other),
    }
}

fn of_run(error: &RunError) -> Exit {
    match error {
        RunError::Open(error) => of_open(error),
        RunError::Control(error) => Exit::from(error),
        RunError::Serve(error) => Exit::from(error),
        RunError::Radio { .. } => Exit::Usage,
        RunError::Tokens(error) | RunError::Writer(WriterError::Local(error)) => Exit::from(error),
        // A failed commit is mended by a start that opens the files anew, so it is no damage.
        _ => Exit::Failure,
    }
}

fn of_listen(error: &ListenError) -> Exit {
    match error {
        ListenError::Ask(AskError::Refused(_)) | ListenError::ScanBesideDaemon => Exit::Refused,
        ListenError::Ask(_) | ListenError::DaemonEnded => Exit::NobodyHome,
        ListenError::NoRadio
        | ListenError::NotThatRadio { .. }
        | ListenError::Open { .. }
        | ListenError::NothingToScan
        | ListenError::Step { .. } => Exit::Usage,
        _ => Exit::Failure,
    }
}

fn of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::Local(error)
        | OpenError::Keys(KeyError::Local(error))
        | OpenError::Boot(BootError::Local(error)) => Exit::from(error),
        OpenError::Certificate(_) => Exit::Usage,
        OpenError::Store(error) | OpenError::Boot(BootError::Store(error)) => of_store(error),
        OpenError::Directory { .. } | OpenError::Keys(_) | OpenError::Randomness(_) => Exit::Failure,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Locked { .. } => Exit::Locked,
        StoreError::DamagedLog { .. } => Exit::Damaged,
        _ => Exit::Failure,
    }
}
