//! The bytes of a log's files, for a recovery that cannot trust what leads to them.
//!
//! # Decisions
//!
//! - **A row lies in one piece.** redb keeps a value in one page, or in several that follow each other, and the journal adds
//!   a byte to each block. So a row is found by its own bytes, whatever happened to the pages that lead to it.
//! - **A row does not tell the number of its first change.** The page that it lies in does, or the record. Without them, the
//!   digests of its neighbors do: no other number leads from the one to the other.

use super::changes::Changes;
use super::disk::Disk;
use super::error::StoreError;
use super::journal::{
    BLOCK_BYTES, JOURNAL_FILE, MAX_FILE_BYTES, ROOM_BYTES, announced_row, reading as reading_journal,
};
use super::row::{HEADER_BYTES, ROW_CHANGES, RowReader, VERSION};
use crate::position::{Digest, Sequence};
use redb::StorageBackend;
use std::io;

pub(crate) use super::row::{AnnouncedRow, HEADER_BYTES as ROW_HEADER_BYTES, MAX_ROW_BYTES};

/// Unit at which pages of `log.redb` begin.
pub(crate) const PAGE_BYTES: usize = 4_096;
/// Length up to which a page with several rows counts as one: redb adds a row to a page while that has room.
pub(super) const MAX_PAGE_BYTES: u64 = 2 * MAX_ROW_BYTES as u64;
/// First byte of a page that holds rows.
const LEAF: u8 = 1;
/// Length of a page's header.
const LEAF_HEADER_BYTES: usize = 4;

/// A file of the store that is read at offsets, and locked meanwhile.
#[derive(Debug)]
pub(crate) struct RawFile(Box<dyn StorageBackend>);

impl RawFile {
    /// Opens a file, if there is one.
    pub(crate) fn open(disk: &dyn Disk, file: &str) -> Result<Option<Self>, StoreError> {
        if !disk.has_content(file) {
            return Ok(None);
        }
        disk.drop_cached(file);
        Ok(Some(Self(disk.open_bytes(file)?)))
    }

    /// Returns the length.
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.0.len()
    }

    /// Fills `to` with the bytes from `offset` on, all of which the file must have.
    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, to)
    }
}

/// The journal without the tags of its blocks, read from its file, and locked meanwhile. What the medium does not return is
/// zeros, which are no record.
#[derive(Debug)]
pub(crate) struct RawJournal {
    file: RawFile,
    /// Length of the file, up to the largest that any version may have written.
    file_bytes: u64,
}

impl RawJournal {
    /// Opens the journal, if there is one.
    pub(crate) fn open(disk: &dyn Disk) -> Result<Option<Self>, StoreError> {
        let Some(file) = RawFile::open(disk, JOURNAL_FILE)? else { return Ok(None) };
        let file_bytes = file.length().map_err(reading_journal)?.min(MAX_FILE_BYTES);
        Ok(Some(Self { file, file_bytes }))
    }

    /// Returns the number of bytes without the tags.
    pub(crate) fn length(&self) -> u64 {
        self.file_bytes - self.file_bytes.div_ceil(BLOCK_BYTES as u64)
    }

    /// Fills `to` with the bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(to.len() as u64).filter(|end| *end <= self.length());
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (mut number, mut skipped) = (offset / ROOM_BYTES as u64, offset % ROOM_BYTES as u64);
        let mut rest = to;
        while !rest.is_empty() {
            let room = ROOM_BYTES - usize::try_from(skipped).unwrap_or_default();
            let (part, later) = rest.split_at_mut(room.min(rest.len()));
            if self.file.read(number * BLOCK_BYTES as u64 + 1 + skipped, part).is_err() {
                part.fill(0);
            }
            (rest, number, skipped) = (later, number + 1, 0);
        }
        Ok(())
    }

    /// Returns the rows that records announce, in the order of offsets.
    pub(crate) fn announced(&self) -> Vec<AnnouncedRow> {
        let (mut block, mut rows) = (vec![0; BLOCK_BYTES], Vec::new());
        for number in 0..self.file_bytes.div_ceil(BLOCK_BYTES as u64) {
            let offset = number * BLOCK_BYTES as u64;
            let bytes = usize::try_from(self.file_bytes - offset).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
            if self.file.read(offset, &mut block[..bytes]).is_ok() {
                rows.extend(announced_row(&block[..bytes], number));
            }
        }
        rows
    }
}

/// Returns the rows of a page of `log.redb`, of which `page` has the first [`PAGE_BYTES`]. A larger page has one row, or
/// several that one commit has added.
///
/// ```text
/// 1 u8 | u8 | rows u16 LE | for each: end u32 LE | for each: first sequence u64 LE | the rows
/// ```
pub(crate) fn announced_rows(page: &[u8]) -> Vec<AnnouncedRow> {
    rows_of_page(page).unwrap_or_default()
}

fn rows_of_page(page: &[u8]) -> Option<Vec<AnnouncedRow>> {
    let (header, rest) = page.split_first_chunk::<LEAF_HEADER_BYTES>()?;
    let count = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let (ends, rest) = rest.split_at_checked(count.checked_mul(size_of::<u32>())?)?;
    let (keys, _) = rest.split_at_checked(count.checked_mul(size_of::<u64>())?)?;
    if header[0] != LEAF {
        return None;
    }
    let mut start = (LEAF_HEADER_BYTES + ends.len() + keys.len()) as u64;
    let mut rows = Vec::with_capacity(count);
    for (end, key) in ends.as_chunks::<4>().0.iter().zip(keys.as_chunks::<8>().0) {
        let (end, first) = (u64::from(u32::from_le_bytes(*end)), Sequence(u64::from_le_bytes(*key)));
        let bytes = end.checked_sub(start).filter(|bytes| *bytes > HEADER_BYTES as u64)?;
        rows.push(AnnouncedRow { store: None, first, offset: start, bytes });
        start = end;
    }
    (count == 1 || start <= MAX_PAGE_BYTES).then_some(rows)
}

/// Returns the number of bytes that the rows of a page take, with its header, and the length of the page.
pub(crate) fn page_lengths(rows: &[AnnouncedRow]) -> (u64, u64) {
    let used = rows.last().map_or(0, |row| row.offset.saturating_add(row.bytes).min(MAX_PAGE_BYTES));
    (used, used.div_ceil(PAGE_BYTES as u64).next_power_of_two() * PAGE_BYTES as u64)
}

/// Returns whether a row may begin with these bytes.
pub(crate) fn may_begin_row(bytes: &[u8]) -> bool {
    let [VERSION, count @ ..] = bytes else { return false };
    let count = count.first_chunk().map_or(0, |count| u32::from_le_bytes(*count));
    (1..=ROW_CHANGES).contains(&(count as usize))
}

/// A row found by its own bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRow<'a> {
    bytes: &'a [u8],
    pub(crate) count: u32,
    pub(crate) before: Digest,
    pub(crate) after: Digest,
}

impl<'a> RawRow<'a> {
    /// Returns the row at the start of `bytes`. `None` if they do not hold as many changes as a row there would.
    pub(crate) fn at(bytes: &'a [u8]) -> Option<Self> {
        if !may_begin_row(bytes) {
            return None;
        }
        let row = RowReader::new(Sequence::ZERO.next(), bytes)?;
        let places = row.places();
        let end = places.last().filter(|_| places.len() as u64 == row.count)?.end;
        let (count, bytes) = (u32::try_from(row.count).ok()?, bytes.get(..end.min(MAX_ROW_BYTES))?);
        (bytes.len() == end).then_some(Self { bytes, count, before: row.before, after: row.after })
    }

    /// Returns the length.
    pub(crate) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the changes lead from the digest before them to the one after them, if `first` is the first of them.
    pub(crate) fn is_intact_from(&self, first: Sequence) -> bool {
        first > Sequence::ZERO && RowReader::new(first, self.bytes).is_some_and(|row| row.is_intact())
    }

    /// Returns the changes.
    pub(crate) fn changes(&self) -> Changes {
        let row = RowReader::new(Sequence::ZERO.next(), self.bytes);
        row.iter().flat_map(RowReader::changes).filter_map(|(_, change)| change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::lay_rows;
    use super::super::{LOG_FILE, MemoryDisk, Store};
    use super::*;
    use crate::position::StoreId;
    use crate::testing::TestBarn;

    /// Catches another layout of pages in a later version of redb: rows would no longer be found by their pages.
    #[test]
    fn the_pages_of_a_log_announce_its_rows() {
        let disk = MemoryDisk::default();
        let mut barn = TestBarn::on(&disk);
        for n in 0..40 {
            barn.record(&format!("hxb:LOT1:LF{n}:UHF{n}"));
        }
        drop(barn);
        drop(Store::open_replica(&disk, StoreId([2; 16])).unwrap());
        let file = disk.content(LOG_FILE).unwrap();
        let mut found = Vec::new();
        for (page, at) in file.chunks(PAGE_BYTES).zip((0..).step_by(PAGE_BYTES)) {
            for AnnouncedRow { first, offset, bytes, .. } in announced_rows(page) {
                let row = file.get(at + usize::try_from(offset).unwrap()..).and_then(RawRow::at);
                if let Some(row) = row.filter(|row| row.is_intact_from(first)) {
                    assert_eq!(row.length() as u64, bytes);
                    found.push((first.0, u64::from(row.count)));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        let last = found.last().map(|(first, count)| first + count - 1);
        assert_eq!((found[0].0, last), (1, Some(41)), "{found:?}");
    }

    #[test]
    fn a_row_is_found_by_its_bytes_and_proved_by_its_number_only() {
        let changes: Changes = [&b"one"[..], b"two"].into_iter().collect();
        let mut bytes = lay_rows(Sequence(7), Digest([1; 32]), &changes).0.remove(0).1;
        let length = bytes.len();
        bytes.extend_from_slice(b"what follows");
        let row = RawRow::at(&bytes).unwrap();
        assert_eq!((row.length(), row.count, row.before, row.changes()), (length, 2, Digest([1; 32]), changes));
        assert!(
            row.is_intact_from(Sequence(8)) && !row.is_intact_from(Sequence(7)) && !row.is_intact_from(Sequence(9))
        );
        for end in 0..length {
            assert!(RawRow::at(&bytes[..end]).is_none());
        }
    }

    #[test]
    fn a_row_begins_with_its_version_and_as_many_changes_as_a_row_may_have() {
        for (begin, expected) in [
            (&[1, 1, 0, 0, 0][..], true),
            (&[1, 0xe8, 3, 0, 0], true),
            (&[1, 0xe9, 3, 0, 0], false),
            (&[1, 0, 0, 0, 0], false),
            (&[2, 1, 0, 0, 0], false),
            (&[1, 1, 0, 0], false),
            (&[], false),
        ] {
            assert_eq!(may_begin_row(begin), expected, "{begin:?}");
        }
        let changes: Changes = [&b"one"[..]].into_iter().collect();
        let mut row = lay_rows(Sequence(7), Digest([1; 32]), &changes).0.remove(0).1;
        let after = crate::digest::chain_next(Digest([1; 32]), Sequence::ZERO, b"one");
        row[37..69].copy_from_slice(&after.0);
        assert!(RowReader::new(Sequence::ZERO, &row).unwrap().is_intact());
        assert!(!RawRow::at(&row).unwrap().is_intact_from(Sequence::ZERO), "no change has the number 0");
    }

    /// Catches rows of another page that count as left over in this one.
    #[test]
    fn a_page_is_as_long_as_redb_makes_it_for_its_rows() {
        let row = |offset, bytes| AnnouncedRow { store: None, first: Sequence(1), offset, bytes };
        for (rows, expected) in [
            (vec![], (0, 4_096)),
            (vec![row(16, 4_080)], (4_096, 4_096)),
            (vec![row(16, 4_081)], (4_097, 8_192)),
            (vec![row(28, 100), row(128, 9_000)], (9_128, 16_384)),
            (vec![row(16, u64::MAX)], (MAX_PAGE_BYTES, 256 * 1024)),
        ] {
            assert_eq!(page_lengths(&rows), expected);
        }
    }
}
