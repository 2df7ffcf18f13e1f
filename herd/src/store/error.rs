//! Errors of a store.

use crate::change::ChangeError;
use crate::fold::RowsError;
use crate::position::{Position, Sequence, StoreId};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::path::PathBuf;

/// A row of the log that does not hold what was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DamagedRow {
    /// Its first change.
    pub first: Sequence,
    /// Its last change.
    pub last: Sequence,
}

impl DamagedRow {
    /// Names a place where a single change is damaged.
    pub(crate) fn at(sequence: Sequence) -> Self {
        Self { first: sequence, last: sequence }
    }

    /// Returns whether a change is one of the row.
    pub(crate) fn holds(&self, sequence: Sequence) -> bool {
        (self.first..=self.last).contains(&sequence)
    }
}

impl Display for DamagedRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "change {first}") } else { write!(f, "changes {first} to {last}") }
    }
}

/// A log that lacks changes which this machine had: its files vanished, or older ones were put in their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}, but this barn was at change {} of history {} (digest {}) when it was last flushed. Nothing was changed. Stop the \
     service and put the right log.redb and log.journal back. If they are lost, `herdlinxd restore` begins again with a backup, \
     and an office makes one of its copy. Without any, `herdlinxd accept-log` goes on with what is there as the next epoch",
    found_text(.found.as_ref()), .expected.sequence, .expected.store, .expected.digest
)]
pub struct LostLogError {
    /// A position that this machine had durably.
    pub expected: Position,
    /// The end of the log that was found, or `None` if it is missing or empty.
    pub found: Option<Position>,
}

impl From<LostLogError> for StoreError {
    fn from(error: LostLogError) -> Self {
        Self::LostLog(Box::new(error))
    }
}

fn found_text(found: Option<&Position>) -> String {
    match found {
        Some(found) => format!("log.redb ends at change {} of history {}", found.sequence, found.store),
        None => "log.redb is missing or empty".to_owned(),
    }
}

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{file} is in use by another process; stop it, or run the command while it serves")]
    Locked {
        /// The file.
        file: String,
    },
    /// The caller canceled the opening.
    #[error("opening {file} was canceled; the next start continues, and nothing is lost")]
    Canceled {
        /// The file that was being checked or folded into.
        file: String,
    },
    /// There is no store here.
    #[error("there is no store in {place}; start `run` once, or check `state_dir`")]
    Missing {
        /// The directory.
        place: PathBuf,
    },
    /// The file could not be read or written.
    #[error("cannot {doing} {file}: {why}. Check the disk; everything acknowledged before is kept")]
    Storage {
        /// The action that failed.
        doing: &'static str,
        /// The file.
        file: String,
        /// Message of the storage.
        why: String,
    },
    /// The file is not a database that can be opened or read.
    #[error(
        "{file} is damaged: {why}. Keep it. At a barn, `herdlinxd recover` takes what is whole out of a log; at an office, \
         `herdlinx-mirror resync` copies the barn again"
    )]
    DamagedFile {
        /// The file.
        file: String,
        /// Message of the storage.
        why: String,
    },
    /// The log lacks changes that this machine had.
    #[error(transparent)]
    LostLog(#[from] Box<LostLogError>),
    /// The log does not hold what was written to it.
    #[error(
        "log.redb is damaged in {row}: {why}. At a barn, `herdlinxd recover` takes what is whole out of it; at an office, \
         `herdlinx-mirror resync` copies the barn again"
    )]
    DamagedLog {
        /// The damaged row, or the damaged change.
        row: DamagedRow,
        /// Kind of the damage.
        why: &'static str,
    },
    /// The journal lacks or has changed what was written to it.
    #[error(
        "log.journal is damaged at byte {offset}, in change {at}: {why}. Nothing was changed: keep all files. The office has \
         what it has followed"
    )]
    DamagedJournal {
        /// The place in the file.
        offset: u64,
        /// The change that is damaged or missing.
        at: Sequence,
        /// Kind of the damage.
        why: &'static str,
    },
    /// The journal belongs to another history than the log.
    #[error(
        "log.journal holds changes of history {journal}, and log.redb is of history {log}: one of them is from another \
         directory. Nothing was changed; put the right file back, or move log.journal away"
    )]
    ForeignJournal {
        /// The history of the journal.
        journal: StoreId,
        /// The history of the log.
        log: StoreId,
    },
    /// There is a journal, but no log.
    #[error(
        "log.redb is missing or empty, but log.journal holds changes of history {journal}. Put log.redb back; to begin a new \
         epoch, run `herdlinxd accept-log`, which sets log.journal aside"
    )]
    MissingLog {
        /// The history of the journal.
        journal: StoreId,
    },
    /// A row of the tables could not be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A change that comes back is of a later program, and may be a payload.
    #[error("change {sequence} cannot be appended once more: {why}")]
    UnknownLost {
        /// Its old sequence.
        sequence: Sequence,
        /// Why it cannot be decoded.
        why: ChangeError,
    },
    /// The tables are behind the log, so nothing can be decided.
    #[error("the tables are at change {folded}, the log at {head}: {why}")]
    TablesBehind {
        /// The last change in the tables.
        folded: Sequence,
        /// The last change in the log.
        head: Sequence,
        /// Why the tables stopped.
        why: ChangeError,
    },
    /// An earlier write or look-up of this writer failed.
    #[error(
        "an earlier write failed, so nothing more is written until a restart. The store then holds that group whole or not \
         at all; everything acknowledged is kept"
    )]
    Interrupted,
    /// A thread of the store panicked.
    #[error(
        "the thread `{thread}` panicked, which is a defect of this program: report it with the log. Everything acknowledged \
         is kept, and a restart goes on from there"
    )]
    Panicked {
        /// Its name.
        thread: &'static str,
    },
    /// The change is longer than a follower accepts.
    #[error("the payload would make a change of {bytes} bytes; the limit is {limit}")]
    Oversize {
        /// Its length.
        bytes: usize,
        /// [`MAX_CHANGE_BYTES`](crate::change::MAX_CHANGE_BYTES).
        limit: usize,
    },
    /// The directory holds the log of another history.
    #[error("the store in {place} holds history {found}, not {expected}; use another directory")]
    OtherStore {
        /// The directory.
        place: PathBuf,
        /// The history that was expected.
        expected: StoreId,
        /// The history that was found.
        found: StoreId,
    },
}

/// Why a page was not applied. Nothing of it was written, except perhaps with [`ApplyError::Store`].
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The page begins after changes that are missing here.
    #[error("the page begins after {after}, but this copy ends at {head}; request it from there")]
    Gap {
        /// The change before the page.
        after: Sequence,
        /// The last change held here.
        head: Sequence,
    },
    /// The page belongs to another history, or to one that diverged from this one.
    #[error("the page continues {theirs}, but this copy is at {ours}: the histories differ")]
    Diverged {
        /// The position before the page.
        theirs: Position,
        /// The position of this copy.
        ours: Position,
    },
    /// The page's changes do not lead to the digest that it names.
    #[error("the page after {after} does not lead to the digest that it names; it was altered on its way")]
    Altered {
        /// The change before the page.
        after: Sequence,
    },
    /// A change is longer than a source may make.
    #[error("change {at} of the page has {bytes} bytes; the limit is {limit}")]
    Oversize {
        /// The change.
        at: Sequence,
        /// Its length.
        bytes: usize,
        /// [`MAX_CHANGE_BYTES`](crate::change::MAX_CHANGE_BYTES).
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an error that names the failed action and the file.
pub(crate) fn storage<E: std::fmt::Display>(doing: &'static str, file: &str) -> impl FnOnce(E) -> StoreError {
    let file = file.to_owned();
    move |why| StoreError::Storage { doing, file, why: why.to_string() }
}

/// Returns whether an error of an opening says that the log lacks changes which this machine had, so that a person may
/// accept it.
pub fn is_acceptable(error: &StoreError) -> bool {
    matches!(error, StoreError::LostLog(_)) || is_about_journal(error)
}

/// Returns whether the journal does not continue the log.
pub(super) fn is_about_journal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::MissingLog { .. } | StoreError::DamagedJournal { .. } | StoreError::ForeignJournal { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Digest, Epoch};

    #[test]
    fn a_damaged_row_is_named_as_one_change_or_several() {
        let several = DamagedRow { first: Sequence(3), last: Sequence(1_004) };
        let named = [DamagedRow::at(Sequence(7)), several].map(|row| row.to_string());
        assert_eq!(named, ["change 7", "changes 3 to 1004"]);
    }

    /// Catches a message that leaves a person without what was found, or what was there before.
    #[test]
    fn a_lost_log_tells_its_end_and_what_the_machine_remembers() {
        let position = |store, sequence| Position {
            store: StoreId([store; 16]),
            epoch: Epoch(1),
            sequence: Sequence(sequence),
            digest: Digest([9; 32]),
        };
        let (ours, other) = ("07".repeat(16), "08".repeat(16));
        for (found, expected) in [
            (None, "log.redb is missing or empty, but this barn was at change 41 of history ".to_owned()),
            (
                Some(position(8, 3)),
                format!("log.redb ends at change 3 of history {other}, but this barn was at change 41"),
            ),
        ] {
            let told = LostLogError { expected: position(7, 41), found }.to_string();
            assert!(told.starts_with(&expected) && told.contains(&ours), "{told}");
        }
    }
}
