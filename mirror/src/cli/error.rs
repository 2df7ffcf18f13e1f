//! Errors of commands, and their exit codes.

use crate::people::command::UserCommandError;
use crate::prepare::PrepareError;
use crate::run::RunError;
use service::backup::BackupCommandError;
use service::control::CommandError;
use service::door::key_command::KeyCommandError;
use service::lifecycle::Exit;
use service::process::ServiceCommandError;
use service::settings::SettingsError;
use service::verify::VerifyCommandError;
use std::io;
use std::path::PathBuf;

/// Reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings were refused.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// `run` or `check` ended before the mirror did anything.
    #[error(transparent)]
    Service(#[from] ServiceCommandError),
    /// `run` could not start, or ended by itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Neither the process nor the files gave a response.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A barn could not be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A command about keys failed.
    #[error(transparent)]
    Key(#[from] KeyCommandError),
    /// A command about users failed.
    #[error(transparent)]
    User(#[from] UserCommandError),
    /// The copy is damaged, or was not verified.
    #[error(transparent)]
    Verify(#[from] VerifyCommandError),
    /// A backup was not written, or is not whole.
    #[error(transparent)]
    Backup(#[from] BackupCommandError),
    /// The file of the authority cannot be found.
    #[error("cannot read the authority's certificates in {}: {source}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The line could not be read, or the result not printed.
    #[error("cannot read the line or print the result: {0}")]
    Io(#[from] io::Error),
}

impl From<&CliError> for Exit {
    fn from(error: &CliError) -> Self {
        match error {
            CliError::Settings(error) => Self::from(error),
            CliError::Service(error) => Self::from(error),
            CliError::Authority { .. } => Self::Usage,
            CliError::Run(error) => Self::from(error),
            CliError::Command(error) => Self::from(error),
            CliError::Key(error) => Self::from(error),
            CliError::User(error) => Self::from(error),
            CliError::Verify(error) => Self::from(error),
            CliError::Backup(error) => Self::from(error),
            CliError::Prepare(error) => Self::from(error),
            CliError::Io(_) => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::{CardFlagsError, NewFileError};
    use service::control::ControlError;

    /// Catches a script that takes a refused command line for a failure, or a refusal for either.
    #[test]
    fn errors_have_the_exit_codes_of_the_help() {
        let source = || io::Error::from(io::ErrorKind::NotFound);
        let refused = || CommandError::Refused(ControlError::new("refused", "no"));
        let flags = PrepareError::Flags(CardFlagsError::TooLarge("x".into()));
        let file = PrepareError::File(NewFileError::Exists("x".into()));
        for (error, exit) in [
            (CliError::Authority { path: "x".into(), source: source() }, Exit::Usage),
            (CliError::Io(source()), Exit::Failure),
            (CliError::Prepare(flags), Exit::Usage),
            (CliError::Prepare(file), Exit::Failure),
            (CliError::Command(refused()), Exit::from(&refused())),
            (CliError::User(UserCommandError::Command(refused())), Exit::from(&refused())),
            (CliError::User(UserCommandError::Print(source())), Exit::Failure),
        ] {
            assert_eq!(Exit::from(&error), exit, "{error}");
        }
        assert_ne!(Exit::from(&refused()), Exit::Failure);
    }
}
