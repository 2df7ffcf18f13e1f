//! What can go wrong between a store and its disk.

use crate::change::ChangeError;
use crate::fold::RowsError;
use crate::position::{Position, Sequence, StoreId};
use std::path::PathBuf;

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{file} is in use by another process: stop it, or give the command to it while it runs")]
    Locked {
        /// Which.
        file: String,
    },
    /// Whoever waited for the opening broke it off.
    #[error("the opening was broken off at {file}, as it was told to; the next one goes on, and nothing is lost")]
    BrokenOff {
        /// The file that was being checked or folded into.
        file: String,
    },
    /// There is no store in this place.
    #[error("there is no store in {place}: start `run` once, or look at `state_dir`")]
    Missing {
        /// Where one was looked for.
        place: PathBuf,
    },
    /// The file could not be read or written.
    #[error("could not {doing} {file}: {why}. Check the disk; what was acknowledged before is kept")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        file: String,
        /// What the storage said.
        why: String,
    },
    /// The log does not hold what was written to it.
    #[error("log.redb is damaged at change {at}: {why}. Restore it from a backup or from the office")]
    DamagedLog {
        /// Where.
        at: Sequence,
        /// How.
        why: &'static str,
    },
    /// A row of the tables could not be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The tables are behind the log, so nothing can be decided.
    #[error("the tables stand at change {folded} and the log at {head}: {why}")]
    TablesBehind {
        /// The last change in the tables.
        folded: Sequence,
        /// The last change in the log.
        head: Sequence,
        /// What holds them.
        why: ChangeError,
    },
    /// An earlier write or look-up of this writer failed.
    #[error(
        "an earlier write failed, so that nothing more is written: open the store anew (restart). It then holds that \
         group whole or not at all; what was acknowledged is kept"
    )]
    Interrupted,
    /// A payload and its origin make a longer change than any follower takes.
    #[error("a payload would make a change of {bytes} bytes; none may have more than {limit}: bound it at the door")]
    Oversize {
        /// Its length.
        bytes: usize,
        /// [`MAX_CHANGE_BYTES`](crate::change::MAX_CHANGE_BYTES).
        limit: usize,
    },
    /// The directory holds the log of another history.
    #[error("the store in {place} is history {found}, not {expected}: use another directory")]
    OtherStore {
        /// Where.
        place: PathBuf,
        /// The history that was wanted.
        expected: StoreId,
        /// The history that is there.
        found: StoreId,
    },
}

/// Why a page was not applied. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The page begins after changes that are missing here.
    #[error("the page begins after {after}, this copy ends at {head}: ask again from there")]
    Gap {
        /// The position that the page continues.
        after: Sequence,
        /// The last change held here.
        head: Sequence,
    },
    /// The page is of another history, or of one that parted from this one.
    #[error("the page continues {theirs}, this copy stands at {ours}: the histories differ")]
    Diverged {
        /// What the page says.
        theirs: Position,
        /// What is held here.
        ours: Position,
    },
    /// The page's changes do not lead to the digest that it names.
    #[error("the page after {after} does not lead to the digest that it names: it was altered on its way")]
    Altered {
        /// The position that the page continues.
        after: Sequence,
    },
    /// A change is longer than any that a source makes.
    #[error("change {at} of the page has {bytes} bytes; none has more than {limit}")]
    Oversize {
        /// Which.
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

/// Names what was being done to which file when the storage failed.
pub(crate) fn storage<E: std::fmt::Display>(doing: &'static str, file: &str) -> impl FnOnce(E) -> StoreError {
    let file = file.to_owned();
    move |why| StoreError::Storage { doing, file, why: why.to_string() }
}
