//! A record of the journal: one row of the log, in blocks of its own.
//!
//! ```text
//! block    tag u8 ('B' begins a record, 'C' continues one, anything else is no record) | up to 4,095 bytes of the record
//! record   check, 32 | length u32 LE | version u8 = 1 | store, 16 | generation u64 LE | first sequence u64 LE | row
//! ```
//! `length` counts the bytes after it. `check` is BLAKE3 over everything after it. The rest of the last block is zero.
//!
//! The bytes of payloads never stand where a tag is expected, so no payload can be mistaken for a record.

use super::super::row::AnnouncedRow;
use crate::position::{Sequence, StoreId};

/// Unit in which records are laid. No block holds bytes of two records.
pub(crate) const BLOCK_BYTES: usize = 4_096;

const BEGINS: u8 = b'B';
const CONTINUES: u8 = b'C';
const VERSION: u8 = 1;
/// Bytes of a record in one block, behind its tag.
pub(crate) const ROOM_BYTES: usize = BLOCK_BYTES - 1;
const CHECK_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;
/// Version, store, generation and first sequence.
const HEADER_BYTES: usize = 1 + 16 + 8 + 8;

/// A record as read from the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Offset of its first block.
    pub(super) offset: u64,
    /// Offset after its last block.
    pub(super) end: u64,
    pub(super) header: Header,
    pub(super) row: Vec<u8>,
}

/// The fields of a record before its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The history.
    pub(super) store: StoreId,
    /// Number of the use of a segment. Each use has a higher one than all before it.
    pub(super) generation: u64,
    /// The first change of the row.
    pub(super) first: Sequence,
}

/// A whole record of a version that this program does not know, at this offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownVersion {
    pub(super) offset: u64,
}

/// Returns the bytes that a record with a row of this length takes in the file.
pub(super) fn laid_bytes(row_bytes: usize) -> usize {
    (CHECK_BYTES + LENGTH_BYTES + HEADER_BYTES + row_bytes).div_ceil(ROOM_BYTES) * BLOCK_BYTES
}

/// Lays a record into blocks.
pub(super) fn lay_record(header: &Header, row: &[u8]) -> Vec<u8> {
    let mut record = vec![0; CHECK_BYTES];
    record.reserve_exact(LENGTH_BYTES + HEADER_BYTES + row.len());
    let length = u32::try_from(HEADER_BYTES + row.len()).unwrap_or(u32::MAX);
    record.extend_from_slice(&length.to_le_bytes());
    record.push(VERSION);
    record.extend_from_slice(&header.store.0);
    record.extend_from_slice(&header.generation.to_le_bytes());
    record.extend_from_slice(&header.first.0.to_le_bytes());
    record.extend_from_slice(row);
    let check = blake3::hash(&record[CHECK_BYTES..]);
    record[..CHECK_BYTES].copy_from_slice(check.as_bytes());

    let mut laid = vec![0; laid_bytes(row.len())];
    for (block, part) in laid.chunks_mut(BLOCK_BYTES).zip(record.chunks(ROOM_BYTES)) {
        block[0] = CONTINUES;
        block[1..=part.len()].copy_from_slice(part);
    }
    laid[0] = BEGINS;
    laid
}

/// Returns the whole records of a file, in the order of offsets. Everything else in it is skipped.
pub(super) fn read_records(file: &[u8]) -> Result<Vec<Record>, UnknownVersion> {
    let mut records = Vec::new();
    let mut rest = file;
    while rest.len() >= BLOCK_BYTES {
        let offset = (file.len() - rest.len()) as u64;
        let blocks = match read_record(rest) {
            Some((bytes, blocks)) => {
                let (header, row) = split_header(&bytes).ok_or(UnknownVersion { offset })?;
                let end = offset + (blocks * BLOCK_BYTES) as u64;
                records.push(Record { offset, end, header, row: row.to_vec() });
                blocks
            }
            None => 1,
        };
        rest = &rest[blocks * BLOCK_BYTES..];
    }
    Ok(records)
}

/// Returns the row that the record at the start of a block announces. Its offset counts the bytes of the file without the
/// tags of blocks. Nothing is checked: the digests of a row prove it.
pub(crate) fn announced_row(block: &[u8], number: u64) -> Option<AnnouncedRow> {
    let (_, record) = block.split_first().filter(|(tag, _)| **tag == BEGINS)?;
    let (length, rest) = record.get(CHECK_BYTES..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let bytes = u64::from(u32::from_le_bytes(*length)).checked_sub(HEADER_BYTES as u64)?;
    let (header, _) = split_header(rest)?;
    let offset = number * ROOM_BYTES as u64 + (CHECK_BYTES + LENGTH_BYTES + HEADER_BYTES) as u64;
    Some(AnnouncedRow { store: Some(header.store), first: header.first, offset, bytes })
}

/// Returns the checked bytes of the record at the start of `file`, from its version on, and its number of blocks.
fn read_record(file: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (&tag, rest) = file.split_first()?;
    let (check, rest) = rest.split_at_checked(CHECK_BYTES)?;
    let length = u32::from_le_bytes(*rest.first_chunk()?);
    let bytes = (CHECK_BYTES + LENGTH_BYTES).checked_add(usize::try_from(length).ok()?)?;
    let blocks = bytes.div_ceil(ROOM_BYTES);
    let laid = file.get(..blocks.checked_mul(BLOCK_BYTES)?)?;
    let continues = laid.chunks(BLOCK_BYTES).skip(1).all(|block| block[0] == CONTINUES);
    if tag != BEGINS || !continues {
        return None;
    }
    let mut record = Vec::with_capacity(laid.len());
    laid.chunks(BLOCK_BYTES).for_each(|block| record.extend_from_slice(&block[1..]));
    record.truncate(bytes);
    let is_whole = blake3::hash(&record[CHECK_BYTES..]).as_bytes() == check;
    is_whole.then(|| (record.split_off(CHECK_BYTES + LENGTH_BYTES), blocks))
}

/// Splits the bytes of a record. Returns `None` if its version is unknown.
fn split_header(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let (&version, rest) = bytes.split_first()?;
    let (store, rest) = rest.split_first_chunk()?;
    let (generation, rest) = rest.split_first_chunk()?;
    let (first, row) = rest.split_first_chunk()?;
    let first = Sequence(u64::from_le_bytes(*first));
    let header = Header { store: StoreId(*store), generation: u64::from_le_bytes(*generation), first };
    (version == VERSION).then_some((header, row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header { store: StoreId([7; 16]), generation: 3, first: Sequence(41) };

    /// Catches a change of the format: a journal that an earlier version left would be dropped as if it were garbage.
    #[test]
    fn the_bytes_of_a_record_are_frozen() {
        let laid = lay_record(&HEADER, b"a row");
        let golden = "42d555ebc5df0dad52953fb335026fbdd47bdb8cc496c55398b755f081737716cf26000000010707070707070707070707\
                      0707070707030000000000000029000000000000006120726f77";
        assert_eq!(hex::encode(&laid[..75]), golden);
        assert_eq!((laid.len(), laid[75..].iter().all(|byte| *byte == 0)), (BLOCK_BYTES, true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn rows_of_any_length_are_read_back_from_among_garbage(
            lengths in prop::collection::vec(0_usize..9_000, 1..5), garbage in prop::collection::vec(any::<u8>(), 0..9_000),
        ) {
            let mut file = garbage.clone();
            file.resize(garbage.len().next_multiple_of(BLOCK_BYTES), 0);
            let mut expected = Vec::new();
            for (n, length) in lengths.iter().enumerate() {
                let header = Header { first: Sequence(n as u64), ..HEADER };
                // The bytes of a tag, at every place.
                let row = vec![BEGINS; *length];
                let offset = file.len() as u64;
                file.extend(lay_record(&header, &row));
                expected.push(Record { offset, end: file.len() as u64, header, row });
            }
            file.extend(&garbage);
            prop_assert_eq!(read_records(&file), Ok(expected));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..9_000), length: u32) {
            let mut near = bytes.clone();
            if near.len() > 37 {
                near[0] = BEGINS;
                near[33..37].copy_from_slice(&length.to_le_bytes());
            }
            prop_assert_eq!(read_records(&bytes), Ok(Vec::new()));
            prop_assert_eq!(read_records(&near), Ok(Vec::new()));
        }
    }

    /// Catches a program of an earlier version that drops what a later one has acknowledged.
    #[test]
    fn a_whole_record_of_an_unknown_version_is_not_skipped() {
        let mut laid = lay_record(&HEADER, b"a row");
        laid[37] = VERSION + 1;
        let check = *blake3::hash(&laid[33..37 + HEADER_BYTES + 5]).as_bytes();
        laid[1..33].copy_from_slice(&check);
        assert_eq!(read_records(&laid), Err(UnknownVersion { offset: 0 }));
    }
}
