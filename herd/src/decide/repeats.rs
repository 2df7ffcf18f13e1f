//! Duplicates: a payload received again, over another radio or from a reader that got no answer.

use super::{History, Judge, Verdict};
use crate::change::RejectedPayload;
use crate::fold::{KeyRange, Rows, RowsError, TOTALS_KEY, decode};
use crate::payload::{Event, Rejection};
use crate::position::Sequence;
use crate::tables::{RejectionHour, Table, TextEntry, Totals, number_in, reader_key, sequence_key};
use sha2::{Digest as _, Sha256};

/// Maximum number of look-up rows that one change removes. More than one, so that the rows of a burst are removed in time.
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
            return Ok(self.repeated_text(text)?.map(|of| Verdict::Duplicate { of }));
        };
        let key = reader_key(&self.origin.reader_group, self.origin.reader_era, &id.text);
        let Some(of) = self.rows.read::<Sequence>(Table::EventIds, &key)? else { return Ok(None) };
        if history.received_at(of)?.is_some_and(|kept| kept.text() == text) {
            return Ok(Some(Verdict::Duplicate { of }));
        }
        let reason = Rejection::EventIdReused { of: of.0 };
        Ok(Some(Verdict::Rejected(RejectedPayload { reason, event_id: Some(id.clone()) })))
    }

    /// Returns the change that recorded this text within the repeat window.
    pub(super) fn repeated_text(&self, text: &[u8]) -> Result<Option<Sequence>, RowsError> {
        let hash = Sha256::digest(text);
        let Some(of) = self.rows.read::<Sequence>(Table::Texts, &hash)? else { return Ok(None) };
        let kept: Option<TextEntry> = self.rows.read(Table::TextOrder, &sequence_key(of))?;
        Ok(kept.filter(|kept| !self.is_past(kept)).map(|_| of))
    }

    /// Returns the last of the oldest look-up rows that are past the window; 0 if there are none.
    pub(super) fn past_texts(&self) -> Result<Sequence, RowsError> {
        let totals: Totals = self.rows.read(Table::Totals, &TOTALS_KEY)?.unwrap_or_default();
        let from = sequence_key(totals.texts_forgotten.next());
        let oldest = KeyRange { from: &from, to: None, backwards: false, limit: FORGOTTEN_PER_CHANGE };
        let mut through = Sequence::ZERO;
        for (key, value) in self.rows.range(Table::TextOrder, oldest)? {
            let kept: TextEntry = decode(Table::TextOrder, &key, &value)?;
            if !self.is_past(&kept) {
                break;
            }
            through = Sequence(number_in(&key).unwrap_or_default());
        }
        Ok(through)
    }

    /// Returns whether the window of a text is over. After a reboot it always is: times since boot cannot be compared then.
    fn is_past(&self, kept: &TextEntry) -> bool {
        kept.boot != self.clock.boot
            || self.clock.since_boot_ms.saturating_sub(kept.since_boot_ms) >= self.rules.repeat_window_ms
    }

    /// Returns whether the channel has used up its rejections of this hour.
    pub(super) fn is_above_limit(&self) -> Result<bool, RowsError> {
        let row: Option<RejectionHour> = self.rows.read(Table::RejectionHours, self.origin.channel.as_bytes())?;
        let hour = self.clock.since_boot_ms / crate::fold::HOUR_MS;
        Ok(row.is_some_and(|row| {
            (row.boot, row.hour) == (self.clock.boot, hour) && row.count >= self.rules.rejections_per_hour
        }))
    }
}
