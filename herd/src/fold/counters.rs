//! Event counters of readers, and the gaps in them, which show missed reads.
//!
//! Below the lowest counter that was received nothing counts as missing, because the reader may have counted elsewhere
//! before it came here. A gap of more than [`MAX_MISSED_EVENTS`](crate::tables::MAX_MISSED_EVENTS) is a leap of the counter,
//! which a reader makes that was set anew. It is kept and shown, but none of its counters counts as missing.

use super::{Folding, KeyRange, Rows, RowsError, decode};
use crate::change::Origin;
use crate::payload::EventId;
use crate::position::Sequence;
use crate::tables::{
    Collisions, Counter, EventIdBlock, Gap, Key, Table, after_key, event_id_key, gap_key, missed_in, number_at_end,
    reader_key,
};

impl<B: Rows> Folding<'_, B> {
    /// Records that the payload `of` has this event id.
    pub(super) fn occupy_event_id(&mut self, origin: &Origin, id: &EventId, of: Sequence) -> Result<(), RowsError> {
        let (key, slot) = event_id_key(&origin.reader_group, origin.reader_era, id);
        self.rows.edit_or_default(key, |block: &mut EventIdBlock| block.set(slot, of))
    }

    /// Counts an event id that came again with other content, as the ids of a replaced reader do.
    pub(super) fn count_collision(&mut self, origin: &Origin) -> Result<(), RowsError> {
        let key = reader_key(&origin.reader_group, origin.reader_era, "");
        let last = self.sequence;
        self.rows.edit_or_default(key, |row: &mut Collisions| {
            let first = if row.count == 0 { last } else { row.first };
            *row = Collisions { count: row.count.saturating_add(1), first, last };
        })
    }

    /// Records that an event id was received, also if its payload is rejected.
    pub(super) fn count_event_id(&mut self, origin: &Origin, id: &EventId) -> Result<(), RowsError> {
        let name = id.counter_name();
        let key = reader_key(&origin.reader_group, origin.reader_era, name);
        let gap_at = |last| gap_key(&origin.reader_group, origin.reader_era, name, last);
        let received = id.counter;
        let Some(counter) = self.rows.read::<Counter>(&key)? else {
            return self.rows.write(key, Counter { lowest: received, highest: received });
        };
        if received > counter.highest {
            self.open_gap(&gap_at, counter.highest + 1, received - 1)?;
            self.rows.write(key, Counter { highest: received, ..counter })
        } else if received < counter.lowest {
            self.open_gap(&gap_at, received + 1, counter.lowest - 1)?;
            self.rows.write(key, Counter { lowest: received, ..counter })
        } else {
            self.close_gap(&gap_at, received)
        }
    }

    /// Records the counters `first..=last` as missing. Does nothing if `first` is above `last`.
    fn open_gap(&mut self, gap_at: &impl Fn(u64) -> Key, first: u64, last: u64) -> Result<(), RowsError> {
        if first > last {
            return Ok(());
        }
        self.totals.missed_events = self.totals.missed_events.saturating_add(missed_in(first, last));
        self.rows.write(gap_at(last), Gap(first))
    }

    /// Removes a counter that came late from its gap, which is split, shortened or removed.
    fn close_gap(&mut self, gap_at: &impl Fn(u64) -> Key, received: u64) -> Result<(), RowsError> {
        let Some((first, last)) = self.gap_around(gap_at, received)? else { return Ok(()) };
        self.remove_gap(gap_at, first, last)?;
        if first < received {
            self.open_gap(gap_at, first, received - 1)?;
        }
        if received < last { self.open_gap(gap_at, received + 1, last) } else { Ok(()) }
    }

    /// Removes the record that the counters `first..=last` are missing.
    fn remove_gap(&mut self, gap_at: &impl Fn(u64) -> Key, first: u64, last: u64) -> Result<(), RowsError> {
        self.totals.missed_events = self.totals.missed_events.saturating_sub(missed_in(first, last));
        self.rows.remove::<Gap>(gap_at(last))
    }

    /// Returns the first and the last counter of the gap in which this one lies, if there is one.
    fn gap_around(&self, gap_at: &impl Fn(u64) -> Key, counter: u64) -> Result<Option<(u64, u64)>, RowsError> {
        let (from, to) = (gap_at(counter), after_key(&gap_at(u64::MAX)));
        let range = KeyRange { from: &from, to: Some(&to), backwards: false, limit: 1 };
        let Some((key, value)) = self.rows.range(Table::Gaps, range)?.pop() else { return Ok(None) };
        let Gap(first) = decode(&key, &value)?;
        let last = number_at_end(&key).unwrap_or(counter);
        Ok((first <= counter && key.len() == from.len()).then_some((first, last)))
    }

    /// Takes back that the payload `of` was received under this event id. Does nothing if the id is another payload's.
    pub(super) fn take_back_event_id(&mut self, origin: &Origin, id: &EventId, of: Sequence) -> Result<(), RowsError> {
        let (key, slot) = event_id_key(&origin.reader_group, origin.reader_era, id);
        let block = self.rows.shared::<EventIdBlock>(&key)?;
        match block.as_ref().and_then(|block| block.get(slot)) {
            Some(owner) if owner != of => return Ok(()),
            Some(_) if block.is_some_and(|block| block.iter().count() == 1) => {
                self.rows.remove::<EventIdBlock>(key)?;
            }
            Some(_) => drop(self.rows.edit(key, |block: &mut EventIdBlock| block.remove(slot))?),
            None => {}
        }
        self.discount_event_id(origin, id)
    }

    /// Removes a counter from those that were received: the inverse of [`count_event_id`](Self::count_event_id).
    fn discount_event_id(&mut self, origin: &Origin, id: &EventId) -> Result<(), RowsError> {
        let name = id.counter_name();
        let key = reader_key(&origin.reader_group, origin.reader_era, name);
        let gap_at = |last| gap_key(&origin.reader_group, origin.reader_era, name, last);
        let counter = id.counter;
        let Some(Counter { lowest, highest }) = self.rows.read::<Counter>(&key)? else { return Ok(()) };
        if !(lowest..=highest).contains(&counter) || self.gap_around(&gap_at, counter)?.is_some() {
            return Ok(());
        }
        if lowest == highest {
            return self.rows.remove::<Counter>(key);
        }
        let below = if counter > lowest { self.gap_around(&gap_at, counter - 1)? } else { None };
        let above = if counter < highest { self.gap_around(&gap_at, counter + 1)? } else { None };
        for (first, last) in [below, above].into_iter().flatten() {
            self.remove_gap(&gap_at, first, last)?;
        }
        let first = below.map_or(counter, |(first, _)| first);
        let last = above.map_or(counter, |(_, last)| last);
        if counter > lowest && counter < highest {
            return self.open_gap(&gap_at, first, last);
        }
        // Below the lowest counter and above the highest one nothing is missing.
        let rest = if counter == lowest {
            Counter { lowest: last.saturating_add(1), highest }
        } else {
            Counter { lowest, highest: first.saturating_sub(1) }
        };
        self.rows.write(key, rest)
    }
}
