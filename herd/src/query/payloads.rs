//! Queries about payloads, which read the log.

use super::page::cut;
use super::{Page, PageLimit, PayloadStatus, PayloadView, QueryError, readable};
use crate::change::{Change, LateEvent, Received};
use crate::clock::WallTime;
use crate::fold::{KeyRange, Rows};
use crate::position::Sequence;
use crate::store::{Snapshot, StoreError};
use crate::tables::{Amendments, Table, number_in, sequence_key};

/// Filter of a list of payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadFilter {
    /// All payloads.
    #[default]
    All,
    /// Payloads with one status.
    Status(PayloadStatus),
}

impl PayloadFilter {
    fn matches(self, payload: &PayloadView) -> bool {
        match self {
            Self::All => true,
            Self::Status(wanted) => payload.status == wanted,
        }
    }
}

impl Snapshot {
    /// Returns payloads, latest first, with sequences below `before`.
    ///
    /// The list starts at the last change in the tables, so every animal and batch that it names exists.
    pub fn payloads(
        &self,
        before: Option<Sequence>,
        limit: PageLimit,
        filter: PayloadFilter,
    ) -> Result<Page<PayloadView>, QueryError> {
        match filter {
            PayloadFilter::Status(PayloadStatus::Error) => self.rejected_payloads(before, limit),
            PayloadFilter::All | PayloadFilter::Status(PayloadStatus::Processed) => {
                self.scan_payloads(before, limit, filter)
            }
        }
    }

    /// Lists rejected payloads through their table.
    fn rejected_payloads(&self, before: Option<Sequence>, limit: PageLimit) -> Result<Page<PayloadView>, QueryError> {
        let to = before.map(sequence_key);
        let range = KeyRange { from: &[], to: to.as_deref(), backwards: true, limit: limit.entries() + 1 };
        let rows = self.range(Table::Rejected, range)?;
        let ids = rows.iter().map(|(key, _)| Sequence(number_in(key).unwrap_or_default())).collect();
        let payloads = cut(ids, limit, |id: &Sequence| id.0).try_map(|id| readable(self.payload(id)))?;
        Ok(Page { data: payloads.data.into_iter().flatten().collect(), next: payloads.next })
    }

    /// Lists payloads by walking back through the log.
    fn scan_payloads(
        &self,
        before: Option<Sequence>,
        limit: PageLimit,
        filter: PayloadFilter,
    ) -> Result<Page<PayloadView>, QueryError> {
        let above = before.map_or(u64::MAX, |before| before.0).min(self.folded()?.next().0);
        let lowest = above.saturating_sub(limit.rows() as u64).max(1);
        let mut found = Vec::new();
        let mut next = above.saturating_sub(1);
        while next >= lowest {
            let sequence = Sequence(next);
            next = next.saturating_sub(1);
            let payload = match self.payload(sequence) {
                Err(QueryError::Store(StoreError::DamagedLog { row, .. })) if row.holds(sequence) => {
                    next = row.first.0.saturating_sub(1);
                    continue;
                }
                payload => readable(payload)?,
            };
            let Some(payload) = payload.filter(|payload| filter.matches(payload)) else { continue };
            found.push(payload);
            if found.len() > limit.entries() {
                return Ok(cut(found, limit, |payload| payload.id.0));
            }
        }
        Ok(Page { data: found, next: Some(lowest).filter(|lowest| *lowest > 1) })
    }

    /// Returns the payload in the change `sequence` as later changes left it, or `None` if that change holds no
    /// payload.
    pub fn payload(&self, sequence: Sequence) -> Result<Option<PayloadView>, QueryError> {
        let Some(received) = self.received(sequence)? else { return Ok(None) };
        let mut view = PayloadView::new(sequence, received);
        self.apply_later_changes(&mut view)?;
        Ok(Some(view))
    }

    /// Adds the effect of later changes to a view. Returns the event of the change that accepted the payload, if any.
    pub(super) fn apply_later_changes(&self, view: &mut PayloadView) -> Result<Option<LateEvent>, QueryError> {
        let amendments = self.amendments(view.id)?;
        view.voided_by = amendments.void();
        let Some(by) = amendments.accepted_by else { return Ok(None) };
        let event = self.late_event(by)?;
        if let Some(event) = &event {
            view.accept(by, event.clone());
        }
        Ok(event)
    }

    /// Returns the effect of later changes on the payload `of`.
    pub(crate) fn amendments(&self, of: Sequence) -> Result<Amendments, QueryError> {
        Ok(self.read(&sequence_key(of))?.unwrap_or_default())
    }

    /// Returns the payload in the change `sequence` as the source decided about it.
    pub(super) fn received(&self, sequence: Sequence) -> Result<Option<Received>, QueryError> {
        Ok(match self.change(sequence)? {
            Some(Change::Received(received)) => Some(*received),
            _ => None,
        })
    }

    /// Returns the event that the change `by` made of a payload.
    fn late_event(&self, by: Sequence) -> Result<Option<LateEvent>, QueryError> {
        Ok(self.change(by)?.and_then(|change| change.late_event().cloned()))
    }

    /// Returns the time of what the change `sequence` records.
    ///
    /// For an event this is the arrival of its payload, however late it was accepted. For any other change it is the
    /// time at which the change was made.
    pub(crate) fn happened_at(&self, sequence: Sequence) -> Result<Option<WallTime>, QueryError> {
        let clock = |change: Change| change.late_event().map_or_else(|| change.clock(), |late| late.received);
        Ok(self.change(sequence)?.map(|change| clock(change).wall()))
    }
}
