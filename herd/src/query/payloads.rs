//! Questions about payloads, answered from the log.

use super::page::cut;
use super::{Page, PageLimit, PayloadStatus, PayloadView, QueryError};
use crate::change::{Change, Outcome, Received};
use crate::clock::iso_utc;
use crate::fold::{KeyRange, Rows};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{Table, number_in, sequence_key};

/// Which payloads a list tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadFilter {
    /// All that are kept.
    #[default]
    All,
    /// Those of one status.
    Status(PayloadStatus),
}

impl PayloadFilter {
    fn takes(self, received: &Received) -> bool {
        let status = match received.outcome {
            Outcome::Accepted(_) => PayloadStatus::Processed,
            Outcome::Rejected(_) => PayloadStatus::Error,
        };
        match self {
            Self::All => true,
            Self::Status(wanted) => status == wanted,
        }
    }
}

impl Snapshot {
    /// Payloads, the latest first, from below the sequence `before`. They end where the tables do, so that each
    /// animal and batch that they name is there.
    pub fn payloads(
        &self,
        before: Option<Sequence>,
        limit: PageLimit,
        filter: PayloadFilter,
    ) -> Result<Page<PayloadView>, QueryError> {
        match filter {
            PayloadFilter::Status(PayloadStatus::Error) => self.rejected(before, limit),
            PayloadFilter::All | PayloadFilter::Status(PayloadStatus::Processed) => self.scanned(before, limit, filter),
        }
    }

    fn rejected(&self, before: Option<Sequence>, limit: PageLimit) -> Result<Page<PayloadView>, QueryError> {
        let to = before.map(sequence_key);
        let range = KeyRange { from: &[], to: to.as_deref(), backwards: true, limit: limit.entries() + 1 };
        let mut found = Vec::new();
        for (key, _) in self.range(Table::Rejected, range)? {
            let sequence = Sequence(number_in(&key).unwrap_or_default());
            found.extend(self.payload(sequence)?);
        }
        Ok(cut(found, limit, |payload| payload.id.0))
    }

    fn scanned(
        &self,
        before: Option<Sequence>,
        limit: PageLimit,
        filter: PayloadFilter,
    ) -> Result<Page<PayloadView>, QueryError> {
        let above = before.map_or(u64::MAX, |before| before.0).min(self.folded()?.next().0);
        let lowest = above.saturating_sub(limit.rows() as u64).max(1);
        let mut found = Vec::new();
        for sequence in (lowest..above).rev().map(Sequence) {
            let Some(received) = self.received(sequence)?.filter(|received| filter.takes(received)) else { continue };
            found.push(PayloadView::new(sequence, received));
            if found.len() > limit.entries() {
                return Ok(cut(found, limit, |payload| payload.id.0));
            }
        }
        Ok(Page { data: found, next: Some(lowest).filter(|lowest| *lowest > 1) })
    }

    /// The payload that the change `sequence` keeps; none where that is no Received change.
    pub fn payload(&self, sequence: Sequence) -> Result<Option<PayloadView>, QueryError> {
        Ok(self.received(sequence)?.map(|received| PayloadView::new(sequence, received)))
    }

    pub(super) fn received(&self, sequence: Sequence) -> Result<Option<Received>, QueryError> {
        Ok(match self.change(sequence)? {
            Some(Change::Received(received)) => Some(*received),
            _ => None,
        })
    }

    /// When the payload of the change `sequence` came, ISO 8601 in UTC.
    pub(super) fn received_at(&self, sequence: Sequence) -> Result<Option<String>, QueryError> {
        Ok(self.received(sequence)?.map(|received| iso_utc(received.clock.received_at_us)))
    }
}
