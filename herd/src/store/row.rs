//! A row of the log: up to [`ROW_CHANGES`] changes of one commit, with the chain digests at both ends.
//!
//! ```text
//! version u8 = 1 | count u32 LE | digest before, 32 | digest after, 32 | count times: length u32 LE, bytes
//! ```
//!
//! # Decisions
//!
//! - **Encoded by hand and not by a serializer,** so that a reader can skip through it without decoding the changes.
//! - **Rows are not packed.** LZ4 made a full row a quarter to a third of its length. Yet a recovery finds rows by their own
//!   bytes, and tells one that a payload imitates by the change around it. Packed rows would show neither without unpacking
//!   whatever looks like one. The version byte leaves the way open.

use super::changes::Changes;
use crate::change::MAX_CHANGE_BYTES;
use crate::digest;
use crate::position::{Digest, Sequence, StoreId};
use std::ops::Range;

/// Maximum number of changes in a row.
pub(super) const ROW_CHANGES: usize = 1_000;
/// Maximum length of a row. redb keeps one in a page of its own, of which it uses 16 bytes itself. The length of a page is a
/// power of two, so a row that is a little longer would take, and write, twice as much.
pub(crate) const MAX_ROW_BYTES: usize = 128 * 1024 - 16;
/// A row holds any change.
const _: () = assert!(HEADER_BYTES + size_of::<u32>() + MAX_CHANGE_BYTES <= MAX_ROW_BYTES);

/// First byte of a row.
pub(super) const VERSION: u8 = 1;
/// Length of a row without its changes.
pub(crate) const HEADER_BYTES: usize = 1 + 4 + 32 + 32;

/// A row that a page or a record announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnnouncedRow {
    /// The history, if the announcement names it.
    pub(crate) store: Option<StoreId>,
    /// The first change.
    pub(crate) first: Sequence,
    /// Place of the row: in the page, or in the bytes of the journal without tags.
    pub(crate) offset: u64,
    /// Length of the row.
    pub(crate) bytes: u64,
}

/// Builds a row.
pub(super) struct RowWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl RowWriter {
    pub(super) fn new(before: Digest) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[0] = VERSION;
        bytes[5..37].copy_from_slice(&before.0);
        Self { bytes, count: 0 }
    }

    pub(super) fn is_full(&self, next_bytes: usize) -> bool {
        self.count as usize >= ROW_CHANGES
            || (self.count > 0 && self.bytes.len() + size_of::<u32>() + next_bytes > MAX_ROW_BYTES)
    }

    pub(super) fn push(&mut self, change: &[u8]) {
        let length = u32::try_from(change.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(change);
        self.count += 1;
    }

    pub(super) fn finish(mut self, after: Digest) -> Vec<u8> {
        self.bytes[1..5].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[37..69].copy_from_slice(&after.0);
        self.bytes
    }
}

/// Reads a row.
#[derive(Clone, Copy)]
pub(super) struct RowReader<'a> {
    pub(super) first: Sequence,
    pub(super) count: u64,
    pub(super) before: Digest,
    pub(super) after: Digest,
    body: &'a [u8],
}

impl<'a> RowReader<'a> {
    /// Returns `None` if the bytes are not a row of a known version.
    pub(super) fn new(first: Sequence, bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
        let count = u32::from_le_bytes(header[1..5].try_into().ok()?);
        let before = Digest(header[5..37].try_into().ok()?);
        let after = Digest(header[37..69].try_into().ok()?);
        (header[0] == VERSION && count > 0).then_some(Self { first, count: u64::from(count), before, after, body })
    }

    /// Returns the last change in the row.
    pub(super) fn last(&self) -> Sequence {
        Sequence(self.first.0.saturating_add(self.count - 1))
    }

    /// Returns whether the row holds as many changes as it says, and they lead from the digest before it to the one after it.
    pub(super) fn is_intact(&self) -> bool {
        if self.first.0.checked_add(self.count - 1).is_none() {
            return false;
        }
        let mut digest = self.before;
        for (sequence, change) in self.changes() {
            let Some(change) = change else { return false };
            digest = digest::chain_next(digest, sequence, change);
        }
        digest == self.after
    }

    /// Iterates over the changes in order, with `None` for one that the row's bytes do not hold.
    pub(super) fn changes(&self) -> impl Iterator<Item = (Sequence, Option<&'a [u8]>)> + use<'a> {
        let mut rest = Some(self.body);
        (self.first.0..=self.last().0).map(move |n| {
            let cut = rest.and_then(|rest| {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                rest.split_at_checked(u32::from_le_bytes(*length) as usize)
            });
            rest = cut.map(|(_, rest)| rest);
            (Sequence(n), cut.map(|(change, _)| change))
        })
    }

    /// Returns the ranges of the changes in the row's bytes, in order, up to one that they do not hold.
    pub(super) fn places(&self) -> Vec<Range<usize>> {
        let mut end = HEADER_BYTES;
        let place = |change: &[u8]| {
            let start = end + size_of::<u32>();
            end = start + change.len();
            start..end
        };
        self.changes().map_while(|(_, change)| change).map(place).collect()
    }

    /// Returns the chain digest after `sequence`, which is in this row or just before it.
    pub(super) fn digest_at(&self, sequence: Sequence) -> Option<Digest> {
        if sequence == self.last() {
            return Some(self.after);
        }
        let mut digest = self.before;
        for (n, change) in self.changes().take_while(|(n, _)| *n <= sequence) {
            digest = digest::chain_next(digest, n, change?);
        }
        Some(digest)
    }
}

/// Splits changes into rows of `(first sequence, row)`, and returns the digest after all of them.
pub(super) fn lay_rows(after: Sequence, before: Digest, changes: &Changes) -> (Vec<(Sequence, Vec<u8>)>, Digest) {
    let mut rows = Vec::new();
    let mut digest = before;
    let mut row = (after.next(), RowWriter::new(digest));
    for (change, n) in changes.iter().zip(after.0 + 1..) {
        if row.1.is_full(change.len()) {
            rows.push((row.0, row.1.finish(digest)));
            row = (Sequence(n), RowWriter::new(digest));
        }
        digest = digest::chain_next(digest, Sequence(n), change);
        row.1.push(change);
    }
    if row.1.count > 0 {
        rows.push((row.0, row.1.finish(digest)));
    }
    (rows, digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;
    use redb::{Builder, ReadableTableMetadata as _, TableDefinition};

    fn some_changes(count: usize) -> Changes {
        let texts: Vec<_> = (0..count).map(|n| format!("change {n}").into_bytes()).collect();
        texts.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn rows_hold_at_most_a_thousand_changes_and_chain_over_their_ends() {
        let changes = some_changes(2_500);
        let (rows, digest) = lay_rows(Sequence(10), Digest([1; 32]), &changes);
        let read: Vec<_> = rows.iter().map(|(first, row)| RowReader::new(*first, row).unwrap()).collect();
        assert_eq!(read.iter().map(|row| row.count).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        assert_eq!(read[0].after, read[1].before);
        assert_eq!(read[2].after, digest);
        assert_eq!(read[2].last(), Sequence(2_510));
        assert_eq!(read[0].digest_at(Sequence(10)), Some(Digest([1; 32])));
        assert_eq!(changes.chain(Digest([1; 32]), Sequence(10)), digest);
    }

    #[test]
    fn a_large_change_has_a_row_of_its_own() {
        let large = vec![7; MAX_ROW_BYTES];
        let changes: Changes = [b"a".as_slice(), &large, b"b"].into_iter().collect();
        assert_eq!(lay_rows(Sequence(0), Digest([0; 32]), &changes).0.len(), 3);
    }

    /// Catches rows that leave a part of their pages empty, or that redb gives pages of twice the length.
    #[test]
    fn a_full_row_fills_a_page_of_redb() {
        let changes: Changes = std::iter::repeat_n([7; 237].as_slice(), 6_000).collect();
        let (rows, _) = lay_rows(Sequence(0), Digest([0; 32]), &changes);
        let full = &rows[..rows.len() - 1];
        assert!(full.iter().all(|(_, row)| row.len() + 4 + 237 > MAX_ROW_BYTES && row.len() <= MAX_ROW_BYTES));
        let database = Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        let writing = database.begin_write().unwrap();
        let mut table = writing.open_table(TableDefinition::<u64, &[u8]>::new("rows")).unwrap();
        let longest = vec![7; MAX_ROW_BYTES];
        for (first, row) in full.iter().map(|(first, row)| (first.0, row)).chain([(u64::MAX, &longest)]) {
            table.insert(first, row.as_slice()).unwrap();
        }
        let stats = table.stats().unwrap();
        assert!(stats.fragmented_bytes() < stats.stored_bytes() / 50, "{stats:?}");
    }

    #[test]
    fn a_truncated_row_reads_as_missing_changes_and_never_panics() {
        let (rows, _) = lay_rows(Sequence(0), Digest([0; 32]), &some_changes(3));
        let row = &rows[0].1;
        for end in 0..row.len() {
            if let Some(cut) = RowReader::new(Sequence(1), &row[..end]) {
                assert!(cut.changes().any(|(_, change)| change.is_none()));
                assert!(cut.places().len() < 3 && cut.places().iter().all(|place| place.end <= end));
            }
        }
    }

    /// Catches a row whose count goes past the last number there is, of which only the changes before that are looked at.
    #[test]
    fn a_row_that_goes_past_the_last_number_is_not_intact() {
        let changes = some_changes(1);
        let first = Sequence(u64::MAX);
        let after = digest::chain_next(Digest([1; 32]), first, changes.get(0).unwrap());
        let mut writer = RowWriter::new(Digest([1; 32]));
        writer.push(changes.get(0).unwrap());
        let mut row = writer.finish(after);
        assert!(RowReader::new(first, &row).unwrap().is_intact());
        row[1] = 5;
        assert!(!RowReader::new(first, &row).unwrap().is_intact());
    }

    #[test]
    fn each_change_lies_at_its_place() {
        let (rows, _) = lay_rows(Sequence(0), Digest([0; 32]), &some_changes(12));
        let row = &rows[0].1;
        let reader = RowReader::new(Sequence(1), row).unwrap();
        let by_place: Vec<_> = reader.places().into_iter().map(|place| &row[place]).collect();
        assert_eq!(by_place, reader.changes().filter_map(|(_, change)| change).collect::<Vec<_>>());
        assert_eq!(by_place.len(), 12);
    }

    /// Catches a row that grows past its limit, or that is left with room.
    #[test]
    fn a_row_is_filled_up_to_its_last_byte() {
        let left = MAX_ROW_BYTES - HEADER_BYTES - (size_of::<u32>() + 100) - size_of::<u32>();
        for (bytes, rows) in [(left, 1), (left + 1, 2)] {
            let changes: Changes = [&[7; 100][..], &vec![7; bytes]].into_iter().collect();
            assert_eq!(lay_rows(Sequence(0), Digest([0; 32]), &changes).0.len(), rows, "{bytes}");
        }
    }

    #[test]
    fn a_row_without_changes_is_none() {
        let row = RowWriter::new(Digest([1; 32])).finish(Digest([1; 32]));
        assert!(RowReader::new(Sequence(1), &row).is_none());
    }
}
