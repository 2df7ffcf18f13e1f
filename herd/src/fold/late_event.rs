//! Events of payloads that had been rejected or voided.

use super::{Folding, Rows, RowsError};
use crate::change::{LateEvent, Origin, PlacedEvent};
use crate::clock::ClockReading;
use crate::payload::EventId;
use crate::position::Sequence;
use crate::tables::{Amendments, EventIdBlock, RejectedRow, event_id_key, sequence_key};

impl<B: Rows> Folding<'_, B> {
    /// Applies the event at this change, with the times at which its payload was received.
    pub(super) fn late_event(&mut self, event: &LateEvent) -> Result<(), RowsError> {
        let LateEvent { of, origin, received, accepted } = event;
        self.mark_accepted(*of)?;
        if let Some(id) = &accepted.event.id {
            self.occupy_free_event_id(origin, id, *of)?;
            self.count_event_id(origin, id)?;
        }
        self.apply_late(*of, received, origin, accepted)
    }

    /// Records that this change makes the payload `of` an event.
    pub(super) fn mark_accepted(&mut self, of: Sequence) -> Result<(), RowsError> {
        let key = sequence_key(of);
        // A payload that is accepted after a void of its event was counted when it came.
        if self.rows.read::<RejectedRow>(&key)?.is_some() {
            self.totals.accepted += 1;
            self.totals.rejected = self.totals.rejected.saturating_sub(1);
            self.rows.remove::<RejectedRow>(key.clone())?;
        }
        let accepted_by = Some(self.sequence);
        self.rows.edit_or_default(key, |row| *row = Amendments { accepted_by, ..*row })
    }

    /// Records that the payload `of` has this event id, unless another payload has taken it: repeats are still compared
    /// with that one.
    pub(super) fn occupy_free_event_id(
        &mut self,
        origin: &Origin,
        id: &EventId,
        of: Sequence,
    ) -> Result<(), RowsError> {
        let (key, slot) = event_id_key(&origin.reader_group, origin.reader_era, id);
        if self.rows.shared::<EventIdBlock>(&key)?.is_none_or(|block| block.get(slot).is_none()) {
            self.occupy_event_id(origin, id, of)?;
        }
        Ok(())
    }

    /// Applies the event of the payload `of` later than it happened.
    pub(crate) fn apply_late(
        &mut self,
        of: Sequence,
        received: &ClockReading,
        origin: &Origin,
        accepted: &PlacedEvent,
    ) -> Result<(), RowsError> {
        (self.clock, self.late) = (*received, Some(of));
        self.accepted(origin, accepted)
    }

    /// Applies the event of a payload that was lost and came back.
    pub(crate) fn apply_readmitted(&mut self, origin: &Origin, accepted: &PlacedEvent) -> Result<(), RowsError> {
        (self.late, self.readmitted) = (Some(self.sequence), true);
        self.accepted(origin, accepted)
    }
}
