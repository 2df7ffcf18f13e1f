//! Event counters of readers, and the gaps in them, which show missed reads.
//!
//! Below the lowest counter that was received nothing counts as missing, because the reader may have counted elsewhere
//! before it came here.

use super::{Folding, KeyRange, Rows, RowsError};
use crate::change::Origin;
use crate::payload::EventId;
use crate::position::Sequence;
use crate::tables::{Collisions, Counter, Table, gap_key, number_at_end, reader_key};

impl<B: Rows> Folding<'_, B> {
    /// Records that the payload `of` has this event id.
    pub(super) fn occupy_event_id(&mut self, origin: &Origin, id: &EventId, of: Sequence) {
        let key = reader_key(&origin.reader_group, origin.reader_era, &id.text);
        self.rows.write(Table::EventIds, key, &of);
    }

    /// Counts an event id that came again with other content, as the ids of a replaced reader do.
    pub(super) fn count_collision(&mut self, origin: &Origin) -> Result<(), RowsError> {
        let key = reader_key(&origin.reader_group, origin.reader_era, "");
        let before: Collisions = self.rows.read(Table::Collisions, &key)?.unwrap_or_default();
        let collisions = Collisions { count: before.count.saturating_add(1), last: self.sequence };
        self.rows.write(Table::Collisions, key, &collisions);
        Ok(())
    }

    /// Records that an event id was received, also if its payload is rejected.
    pub(super) fn count_event_id(&mut self, origin: &Origin, id: &EventId) -> Result<(), RowsError> {
        let name = id.counter_name();
        let key = reader_key(&origin.reader_group, origin.reader_era, name);
        let gap_at = |first| gap_key(&origin.reader_group, origin.reader_era, name, first);
        let received = id.counter;
        let Some(counter) = self.rows.read::<Counter>(Table::Counters, &key)? else {
            self.rows.write(Table::Counters, key, &Counter { lowest: received, highest: received });
            return Ok(());
        };
        if received > counter.highest {
            self.open_gap(&gap_at, counter.highest + 1, received - 1);
            self.rows.write(Table::Counters, key, &Counter { highest: received, ..counter });
        } else if received < counter.lowest {
            self.open_gap(&gap_at, received + 1, counter.lowest - 1);
            self.rows.write(Table::Counters, key, &Counter { lowest: received, ..counter });
        } else {
            self.close_gap(&gap_at, received)?;
        }
        Ok(())
    }

    /// Records the counters `first..=last` as missing. Does nothing if `first` is above `last`.
    fn open_gap(&mut self, gap_at: &impl Fn(u64) -> Vec<u8>, first: u64, last: u64) {
        if first <= last {
            self.rows.write(Table::Gaps, gap_at(first), &last);
            // Wrapping, here and in `close_gap`: counters that jump across the 64 bits can make the sum overflow for a
            // while. It must then return to the sum of the gaps.
            self.totals.missed_events = self.totals.missed_events.wrapping_add(last - first + 1);
        }
    }

    /// Removes a counter that came late from its gap, which is split, shortened or removed.
    fn close_gap(&mut self, gap_at: &impl Fn(u64) -> Vec<u8>, received: u64) -> Result<(), RowsError> {
        let up_to_received = KeyRange {
            from: &gap_at(0),
            to: Some(&crate::tables::after_key(&gap_at(received))),
            backwards: true,
            limit: 1,
        };
        let below = self.rows.range(Table::Gaps, up_to_received)?.pop();
        let Some((key, value)) = below else { return Ok(()) };
        let last: u64 = super::decode(Table::Gaps, &key, &value)?;
        let first = number_at_end(&key).unwrap_or(received);
        if last < received {
            return Ok(());
        }
        self.rows.remove(Table::Gaps, key);
        self.totals.missed_events = self.totals.missed_events.wrapping_sub(last - first + 1);
        if first < received {
            self.open_gap(gap_at, first, received - 1);
        }
        if received < last {
            self.open_gap(gap_at, received + 1, last);
        }
        Ok(())
    }
}
