//! Rows of the log in memory, with the places of their changes.
//!
//! # Decisions
//!
//! - **A reader keeps the row that it looked at last.** Queries look up changes side by side: a page of payloads is fifty of
//!   one row. A row of 128 KiB does not stay in redb's page cache once that is full, because redb makes room within one
//!   of its 131 slots, which then holds this page alone. Each of the 50 look-ups would read the whole row from the file again.
//! - **All readers share the few rows that were found intact last.** To hash a row takes longer than to make a page of it.
//!   The copies in memory are what was hashed. A mere note that a row was intact was rejected: what is read from the
//!   file later may be damaged since.

use super::guarded::PageBytes;
use super::row::RowReader;
use crate::position::Sequence;
use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Maximum size of the rows that are kept for all readers: about ten rows of new traffic. The last one is always kept.
const KEPT_BYTES: usize = 2 * 1024 * 1024;

/// The bytes of a row, wherever they are.
pub(super) enum RowBytes {
    /// In a page of `log.redb`.
    Body(PageBytes<'static>),
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
            Self::Body(page) => page,
            Self::Tail(bytes) => bytes,
        }
    }
}

/// A row in memory, with the ranges of its changes.
#[derive(Debug)]
pub(super) struct CachedRow {
    first: Sequence,
    last: Sequence,
    bytes: Arc<[u8]>,
    places: Vec<Range<usize>>,
    /// Result of the check that the row holds what was written to it, once there is one.
    intact: OnceLock<bool>,
}

impl CachedRow {
    /// Returns `None` if the bytes are not a row.
    pub(super) fn new(first: Sequence, bytes: RowBytes) -> Option<Self> {
        let intact = if bytes.are_trusted() { OnceLock::from(true) } else { OnceLock::new() };
        let bytes = match bytes {
            // A copy: the page would keep a read transaction open for as long as the row is kept.
            RowBytes::Body(page) => (*page).into(),
            RowBytes::Tail(bytes) => bytes,
        };
        let row = RowReader::new(first, &bytes)?;
        let (last, places) = (row.last(), row.places());
        Some(Self { first, last, bytes, places, intact })
    }

    /// Returns whether it is known if the row is intact.
    pub(super) fn is_checked(&self) -> bool {
        self.intact.get().is_some()
    }

    /// Returns whether the row holds what was written to it. Its changes are hashed at the first call.
    pub(super) fn is_intact(&self) -> bool {
        *self.intact.get_or_init(|| self.reader().is_some_and(|row| row.is_intact()))
    }

    /// Returns the first change.
    pub(super) fn first(&self) -> Sequence {
        self.first
    }

    /// Returns the last change.
    pub(super) fn last(&self) -> Sequence {
        self.last
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

    fn size(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Range<usize>>()
    }
}

/// The rows of `log.redb` that were found intact last, the latest at the end. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct IntactRows(Arc<Mutex<VecDeque<Arc<CachedRow>>>>);

impl IntactRows {
    /// Returns the row that holds `sequence`, if it is kept.
    pub(super) fn find(&self, sequence: Sequence) -> Option<Arc<CachedRow>> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = rows.iter().position(|row| row.holds(sequence))?;
        let row = rows.remove(place)?;
        rows.push_back(row.clone());
        Some(row)
    }

    /// Keeps a row that was found intact, unless it is kept already. Rows that were not looked at for longest make room.
    pub(super) fn keep(&self, row: &Arc<CachedRow>) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.iter().any(|kept| kept.first == row.first) {
            return;
        }
        rows.push_back(row.clone());
        let mut bytes: usize = rows.iter().map(|row| row.size()).sum();
        while bytes > KEPT_BYTES
            && rows.len() > 1
            && let Some(oldest) = rows.pop_front()
        {
            bytes -= oldest.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Origin;
    use crate::clock::{ClockReading, RawReading};
    use crate::decide::Rules;
    use crate::position::{Digest, StoreId};
    use crate::store::row::lay_rows;
    use crate::store::{Incoming, MemoryDisk, Store};

    fn kept(rows: &IntactRows) -> Vec<u64> {
        rows.0.lock().unwrap().iter().map(|row| row.first.0).collect()
    }

    /// Makes a row of one change.
    fn row_at(first: u64, change: &[u8]) -> Arc<CachedRow> {
        let (rows, _) = lay_rows(Sequence(first - 1), Digest([1; 32]), &std::iter::once(change).collect());
        Arc::new(CachedRow::new(Sequence(first), RowBytes::Tail(rows[0].1.as_slice().into())).unwrap())
    }

    /// Catches memory that grows with the rows that people look at, and a row that leaves although it is in use.
    #[test]
    fn the_rows_that_were_looked_at_last_are_kept_within_their_bound() {
        let (rows, megabyte) = (IntactRows::default(), vec![7; 900_000]);
        for first in 1..=3 {
            rows.keep(&row_at(first, &megabyte));
            rows.keep(&row_at(first, &megabyte));
        }
        assert_eq!(kept(&rows), [2, 3]);
        assert!(rows.find(Sequence(1)).is_none());
        assert_eq!(rows.find(Sequence(2)).unwrap().change(Sequence(2)), Some(&megabyte[..]));
        rows.keep(&row_at(4, &megabyte));
        assert_eq!(kept(&rows), [2, 4]);
        rows.keep(&row_at(5, &vec![7; 3_000_000]));
        assert_eq!(kept(&rows), [5]);
    }

    /// Catches rows of many short changes whose places are not counted: they take three times the memory of the bytes.
    #[test]
    fn the_places_of_changes_count_as_well() {
        let (rows, changes) = (IntactRows::default(), std::iter::repeat_n([7].as_slice(), 1_000).collect());
        let (laid, _) = lay_rows(Sequence(0), Digest([1; 32]), &changes);
        for n in 0..200 {
            let bytes = RowBytes::Tail(laid[0].1.as_slice().into());
            rows.keep(&Arc::new(CachedRow::new(Sequence(1 + 1_000 * n), bytes).unwrap()));
        }
        assert_eq!(kept(&rows).len(), KEPT_BYTES / (laid[0].1.len() + 1_000 * size_of::<Range<usize>>()));
    }

    fn incoming(tag: u64) -> Incoming {
        let raw = format!("hxb:LOT:LF{tag}:UHF{tag}").into_bytes();
        Incoming { raw, origin: Origin::default(), at: RawReading::default() }
    }

    /// Makes rows of one change and of several, and a commit of more than one row.
    fn store() -> Store {
        let clock = ClockReading { boot: 1, ..ClockReading::default() };
        let mut store =
            Store::open_source(&MemoryDisk::default(), Rules::default(), clock, || StoreId([7; 16])).unwrap();
        let mut tags = 0..;
        for length in [1, 7, 1, 1_200, 1] {
            let group: Vec<_> = tags.by_ref().take(length).map(incoming).collect();
            store.append(&group).unwrap();
        }
        store
    }

    /// Catches a reader that is given changes which were written after its moment, because another reader saw them.
    #[test]
    fn an_earlier_snapshot_sees_nothing_of_rows_that_are_kept_since() {
        for is_settled in [false, true] {
            let mut store = store();
            if is_settled {
                store.settle().unwrap();
            }
            let (earlier, head) = (store.reader().snapshot().unwrap(), store.head().position.sequence);
            store.append(&[incoming(7_000)]).unwrap();
            store.settle().unwrap();
            let later = store.reader().snapshot().unwrap();
            // The last row of all is kept for the next reader now.
            assert!(later.change_bytes(head.next()).unwrap().is_some());
            assert_eq!(earlier.change_bytes(head.next()).unwrap(), None);
            let of = |n| (earlier.change_bytes(Sequence(n)).unwrap(), later.change_bytes(Sequence(n)).unwrap());
            assert!((1..=head.0).rev().map(of).all(|(earlier, later)| earlier == later && later.is_some()));
        }
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
