//! Why a question has no answer.

use crate::change::AnimalId;
use crate::fold::RowsError;
use crate::position::Sequence;
use crate::store::StoreError;

/// Why a question has no answer. That there is no such thing is an answer (`None`), not an error.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A page of no size that is given.
    #[error("a page holds 1 to {max} entries, and {requested} were asked for")]
    InvalidLimit {
        /// The requested number.
        requested: u64,
        /// The maximum.
        max: u32,
    },
    /// A cursor that no page has given.
    #[error("`{found}` is no place to go on from: take `next` of the page before as it stands")]
    InvalidCursor {
        /// What was given, cut at 64 characters.
        found: String,
    },
    /// A cursor into the history of an animal that names a change of another.
    #[error("change {sequence} is not of animal {animal}: take `next` of the page before as it stands")]
    ForeignCursor {
        /// The change that the cursor names.
        sequence: Sequence,
        /// The animal that was asked about.
        animal: AnimalId,
    },
    /// The store failed. All others whoever asked can put right.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    pub(super) fn invalid_cursor(found: &str) -> Self {
        Self::InvalidCursor { found: found.chars().take(64).collect() }
    }
}

impl From<RowsError> for QueryError {
    fn from(error: RowsError) -> Self {
        Self::Store(StoreError::Rows(error))
    }
}
