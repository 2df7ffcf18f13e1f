//! Errors of queries.

use crate::change::AnimalId;
use crate::fold::RowsError;
use crate::position::Sequence;
use crate::store::StoreError;

/// Error of a query. All variants but [`QueryError::Store`] are mistakes of the caller.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The page limit is 0 or above the maximum.
    #[error("invalid limit {requested}: use 1 to {max}")]
    InvalidLimit {
        /// Requested number of entries.
        requested: u64,
        /// Maximum number of entries.
        max: u32,
    },
    /// The cursor is not one that a page returned.
    #[error("invalid cursor `{found}`: use the unchanged `next` of the previous page")]
    InvalidCursor {
        /// The text of the cursor, cut to 64 characters.
        found: String,
    },
    /// The cursor points into the history of another animal.
    #[error("change {sequence} does not belong to animal {animal}: use the unchanged `next` of the previous page")]
    ForeignCursor {
        /// Change that the cursor names.
        sequence: Sequence,
        /// Animal of the query.
        animal: AnimalId,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    pub(super) fn invalid_cursor(found: &str) -> Self {
        Self::InvalidCursor { found: found.chars().take(64).collect() }
    }
}

/// Leaves out what cannot be read because a row of the log is damaged, so that the rest of an answer is shown.
pub(crate) fn readable<T>(found: Result<Option<T>, QueryError>) -> Result<Option<T>, QueryError> {
    match found {
        Err(QueryError::Store(StoreError::DamagedLog { .. })) => Ok(None),
        found => found,
    }
}

impl From<RowsError> for QueryError {
    fn from(error: RowsError) -> Self {
        Self::Store(StoreError::Rows(error))
    }
}
