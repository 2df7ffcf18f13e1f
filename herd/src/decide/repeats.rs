//! Duplicates: a payload received again, over another radio or from a reader that got no answer.

use super::texts::TextEntry;
use super::{History, Judge, Verdict};
use crate::change::RejectedPayload;
use crate::fold::{Rows, RowsError};
use crate::payload::{Event, EventId, Rejection};
use crate::position::Sequence;
use crate::tables::{EventIdBlock, RejectionHour, event_id_key};

/// Maximum number of texts that one change forgets. More than one, so that those of a burst are forgotten in time.
const FORGOTTEN_PER_CHANGE: usize = 4;

impl<R: Rows> Judge<'_, R> {
    /// Checks an event against what is recorded: by its id, or by its text if it has no id.
    pub(super) fn repeated_event(
        &self,
        history: &impl History,
        event: &Event,
        text: &[u8],
    ) -> Result<Option<Verdict>, RowsError> {
        let Some(id) = &event.id else {
            return Ok(self.repeated_text(history, text).map(|of| Verdict::Duplicate { of }));
        };
        let Some(of) = self.payload_with_id(&self.origin.reader_group, self.origin.reader_era, id)? else {
            return Ok(None);
        };
        if history.received_at(of)?.is_some_and(|kept| kept.text() == text) {
            return Ok(Some(Verdict::Duplicate { of }));
        }
        let reason = Rejection::EventIdReused { of: of.0 };
        Ok(Some(Verdict::Rejected(RejectedPayload { reason, event_id: Some(id.clone()) })))
    }

    /// Returns the payload that has this event id.
    pub(super) fn payload_with_id(&self, group: &str, era: u32, id: &EventId) -> Result<Option<Sequence>, RowsError> {
        let (key, slot) = event_id_key(group, era, id);
        Ok(self.rows.shared::<EventIdBlock>(&key)?.and_then(|block| block.get(slot)))
    }

    /// Returns the change that recorded this text within the repeat window.
    pub(super) fn repeated_text(&self, history: &impl History, text: &[u8]) -> Option<Sequence> {
        history.recent_texts().find(text).filter(|kept| !self.is_past(kept)).map(|kept| kept.sequence)
    }

    /// Returns the last of the oldest texts that are past the window; 0 if there are none.
    pub(super) fn past_texts(&self, history: &impl History) -> Sequence {
        let past = history.recent_texts().oldest().take(FORGOTTEN_PER_CHANGE).take_while(|kept| self.is_past(kept));
        past.last().map_or(Sequence::ZERO, |kept| kept.sequence)
    }

    /// Returns whether the window of a text is over. After a reboot it always is: times since boot cannot be compared then.
    fn is_past(&self, kept: &TextEntry) -> bool {
        kept.boot != self.clock.boot
            || self.clock.since_boot_ms.saturating_sub(kept.since_boot_ms) >= self.rules.repeat_window_ms
    }

    /// Returns whether the channel has used up its rejections of this hour.
    pub(super) fn is_above_limit(&self) -> Result<bool, RowsError> {
        let row: Option<RejectionHour> = self.rows.read(&self.origin.channel.as_str().into())?;
        let hour = self.clock.since_boot_ms / crate::fold::HOUR_MS;
        Ok(row.is_some_and(|row| {
            (row.boot, row.hour) == (self.clock.boot, hour) && row.count >= self.rules.rejections_per_hour
        }))
    }
}
