//! Exit codes.

use herd::store::{LocalError, StoreError};

/// The exit code of a process. The numbers are part of the interface: scripts and units depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or shut down on request.
    Success = 0,
    /// A failure without a code of its own; the last line of the log describes it.
    Failure = 1,
    /// The command line or a setting was refused; nothing was done.
    Usage = 2,
    /// A file is damaged, or lacks what it had; a restart does not help.
    Damaged = 3,
    /// The address to listen on, or the control socket, is taken.
    CannotListen = 4,
    /// The process that a command needs does not run, or a peer does not answer.
    NoPeer = 5,
    /// Another process has the files open.
    Locked = 6,
    /// The request was understood and refused.
    Refused = 7,
    /// The reader of the output, such as `head`, closed it. Shells report this number, 128 + `SIGPIPE`, for a program that
    /// the signal ends.
    OutputClosed = 141,
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

impl From<&StoreError> for Exit {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Locked { .. } => Self::Locked,
            StoreError::DamagedLog { .. }
            | StoreError::DamagedJournal { .. }
            | StoreError::DamagedFile { .. }
            | StoreError::LostLog(_)
            | StoreError::ForeignJournal { .. }
            | StoreError::MissingLog { .. } => Self::Damaged,
            // A restart opens the files again, which mends a failed commit.
            _ => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::position::{Digest, Epoch, Position, Sequence, StoreId};
    use herd::store::{DamagedRow, LostLogError};

    #[test]
    fn the_exit_codes_are_stable() {
        let all = [
            (Exit::Success, 0),
            (Exit::Failure, 1),
            (Exit::Usage, 2),
            (Exit::Damaged, 3),
            (Exit::CannotListen, 4),
            (Exit::NoPeer, 5),
            (Exit::Locked, 6),
            (Exit::Refused, 7),
            (Exit::OutputClosed, 141),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number, "{exit:?}");
        }
    }

    #[test]
    fn a_damaged_file_and_a_locked_one_have_different_codes() {
        let path = std::path::PathBuf::from("local.redb");
        assert_eq!(Exit::from(&LocalError::Locked { path: path.clone() }), Exit::Locked);
        assert_eq!(Exit::from(&LocalError::Damaged { path, reason: String::new() }), Exit::Damaged);
        assert_eq!(std::process::ExitCode::from(Exit::Locked), std::process::ExitCode::from(6));
    }

    /// Catches a supervisor that restarts a process whose files need a person, and one that gives up after a passing failure.
    #[test]
    fn only_damage_that_a_restart_does_not_mend_has_the_code_of_damage() {
        let (file, why) = (|| "log.redb".to_owned(), || "a bad page".to_owned());
        let store = StoreId([1; 16]);
        let expected = Position { store, epoch: Epoch(1), sequence: Sequence(7), digest: Digest([0; 32]) };
        let row = DamagedRow { first: Sequence(1), last: Sequence(2) };
        let cases = [
            (StoreError::Locked { file: file() }, Exit::Locked),
            (StoreError::DamagedFile { file: file(), why: why() }, Exit::Damaged),
            (StoreError::DamagedLog { row, why: "a bad page" }, Exit::Damaged),
            (StoreError::DamagedJournal { offset: 1, at: Sequence(1), why: "a bad page" }, Exit::Damaged),
            (LostLogError { expected, found: None }.into(), Exit::Damaged),
            (StoreError::ForeignJournal { journal: store, log: store }, Exit::Damaged),
            (StoreError::MissingLog { journal: store }, Exit::Damaged),
            (StoreError::Storage { doing: "read", file: file(), why: why() }, Exit::Failure),
            (StoreError::Canceled { file: file() }, Exit::Failure),
            (StoreError::Missing { place: "/data".into() }, Exit::Failure),
        ];
        for (error, code) in cases {
            assert_eq!(Exit::from(&error), code, "{error}");
        }
    }
}
