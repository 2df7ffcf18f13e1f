//! Questions about payloads, answered from the log.

use super::page::cut;
use super::{Page, PageLimit, PayloadStatus, PayloadView, QueryError};
use crate::change::{Change, LateEvent, Received};
use crate::clock::iso_utc;
use crate::fold::{KeyRange, Rows};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{Afterwards, Table, number_in, sequence_key};

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
    fn takes(self, payload: &PayloadView) -> bool {
        match self {
            Self::All => true,
            Self::Status(wanted) => payload.status == wanted,
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
            let Some(payload) = self.payload(sequence)?.filter(|payload| filter.takes(payload)) else { continue };
            found.push(payload);
            if found.len() > limit.entries() {
                return Ok(cut(found, limit, |payload| payload.id.0));
            }
        }
        Ok(Page { data: found, next: Some(lowest).filter(|lowest| *lowest > 1) })
    }

    /// The payload that the change `sequence` keeps, as later changes left it; none where that is no Received change.
    pub fn payload(&self, sequence: Sequence) -> Result<Option<PayloadView>, QueryError> {
        let Some(received) = self.received(sequence)? else { return Ok(None) };
        let mut view = PayloadView::new(sequence, received);
        self.tell_afterwards(&mut view)?;
        Ok(Some(view))
    }

    /// Tells of a payload what later changes made of it; gives the event that one of them made of it.
    pub(super) fn tell_afterwards(&self, view: &mut PayloadView) -> Result<Option<LateEvent>, QueryError> {
        let afterwards = self.afterwards(view.id)?;
        view.voided_by = afterwards.void();
        let Some(by) = afterwards.accepted_by else { return Ok(None) };
        let event = self.late_event(by)?;
        if let Some(event) = &event {
            view.accept(by, event.accepted.clone());
        }
        Ok(event)
    }

    /// What later changes made of the payload `of`.
    pub(super) fn afterwards(&self, of: Sequence) -> Result<Afterwards, QueryError> {
        Ok(self.read(Table::Afterwards, &sequence_key(of))?.unwrap_or_default())
    }

    pub(super) fn received(&self, sequence: Sequence) -> Result<Option<Received>, QueryError> {
        Ok(match self.change(sequence)? {
            Some(Change::Received(received)) => Some(*received),
            _ => None,
        })
    }

    /// The event that the change `by` made of a payload that had been rejected.
    fn late_event(&self, by: Sequence) -> Result<Option<LateEvent>, QueryError> {
        Ok(self.change(by)?.and_then(|change| change.late_event().cloned()))
    }

    /// When that happened which the change `sequence` tells, ISO 8601 in UTC: a payload, however late it was
    /// accepted, when it came; all else when it was written.
    pub(super) fn happened_at(&self, sequence: Sequence) -> Result<Option<String>, QueryError> {
        Ok(self.change(sequence)?.map(|change| {
            let clock = change.late_event().map_or_else(|| change.clock(), |late| late.received);
            iso_utc(clock.received_at_us)
        }))
    }
}
