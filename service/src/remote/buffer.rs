//! Number of payloads by status: those in the log are counted in the tables, and duplicates at the barn.

use super::RemoteApi;
use super::duplicates::DuplicateCounts;
use super::status::ProcessState;
use herd::position::Sequence;
use herd::query::TotalsView;
use serde::Serialize;

/// Number of payloads of each status. The keys up to `errors` are those of the original.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BufferStatus {
    /// Sum of the other counts.
    total: u64,
    /// Always 0: receipt and judgment are one commit.
    received: u64,
    /// Always 0.
    processing: u64,
    processed: u64,
    duplicates: Option<u64>,
    errors: u64,
    /// Age of the count of duplicates; 0 at the barn itself.
    duplicates_age_ms: Option<u64>,
    /// Rejections that were counted instead of recorded.
    suppressed: u64,
    /// Payloads that are queued or in commit, and so not stored yet. Only at the barn.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_payloads: Option<usize>,
    as_of: Sequence,
}

impl BufferStatus {
    pub(super) fn new(api: &dyn RemoteApi, totals: &TotalsView) -> Self {
        let DuplicateCounts { count, age_ms, .. } = DuplicateCounts::new(api);
        let queued_payloads = match api.state() {
            ProcessState::Source(source) => Some(source.queued_payloads),
            ProcessState::Replica(_) => None,
        };
        Self {
            total: totals.received.saturating_add(count.unwrap_or(0)),
            received: 0,
            processing: 0,
            processed: totals.accepted,
            duplicates: count,
            errors: totals.rejected,
            duplicates_age_ms: age_ms,
            suppressed: totals.suppressed,
            queued_payloads,
            as_of: totals.as_of,
        }
    }
}
