//! How many of everything there is.

use super::QueryError;
use crate::clock::iso_utc;
use crate::fold::{Rows, TOTALS_KEY};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{Table, Totals};
use serde::Serialize;

/// How many of everything there is, as of one change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TotalsView {
    /// The last change counted.
    pub as_of: Sequence,
    /// Payloads kept.
    pub received: u64,
    /// Those of them that are events.
    pub accepted: u64,
    /// Those of them that are none.
    pub rejected: u64,
    /// Rejections counted instead of kept.
    pub suppressed: u64,
    /// Animals.
    pub animals: u64,
    /// Those of them on the yard.
    pub active: u64,
    /// Those of them that left in an export.
    pub exported: u64,
    /// Batches of both sources.
    pub batches: u64,
    /// Those of them that are open.
    pub open_batches: u64,
    /// Corrections by operators.
    pub corrected: u64,
    /// Event counters never heard.
    pub missed_events: u64,
    /// When the last payload came by the barn's clock, ISO 8601 in UTC; none before the first.
    pub last_received_at: Option<String>,
    /// The same in microseconds since 1970 UTC.
    pub last_received_at_us: Option<i64>,
}

impl Snapshot {
    /// How many of everything there is.
    pub fn totals(&self) -> Result<TotalsView, QueryError> {
        let totals: Totals = self.read(Table::Totals, &TOTALS_KEY)?.unwrap_or_default();
        let last = (totals.received > 0).then_some(totals.last_received_at_us);
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
            last_received_at: last.map(iso_utc),
            last_received_at_us: last,
        })
    }
}
