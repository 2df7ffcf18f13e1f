//! Totals of the store.

use super::QueryError;
use crate::clock::WallTime;
use crate::fold::{Rows, TOTALS_KEY};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::Totals;
use serde::Serialize;
use std::ops::Not;

/// Totals of the store, as of one change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TotalsView {
    /// Last change that is counted.
    pub as_of: Sequence,
    /// Payloads in the log.
    pub received: u64,
    /// Payloads that became events, on arrival or later.
    pub accepted: u64,
    /// Payloads that are still rejected.
    pub rejected: u64,
    /// Rejections over the hourly limit, which are counted instead of recorded.
    pub suppressed: u64,
    /// Animals.
    pub animals: u64,
    /// Animals in the yard.
    pub active: u64,
    /// Animals that left in an export.
    pub exported: u64,
    /// Batches of both sources.
    pub batches: u64,
    /// Batches that are open.
    pub open_batches: u64,
    /// Corrections by operators.
    pub corrected: u64,
    /// Event counters that were never heard.
    pub missed_events: u64,
    /// Arrival of the last payload by the barn's clock, ISO 8601 in UTC; `None` before the first payload, and if that clock
    /// had never been set.
    pub last_received_at: Option<String>,
    /// The same in microseconds since the Unix epoch.
    pub last_received_at_us: Option<i64>,
    /// `true` if that clock followed no time source.
    #[serde(skip_serializing_if = "Not::not")]
    pub last_received_at_doubtful: bool,
}

impl Snapshot {
    /// Returns the totals of the store.
    pub fn totals(&self) -> Result<TotalsView, QueryError> {
        let totals: Totals = self.read(&TOTALS_KEY)?.unwrap_or_default();
        let last = (totals.received > 0).then_some(totals.last_received);
        Ok(TotalsView {
            as_of: self.folded()?,
            received: totals.received,
            accepted: totals.accepted,
            rejected: totals.rejected,
            suppressed: totals.suppressed,
            animals: totals.animals,
            active: totals.active,
            exported: totals.exported,
            batches: totals.batches,
            open_batches: totals.open_batches,
            corrected: totals.corrected,
            missed_events: totals.missed_events,
            last_received_at: last.and_then(WallTime::iso_utc),
            last_received_at_us: last.map(|last| last.at_us),
            last_received_at_doubtful: last.is_some_and(|last| !last.synchronized),
        })
    }
}
