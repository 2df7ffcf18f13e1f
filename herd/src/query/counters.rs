//! Event counters: up to where each was heard, and what of it never was.

use super::page::cut;
use super::{Page, PageLimit, QueryError};
use crate::fold::{KeyRange, Rows, RowsError, decode};
use crate::store::Snapshot;
use crate::tables::{Counter, Key, Table, after_key, gap_key, number_at_end, reader_key};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Counters that were passed over and never heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapView {
    /// The readers that share the count.
    pub reader_group: String,
    /// Which replacement or counter reset of them.
    pub reader_era: u32,
    /// What is counted: the letters of the event ids, `hxbind`.
    pub counter: String,
    /// The first that was never heard.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// How many.
    pub missed: u64,
    /// As people say it: `118-120 never heard`.
    pub text: String,
}

/// How far one event counter was heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CounterView {
    /// The readers that share the count.
    pub reader_group: String,
    /// Which replacement or counter reset of them.
    pub reader_era: u32,
    /// What is counted: the letters of the event ids, `hxbind`.
    pub counter: String,
    /// The lowest heard; below it nothing is said to be missing.
    pub lowest: u64,
    /// The highest heard.
    pub highest: u64,
}

/// The place of a counter in their list. Reads as `main/1/hxbind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterCursor {
    reader_group: String,
    reader_era: u32,
    counter: String,
}

/// The place of a gap in their list. Reads as `main/1/hxbind/118`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapCursor {
    of: CounterCursor,
    first: u64,
}

impl CounterCursor {
    fn key(&self) -> Key {
        reader_key(&self.reader_group, self.reader_era, &self.counter)
    }

    /// `length, group, era, counter name`: what [`reader_key`] writes.
    pub(super) fn in_key(table: Table, key: &[u8]) -> Result<Self, RowsError> {
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
}

impl CounterCursor {
    /// Group and era.
    pub(super) fn reader(self) -> (String, u32) {
        (self.reader_group, self.reader_era)
    }
}

impl GapCursor {
    fn in_key(table: Table, key: &[u8]) -> Result<Self, RowsError> {
        let of = key.len().checked_sub(size_of::<u64>()).map(|end| &key[..end]).ok_or_else(|| damaged(table, key))?;
        Ok(Self { of: CounterCursor::in_key(table, of)?, first: number_at_end(key).unwrap_or_default() })
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

    /// From the right: the name of a reader group may hold a `/`.
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
    /// Counters that were never heard, by reader group, era, counter and number, from above `after`.
    pub fn gaps(&self, after: Option<&GapCursor>, limit: PageLimit) -> Result<Page<GapView, GapCursor>, QueryError> {
        let from = after.map_or_else(Key::new, |place| {
            let CounterCursor { reader_group, reader_era, counter } = &place.of;
            after_key(&gap_key(reader_group, *reader_era, counter, place.first))
        });
        let range = KeyRange { from: &from, to: None, backwards: false, limit: limit.entries() + 1 };
        let mut found = Vec::new();
        for (key, value) in self.range(Table::Gaps, range)? {
            let place = GapCursor::in_key(Table::Gaps, &key)?;
            found.push((GapView::new(&place, decode(Table::Gaps, &key, &value)?), place));
        }
        cut(found, limit, |(_, place)| place.clone()).try_map(|(gap, _)| Ok(gap))
    }

    /// Event counters, by reader group, era and name, from above `after`.
    pub fn counters(
        &self,
        after: Option<&CounterCursor>,
        limit: PageLimit,
    ) -> Result<Page<CounterView, CounterCursor>, QueryError> {
        let from = after.map_or_else(Key::new, |place| after_key(&place.key()));
        let range = KeyRange { from: &from, to: None, backwards: false, limit: limit.entries() + 1 };
        let mut found = Vec::new();
        for (key, value) in self.range(Table::Counters, range)? {
            let place = CounterCursor::in_key(Table::Counters, &key)?;
            let Counter { lowest, highest } = decode(Table::Counters, &key, &value)?;
            found.push((place, lowest, highest));
        }
        cut(found, limit, |(place, ..)| place.clone()).try_map(|(place, lowest, highest)| {
            let CounterCursor { reader_group, reader_era, counter } = place;
            Ok(CounterView { reader_group, reader_era, counter, lowest, highest })
        })
    }
}

impl GapView {
    fn new(place: &GapCursor, last: u64) -> Self {
        let first = place.first;
        let CounterCursor { reader_group, reader_era, counter } = place.of.clone();
        let text = if first == last { format!("{first} never heard") } else { format!("{first}-{last} never heard") };
        Self {
            reader_group,
            reader_era,
            counter,
            first,
            last,
            missed: last.saturating_sub(first).saturating_add(1),
            text,
        }
    }
}
