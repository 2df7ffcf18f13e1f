//! Cache of the row of the log that was read last.
//!
//! Queries look up changes side by side: a page of payloads is fifty of one row. A row of 256 KiB does not stay in redb's
//! page cache once that is full, because redb makes room within one of its 131 slots, which then holds this page alone.
//! Without this cache, each of the 50 look-ups of a page would read the whole row from the file again.

use super::row::RowReader;
use crate::position::Sequence;
use redb::AccessGuard;
use std::cell::Cell;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The bytes of a row, wherever they are.
pub(super) enum RowBytes {
    /// In a page of `log.redb`.
    Body(AccessGuard<'static, &'static [u8]>),
    /// In memory.
    Tail(Arc<[u8]>),
}

impl RowBytes {
    /// Returns whether the bytes need no check: they were laid in memory, or checked when the journal was read.
    pub(super) fn are_trusted(&self) -> bool {
        matches!(self, Self::Tail(_))
    }
}

impl Deref for RowBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Body(page) => page.value(),
            Self::Tail(bytes) => bytes,
        }
    }
}

/// A row, with the ranges of its changes.
pub(super) struct CachedRow {
    first: Sequence,
    last: Sequence,
    bytes: RowBytes,
    places: Vec<Range<usize>>,
    /// The row was found to be intact.
    is_checked: Cell<bool>,
}

impl CachedRow {
    /// Returns `None` if the bytes are not a row.
    pub(super) fn new(first: Sequence, bytes: RowBytes) -> Option<Self> {
        let row = RowReader::new(first, &bytes)?;
        let (last, places) = (row.last(), row.places());
        Some(Self { first, last, bytes, places, is_checked: Cell::new(false) })
    }

    /// Returns whether the row holds what was written to it. Its changes are hashed at the first call.
    pub(super) fn is_intact(&self) -> bool {
        if !self.is_checked.get() {
            self.is_checked.set(self.bytes.are_trusted() || self.reader().is_some_and(|row| row.is_intact()));
        }
        self.is_checked.get()
    }

    /// Returns the first change.
    pub(super) fn first(&self) -> Sequence {
        self.first
    }

    pub(super) fn holds(&self, sequence: Sequence) -> bool {
        (self.first..=self.last).contains(&sequence)
    }

    /// Returns a reader of the row.
    pub(super) fn reader(&self) -> Option<RowReader<'_>> {
        RowReader::new(self.first, &self.bytes)
    }

    /// Returns the stored bytes of a change of this row.
    pub(super) fn change(&self, sequence: Sequence) -> Option<&[u8]> {
        let index = sequence.0.checked_sub(self.first.0).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.places.get(index).cloned());
        place.and_then(|place| self.bytes.get(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Origin;
    use crate::clock::{ClockReading, RawReading};
    use crate::decide::Rules;
    use crate::position::StoreId;
    use crate::store::{Incoming, MemoryDisk, Store};

    /// Makes rows of one change and of several, and a commit of more than one row.
    fn store() -> Store {
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let mut store =
            Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([7; 16])).unwrap();
        let mut tags = 0..;
        for length in [1, 7, 1, 1_200, 1] {
            let incoming = |tag| {
                let raw = format!("hxb:LOT:LF{tag}:UHF{tag}").into_bytes();
                Incoming { raw, origin: Origin::default(), at: RawReading::default() }
            };
            let group: Vec<_> = tags.by_ref().take(length).map(incoming).collect();
            store.append(&group).unwrap();
        }
        store
    }

    #[test]
    fn changes_are_found_in_any_order_and_nothing_past_the_head() {
        let store = store();
        let (reader, head) = (store.reader(), store.head().position.sequence.0);
        let run = reader.run_after(reader.position_at(Sequence::ZERO).unwrap().unwrap(), 10_000, 10_000_000).unwrap();
        assert_eq!((run.changes.len() as u64, head), (head, 1_211));
        let snapshot = reader.snapshot().unwrap();
        // 401 is coprime to the head: each change comes once in leaps from row to row, and then once in order.
        for step in 0..head * 2 {
            let sequence = if step < head { step * 401 % head + 1 } else { step - head + 1 };
            let expected = run.changes.get(usize::try_from(sequence - 1).unwrap());
            assert_eq!(snapshot.change_bytes(Sequence(sequence)).unwrap().as_deref(), expected, "{sequence}");
        }
        for beyond in [0, head + 1, head + 999, head + 1_000, head + 5_000, u64::MAX] {
            assert_eq!(snapshot.change_bytes(Sequence(beyond)).unwrap(), None, "{beyond}");
        }
        let digest = |sequence| reader.position_at(Sequence(sequence)).unwrap().unwrap().digest;
        let chained = (0..head).fold(digest(0), |before, n| {
            let bytes = run.changes.get(usize::try_from(n).unwrap()).unwrap();
            crate::digest::chain_next(before, Sequence(n + 1), bytes)
        });
        assert_eq!((digest(head), run.end.digest), (chained, chained));
    }
}
