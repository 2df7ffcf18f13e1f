//! What every process does at its beginning and its end: say why it ends, stop when told, look at its disk.

mod shutdown;

pub use shutdown::{Shutdown, ShutdownTrigger, shutdown_on_signals};

use crate::control::{CommandError, ListenError, OwnerError};
use crate::door::key_command::KeyCommandError;
use crate::door::serve::ServeError;
use crate::settings::SettingsError;
use herd::store::LocalError;
use rustix::io::Errno;
use std::path::Path;

/// How a process ended, in the number that it leaves to whoever started it. The numbers are part of the interface:
/// scripts and units decide on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked for, or was told to stop and stopped.
    Success = 0,
    /// Something failed that has no number of its own; the last line of the log says what.
    Failure = 1,
    /// The command line or a setting was refused; nothing was done.
    Usage = 2,
    /// A file is damaged; starting again cannot help.
    Damaged = 3,
    /// The address to listen on, or the control socket, cannot be had.
    CannotListen = 4,
    /// There was nobody to talk to: the process that a command is for does not run, or a peer does not answer.
    NobodyHome = 5,
    /// The files are in use by another process.
    Locked = 6,
    /// What was asked for was understood and refused.
    Refused = 7,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&LocalError> for Exit {
    fn from(error: &LocalError) -> Self {
        match error {
            LocalError::Locked { .. } => Self::Locked,
            LocalError::Damaged { .. } | LocalError::Value { .. } => Self::Damaged,
            LocalError::Open { .. } | LocalError::Disk { .. } | LocalError::Space(_) => Self::Failure,
        }
    }
}

impl From<&SettingsError> for Exit {
    fn from(_: &SettingsError) -> Self {
        Self::Usage
    }
}

impl From<&CommandError> for Exit {
    fn from(error: &CommandError) -> Self {
        match error {
            CommandError::Ask(_) => Self::NobodyHome,
            CommandError::Refused(_) => Self::Refused,
            CommandError::Locked => Self::Locked,
            CommandError::Owner(error) => Self::from(error),
            CommandError::Failed(source) => source.downcast_ref::<LocalError>().map_or(Self::Failure, Self::from),
        }
    }
}

impl From<&OwnerError> for Exit {
    fn from(error: &OwnerError) -> Self {
        match error {
            OwnerError::RunByRoot { .. } => Self::Usage,
            OwnerError::Unknown { .. } | OwnerError::Refused { .. } => Self::Failure,
        }
    }
}

impl From<&KeyCommandError> for Exit {
    fn from(error: &KeyCommandError) -> Self {
        match error {
            KeyCommandError::Command(error) => Self::from(error),
            KeyCommandError::Incomplete(_) | KeyCommandError::Print(_) => Self::Failure,
        }
    }
}

impl From<&ListenError> for Exit {
    fn from(_: &ListenError) -> Self {
        Self::CannotListen
    }
}

impl From<&ServeError> for Exit {
    fn from(error: &ServeError) -> Self {
        match error {
            ServeError::Bind { .. } => Self::CannotListen,
            ServeError::Certificate(_) => Self::Usage,
            ServeError::Listener(_) | ServeError::Aborted(_) => Self::Failure,
        }
    }
}

/// What a file system has left for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeDisk {
    /// `f_bavail`: without what is reserved for root.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// Asks the file system that `path` is on (`statvfs(3)`).
pub fn free_disk(path: &Path) -> Result<FreeDisk, FreeDiskError> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| FreeDiskError { path: path.into(), errno })?;
    Ok(FreeDisk {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// The file system did not say what it has left.
#[derive(Clone, Debug, thiserror::Error)]
#[error("asking how much of the disk at {} is free: {errno}", path.display())]
pub struct FreeDiskError {
    path: std::path::PathBuf,
    errno: Errno,
}

/// Below so many free bytes nothing new is taken in: the smaller of 512 MiB and 5 % of the file system, so that
/// what was taken in can still be kept, folded and backed up.
pub fn lowest_allowed_free_bytes(total_bytes: u64) -> u64 {
    (total_bytes / 20).min(512 * 1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_ends_stay_what_they_are() {
        let all = [
            (Exit::Success, 0),
            (Exit::Failure, 1),
            (Exit::Usage, 2),
            (Exit::Damaged, 3),
            (Exit::CannotListen, 4),
            (Exit::NobodyHome, 5),
            (Exit::Locked, 6),
            (Exit::Refused, 7),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number, "{exit:?}");
        }
    }

    #[test]
    fn a_damaged_file_is_told_from_a_locked_one_in_the_number_as_well() {
        let path = std::path::PathBuf::from("local.redb");
        let locked = LocalError::Locked { path: path.clone() };
        let damaged = LocalError::Damaged { path, reason: String::new() };
        assert_eq!(Exit::from(&locked), Exit::Locked);
        assert_eq!(Exit::from(&CommandError::Failed(Box::new(damaged))), Exit::Damaged);
        assert_eq!(Exit::from(&KeyCommandError::Command(CommandError::Locked)), Exit::Locked);
    }

    #[test]
    fn a_disk_tells_what_it_has_and_a_missing_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let disk = free_disk(dir.path()).unwrap();
        assert!(disk.total_bytes > 0 && disk.free_bytes <= disk.total_bytes, "{disk:?}");
        let error = free_disk(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
    }

    #[test]
    fn a_small_disk_keeps_a_twentieth_free_and_a_large_one_512_mib() {
        assert_eq!(lowest_allowed_free_bytes(2_000_000_000), 100_000_000);
        assert_eq!(lowest_allowed_free_bytes(1 << 40), 512 << 20);
        assert_eq!(lowest_allowed_free_bytes(0), 0);
    }
}
