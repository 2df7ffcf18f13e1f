//! Look-up rows of texts that no event id identifies, and the number of rejections in the current hour.

use super::{Folding, KeyRange, Rows, RowsError, decode};
use crate::position::Sequence;
use crate::tables::{RejectionHour, Table, TextEntry, number_in, sequence_key};
use sha2::{Digest as _, Sha256};

/// One hour of time since boot, milliseconds.
pub(crate) const HOUR_MS: u64 = 3_600_000;

impl<B: Rows> Folding<'_, B> {
    /// Records the text, so that a repeat of it within the repeat window is a duplicate of this change.
    pub(super) fn remember_text(&mut self, text: &[u8]) {
        let hash: [u8; 32] = Sha256::digest(text).into();
        let kept = TextEntry { hash, boot: self.clock.boot, since_boot_ms: self.clock.since_boot_ms };
        self.rows.write(Table::Texts, hash.to_vec(), &self.sequence);
        self.rows.write(Table::TextOrder, sequence_key(self.sequence), &kept);
    }

    /// Removes the rows of texts recorded up to `through`, unless the same text was recorded again since.
    pub(super) fn forget_texts(&mut self, through: Sequence) -> Result<(), RowsError> {
        if through <= self.totals.texts_forgotten {
            return Ok(());
        }
        let from = sequence_key(self.totals.texts_forgotten.next());
        let to = sequence_key(through.next());
        let past = KeyRange { from: &from, to: Some(&to), backwards: false, limit: usize::MAX };
        self.totals.texts_forgotten = through;
        for (key, value) in self.rows.range(Table::TextOrder, past)? {
            let kept: TextEntry = decode(Table::TextOrder, &key, &value)?;
            let last: Option<Sequence> = self.rows.read(Table::Texts, &kept.hash)?;
            if last.map(|sequence| sequence.0) == number_in(&key) {
                self.rows.remove(Table::Texts, kept.hash.to_vec());
            }
            self.rows.remove(Table::TextOrder, key);
        }
        Ok(())
    }

    /// Counts a recorded rejection of `channel` in the current hour since boot.
    pub(super) fn count_rejection(&mut self, channel: &str) -> Result<(), RowsError> {
        let now = RejectionHour { boot: self.clock.boot, hour: self.clock.since_boot_ms / HOUR_MS, count: 0 };
        let before = self.rows.read::<RejectionHour>(Table::RejectionHours, channel.as_bytes())?;
        let same_hour = before.filter(|row| (row.boot, row.hour) == (now.boot, now.hour));
        let count = same_hour.map_or(0, |row| row.count).saturating_add(1);
        self.rows.write(Table::RejectionHours, channel.as_bytes().to_vec(), &RejectionHour { count, ..now });
        Ok(())
    }
}
