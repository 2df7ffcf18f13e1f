//! Payloads by status: what is kept is counted in the tables, what was a duplicate at the barn.

use super::Remote;
use super::duplicates::Duplicates;
use super::status::Process;
use herd::position::Sequence;
use herd::query::TotalsView;
use serde::Serialize;

/// How many payloads of each status there are. The keys up to `errors` are those of the original.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BufferStatus {
    /// The sum of the others.
    total: u64,
    /// Always 0: receiving and judging are one commit.
    received: u64,
    /// Always 0.
    processing: u64,
    processed: u64,
    duplicates: Option<u64>,
    errors: u64,
    /// How old the count of duplicates is; 0 at the barn itself.
    duplicates_age_ms: Option<u64>,
    /// Rejections counted in place of being kept.
    suppressed: u64,
    /// Payloads that wait for their commit or are in it: not kept yet. Only at the barn.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_payloads: Option<usize>,
    as_of: Sequence,
}

impl BufferStatus {
    pub(super) fn of(remote: &dyn Remote, totals: &TotalsView) -> Self {
        let Duplicates { count, age_ms, .. } = Duplicates::of(remote);
        let queued_payloads = match remote.process() {
            Process::Source(source) => Some(source.queued_payloads),
            Process::Replica(_) => None,
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
