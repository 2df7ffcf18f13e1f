//! Result of a recovery.

use herd::position::Position;
use herd::recover::Gaps;
use herd::store::Readmitted;
use serde::{Deserialize, Serialize};

/// Result of a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverReport {
    /// The name under which the damaged log is kept; `None` if the log was whole, or missing.
    pub kept_as: Option<String>,
    /// True if the log was whole, and stays.
    pub was_whole: bool,
    /// The last change of the unbroken chain.
    pub end: Position,
    /// Position of the log now.
    pub head: Position,
    /// Changes that are missing.
    pub gaps: Gaps,
    /// Payloads that came back.
    pub readmitted: Readmitted,
    /// Number of rows that may be whole, and that nothing places.
    pub unplaced: u64,
    /// Bytes that the medium did not return.
    pub unreadable: u64,
}

impl RecoverReport {
    /// Makes the report about a log that was whole.
    pub(crate) fn of_whole(end: Position) -> Self {
        let (gaps, readmitted) = (Gaps::default(), Readmitted::default());
        Self { kept_as: None, was_whole: true, end, head: end, gaps, readmitted, unplaced: 0, unreadable: 0 }
    }
}
