//! Event counters of readers, and the gaps in them.
//!
//! Readers number their events. A number that is missing between the lowest and the highest one heard is an event that
//! the barn never received. Numbers are unique within a reader group and era, because a replaced reader counts from 1
//! again. Below the lowest number nothing is missing: the reader may have counted elsewhere before. A rejected event
//! counts as heard.

use super::page::cut;
use super::{Page, PageLimit, QueryError, readable};
use crate::clock::WallTime;
use crate::fold::{KeyRange, Rows, RowsError, decode};
use crate::position::Sequence;
use crate::store::Snapshot;
use crate::tables::{
    Counter, EventIdBlock, Gap, Key, Table, after_key, event_number_key, gap_key, missed_in, reader_key,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Number of digits of the event ids that readers send.
const USUAL_DIGITS: u8 = 6;
/// Maximum number of digits of an event id that is looked for.
const MAX_DIGITS: u8 = 12;

/// Range of event numbers that were never heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapView {
    /// Readers that share event ids and lids.
    pub reader_group: String,
    /// Era of those readers, which counts their replacements and resets.
    pub reader_era: u32,
    /// Letters of the event ids that it counts, such as `hxbind`.
    pub counter: String,
    /// First number of the range.
    pub first: u64,
    /// Last number of the range.
    pub last: u64,
    /// Count of numbers in the range; 0 if it is a leap.
    pub missed: u64,
    /// `true` if the counter leapt over more numbers than could have been missed.
    pub is_leap: bool,
    /// Text for people, such as `118-120 never heard`.
    pub text: String,
}

/// A read that was heard beside a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeardRead {
    /// Change that holds it.
    pub sequence: Sequence,
    /// Arrival by the barn's clock, ISO 8601 in UTC; `None` if that clock had never been set.
    pub received_at: Option<String>,
    /// `true` if that clock followed a time source at that time.
    pub clock_synchronized: bool,
}

/// Lowest and highest number heard of one event counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CounterView {
    /// Readers that share event ids and lids.
    pub reader_group: String,
    /// Era of those readers, which counts their replacements and resets.
    pub reader_era: u32,
    /// Letters of the event ids that it counts, such as `hxbind`.
    pub counter: String,
    /// Lowest number heard. Numbers below it do not count as missing.
    pub lowest: u64,
    /// Highest number heard.
    pub highest: u64,
}

/// Cursor of a list of counters, written as `main/1/hxbind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterCursor {
    reader_group: String,
    reader_era: u32,
    counter: String,
}

/// Cursor of a list of gaps, written as `main/1/hxbind/118`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapCursor {
    of: CounterCursor,
    first: u64,
}

impl CounterCursor {
    fn key(&self) -> Key {
        reader_key(&self.reader_group, self.reader_era, &self.counter)
    }

    /// Decodes a key that [`reader_key`] encoded: `length, group, era, counter name`.
    pub(super) fn from_key(table: Table, key: &[u8]) -> Result<Self, RowsError> {
        let parts = || {
            let (length, rest) = key.split_first()?;
            let (group, rest) = rest.split_at_checked(usize::from(*length))?;
            let (era, counter) = rest.split_first_chunk::<4>()?;
            Some(Self {
                reader_group: String::from_utf8_lossy(group).into_owned(),
                reader_era: u32::from_be_bytes(*era),
                counter: String::from_utf8_lossy(counter).into_owned(),
            })
        };
        parts().ok_or_else(|| damaged(table, key))
    }

    /// Returns the reader group and era.
    pub(super) fn reader(self) -> (String, u32) {
        (self.reader_group, self.reader_era)
    }
}

impl GapCursor {
    /// Returns the cursor of a row, and the last number of its gap.
    fn of_row(key: &[u8], Gap(first): Gap) -> Result<(Self, u64), RowsError> {
        let (of, last) = key.split_last_chunk().ok_or_else(|| damaged(Table::Gaps, key))?;
        Ok((Self { of: CounterCursor::from_key(Table::Gaps, of)?, first }, u64::from_be_bytes(*last)))
    }
}

fn damaged(table: Table, key: &[u8]) -> RowsError {
    RowsError::Damaged { table: table.name(), key: hex::encode(key) }
}

impl fmt::Display for CounterCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.reader_group, self.reader_era, self.counter)
    }
}

impl fmt::Display for GapCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.of, self.first)
    }
}

impl FromStr for CounterCursor {
    type Err = QueryError;

    /// Parses from the right, because the name of a reader group may contain a `/`.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let parts = || {
            let (rest, counter) = text.rsplit_once('/')?;
            let (group, era) = rest.rsplit_once('/')?;
            Some(Self { reader_group: group.to_owned(), reader_era: era.parse().ok()?, counter: counter.to_owned() })
        };
        parts().ok_or_else(|| QueryError::invalid_cursor(text))
    }
}

impl FromStr for GapCursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let (of, first) = text.rsplit_once('/').ok_or_else(|| QueryError::invalid_cursor(text))?;
        Ok(Self { of: of.parse()?, first: first.parse().map_err(|_| QueryError::invalid_cursor(text))? })
    }
}

impl Serialize for CounterCursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for GapCursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CounterCursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for GapCursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Snapshot {
    /// Returns gaps by reader group, era, counter and number, starting after `after`.
    pub fn gaps(&self, after: Option<&GapCursor>, limit: PageLimit) -> Result<Page<GapView, GapCursor>, QueryError> {
        let from = after.map_or_else(Key::new, |cursor| {
            let CounterCursor { reader_group, reader_era, counter } = &cursor.of;
            gap_key(reader_group, *reader_era, counter, cursor.first)
        });
        // One more, because the gap of the cursor itself may be the first.
        let range = KeyRange { from: &from, to: None, backwards: false, limit: limit.entries() + 2 };
        let mut found = Vec::new();
        for (key, value) in self.range(Table::Gaps, range)? {
            let (cursor, last) = GapCursor::of_row(&key, decode(&key, &value)?)?;
            if after.is_none_or(|after| after.of != cursor.of || after.first < cursor.first) {
                found.push((GapView::new(&cursor, last), cursor));
            }
        }
        cut(found, limit, |(_, cursor)| cursor.clone()).try_map(|(gap, _)| Ok(gap))
    }

    /// Returns the reads before and after each gap, by which people know when the missed ones were made. `None` for one that
    /// is not found.
    pub fn gap_neighbors(&self, gaps: &[GapView]) -> Result<Vec<[Option<HeardRead>; 2]>, QueryError> {
        let mut reads = HeardReads { snapshot: self, digits: USUAL_DIGITS, block: None, read: None };
        let mut find = |gap: &GapView, number: Option<u64>| number.map_or(Ok(None), |number| reads.find(gap, number));
        let neighbors = |gap| Ok([find(gap, gap.first.checked_sub(1))?, find(gap, gap.last.checked_add(1))?]);
        gaps.iter().map(neighbors).collect()
    }

    /// Returns event counters by reader group, era and name, starting after `after`.
    pub fn counters(
        &self,
        after: Option<&CounterCursor>,
        limit: PageLimit,
    ) -> Result<Page<CounterView, CounterCursor>, QueryError> {
        let from = after.map_or_else(Key::new, |cursor| after_key(&cursor.key()));
        let range = KeyRange { from: &from, to: None, backwards: false, limit: limit.entries() + 1 };
        let mut found = Vec::new();
        for (key, value) in self.range(Table::Counters, range)? {
            let cursor = CounterCursor::from_key(Table::Counters, &key)?;
            let Counter { lowest, highest } = decode(&key, &value)?;
            found.push((cursor, lowest, highest));
        }
        cut(found, limit, |(cursor, ..)| cursor.clone()).try_map(|(cursor, lowest, highest)| {
            let CounterCursor { reader_group, reader_era, counter } = cursor;
            Ok(CounterView { reader_group, reader_era, counter, lowest, highest })
        })
    }
}

/// Reads by their event numbers. Gaps that follow each other have neighbors in common, so the last finds are kept.
struct HeardReads<'a> {
    snapshot: &'a Snapshot,
    /// Number of digits of the number that was found last. Counters do not tell it, and readers write all with the same.
    digits: u8,
    block: Option<(Key, EventIdBlock)>,
    read: Option<HeardRead>,
}

impl HeardReads<'_> {
    /// Returns the read with a number of the counter of a gap.
    fn find(&mut self, gap: &GapView, number: u64) -> Result<Option<HeardRead>, QueryError> {
        let shortest = u8::try_from(number.to_string().len()).unwrap_or(u8::MAX);
        let last = self.digits;
        let lengths = std::iter::once(last).chain((1..=MAX_DIGITS).filter(|digits| *digits != last));
        for digits in lengths.filter(|digits| *digits >= shortest) {
            let (key, slot) =
                event_number_key(&gap.reader_group, gap.reader_era, (gap.counter.as_str(), digits), number);
            if let Some(sequence) = self.block(key)?.get(slot) {
                self.digits = digits;
                return self.read(sequence).map(Some);
            }
        }
        Ok(None)
    }

    fn block(&mut self, key: Key) -> Result<&EventIdBlock, QueryError> {
        let block = match self.block.take() {
            Some((last, block)) if last == key => block,
            _ => self.snapshot.read(&key)?.unwrap_or_default(),
        };
        Ok(&self.block.insert((key, block)).1)
    }

    fn read(&mut self, sequence: Sequence) -> Result<HeardRead, QueryError> {
        if let Some(read) = self.read.as_ref().filter(|read| read.sequence == sequence) {
            return Ok(read.clone());
        }
        let at = self.snapshot.known_time(sequence, || readable(self.snapshot.happened_at(sequence)))?;
        let received_at = at.and_then(WallTime::iso_utc);
        let read = HeardRead { sequence, received_at, clock_synchronized: at.is_some_and(|at| at.synchronized) };
        Ok(self.read.insert(read).clone())
    }
}

impl GapView {
    fn new(cursor: &GapCursor, last: u64) -> Self {
        let first = cursor.first;
        let CounterCursor { reader_group, reader_era, counter } = cursor.of.clone();
        let missed = missed_in(first, last);
        let text = match (missed, last.saturating_add(1)) {
            (0, next) => format!("leapt from {} to {next}: not counted as missed", first.saturating_sub(1)),
            (1, _) => format!("{first} never heard"),
            _ => format!("{first}-{last} never heard"),
        };
        Self { reader_group, reader_era, counter, first, last, missed, is_leap: missed == 0, text }
    }
}
