//! The two digests that prove a replica equal to its source.
//!
//! The *chain digest* covers the stored bytes of the changes, so equal digests mean equal logs. The *fold digest* covers
//! every row of the tables that are no [index](crate::tables::Table::is_index). Equal fold digests of an equal
//! [`FOLD_VERSION`] mean that both sides built these rows alike from the log. An index says the same by another key. Each
//! `tables.redb` has a sum of its own over the indexes, which tells that the file holds what its fold wrote there.
//!
//! ```text
//! digest(0) = BLAKE3("herdlinx log" || StoreId)
//! digest(n) = BLAKE3(digest(n-1) || n u64 LE || length u32 LE || bytes)
//!
//! key  = BLAKE3 derive_key("herdlinx 2026-11-28 row of the fold", FOLD_VERSION u32 LE)
//! row  = the first 512 bits of BLAKE3 keyed_hash(key, table u8 || length u32 LE, key || value), as a number, LE
//! sum  = the sum of all rows that exist, but for those of indexes, modulo 2^512
//! fold = BLAKE3("herdlinx fold" || FOLD_VERSION u32 LE || sum, 64 bytes LE)
//! ```
//!
//! # Decisions
//!
//! - **The chain never changes.** It covers the stored bytes, not their meaning. A program can therefore verify changes
//!   of a kind that it does not know, keep them and serve them on.
//! - **The fold digest may change with `FOLD_VERSION`.** Tables of another version are rebuilt from the log, so their
//!   digests are never compared.
//! - **The fold digest is a sum over the rows as they are, not a chain over what was written.** It depends neither on the
//!   groups and pages in which the log was folded, nor on how a file lays the rows out. One scan over the tables, in any
//!   order, computes it again. A row that changes costs one subtraction and one addition.
//! - **It proves that two honest folds made equal tables, and that a file holds the rows that its fold made.** A fault in
//!   memory, on a disk or in the code alters the sum, except with a chance of 2^-512. It proves nothing against somebody
//!   who chooses the rows: sums of hashes are weak against the generalized birthday attack (Wagner, 2002), which finds
//!   2^20 rows that add up to a wanted sum of 512 bits in about 2^44 steps. An attacker would gain nothing by it: who can
//!   write the tables can also write the digest beside them. The chain proves what is authentic.
//! - **The sum has 512 bits because BLAKE3 gives them at the price of 256.** With 256 bits that attack would be a matter of
//!   seconds. A sum of 16,384 bits (`LtHash`) would resist it, and would cost 32 times the output for each row.

use crate::position::{Digest, Epoch, Position, Sequence, StoreId};
use crate::tables::FOLD_VERSION;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::Bytes;

/// Length of the bytes that precede a change in the chain: digest, sequence, length.
const CHAIN_HEADER_BYTES: usize = 32 + 8 + 4;
/// Maximum size of a change, header included, that is hashed in one piece.
const MAX_SINGLE_PIECE_BYTES: usize = 512;

/// Returns the chain digest before the first change of a history.
#[must_use]
pub fn chain_start(store: StoreId) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"herdlinx log").update(&store.0);
    Digest(hasher.finalize().into())
}

/// Returns the position before the first change of a history.
#[must_use]
pub(crate) fn log_start(store: StoreId) -> Position {
    Position { store, epoch: Epoch(0), sequence: Sequence::ZERO, digest: chain_start(store) }
}

/// Returns the chain digest after the change `sequence`, whose stored bytes are `bytes`.
#[must_use]
pub fn chain_next(before: Digest, sequence: Sequence, bytes: &[u8]) -> Digest {
    let mut header = [0; CHAIN_HEADER_BYTES];
    header[..32].copy_from_slice(&before.0);
    header[32..40].copy_from_slice(&sequence.0.to_le_bytes());
    header[40..].copy_from_slice(&length_le(bytes));
    let total = header.len() + bytes.len();
    if total > MAX_SINGLE_PIECE_BYTES {
        return Digest(blake3::Hasher::new().update(&header).update(bytes).finalize().into());
    }
    // Almost every change fits. Hashing one piece takes half the time of setting up a hasher and feeding it twice.
    let mut piece = [0; MAX_SINGLE_PIECE_BYTES];
    piece[..header.len()].copy_from_slice(&header);
    piece[header.len()..total].copy_from_slice(bytes);
    Digest(blake3::hash(&piece[..total]).into())
}

/// Number of 64-bit words in a row hash and in a sum.
const SUM_WORDS: usize = 8;
/// Context of the key for row hashes.
const ROW_CONTEXT: &str = "herdlinx 2026-11-28 row of the fold";

/// The hash of a row with its table and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowHash([u64; SUM_WORDS]);

/// Hashes rows. Reuses its memory from row to row.
#[derive(Debug)]
pub struct RowHasher {
    hasher: blake3::Hasher,
    piece: Vec<u8>,
}

impl Default for RowHasher {
    fn default() -> Self {
        let key = blake3::derive_key(ROW_CONTEXT, &FOLD_VERSION.to_le_bytes());
        Self { hasher: blake3::Hasher::new_keyed(&key), piece: Vec::new() }
    }
}

impl RowHasher {
    /// Returns the hash of a row.
    pub fn hash(&mut self, table: u8, key: &[u8], value: &[u8]) -> RowHash {
        // One contiguous piece, because BLAKE3 is markedly faster on it than on several small updates.
        self.piece.clear();
        self.piece.push(table);
        self.piece.extend_from_slice(&length_le(key));
        self.piece.extend_from_slice(key);
        self.piece.extend_from_slice(value);
        let mut bytes = [0; SUM_WORDS * 8];
        self.hasher.reset().update(&self.piece).finalize_xof().fill(&mut bytes);
        RowHash(words_of(&bytes))
    }
}

/// The sum of the hashes of all rows, modulo 2^512. Without rows it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSum([u64; SUM_WORDS]);

impl RowSum {
    /// Adds a row.
    pub fn add(&mut self, row: &RowHash) {
        let mut carry = false;
        for (own, more) in self.0.iter_mut().zip(row.0) {
            let (sum, first) = own.overflowing_add(more);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*own, carry) = (sum, first || second);
        }
    }

    /// Removes a row that was added before.
    pub fn remove(&mut self, row: &RowHash) {
        let mut borrow = false;
        for (own, less) in self.0.iter_mut().zip(row.0) {
            let (rest, first) = own.overflowing_sub(less);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*own, borrow) = (rest, first || second);
        }
    }

    /// Returns the fold digest of tables with these rows.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let piece = [&b"herdlinx fold"[..], &FOLD_VERSION.to_le_bytes(), &self.to_bytes()].concat();
        Digest(blake3::hash(&piece).into())
    }

    /// Returns the number, low bytes first.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SUM_WORDS * 8] {
        let mut bytes = [0; SUM_WORDS * 8];
        for (to, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) returned.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SUM_WORDS * 8]) -> Self {
        Self(words_of(bytes))
    }
}

fn words_of(bytes: &[u8; SUM_WORDS * 8]) -> [u64; SUM_WORDS] {
    let mut words = [0; SUM_WORDS];
    for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*from);
    }
    words
}

impl Serialize for RowSum {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Bytes::new(&self.to_bytes()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for RowSum {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = <&Bytes>::deserialize(from)?;
        let sum = bytes.first_chunk().filter(|_| bytes.len() == SUM_WORDS * 8);
        sum.map(Self::from_bytes).ok_or_else(|| D::Error::invalid_length(bytes.len(), &"64 bytes"))
    }
}

fn length_le(bytes: &[u8]) -> [u8; 4] {
    // Changes are below 64 KiB, and rows are smaller still. Saturating keeps the function total.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches any change of the chain, which would make every existing log look damaged.
    #[test]
    fn the_chain_is_frozen() {
        let start = chain_start(StoreId([7; 16]));
        let mut by_hand = b"herdlinx log".to_vec();
        by_hand.extend_from_slice(&[7; 16]);
        assert_eq!(start.0, *blake3::hash(&by_hand).as_bytes());

        let mut by_hand = start.0.to_vec();
        by_hand.extend_from_slice(&1_u64.to_le_bytes());
        by_hand.extend_from_slice(&3_u32.to_le_bytes());
        by_hand.extend_from_slice(b"abc");
        assert_eq!(chain_next(start, Sequence(1), b"abc").0, *blake3::hash(&by_hand).as_bytes());
    }

    /// Catches a difference between the fast path and the general one, at the lengths around their border.
    #[test]
    fn the_digest_does_not_depend_on_how_many_pieces_are_hashed() {
        let start = chain_start(StoreId([7; 16]));
        for length in
            [0, 1, MAX_SINGLE_PIECE_BYTES - CHAIN_HEADER_BYTES, MAX_SINGLE_PIECE_BYTES - CHAIN_HEADER_BYTES + 1, 5_000]
        {
            let bytes = vec![0xa5; length];
            let mut by_hand = start.0.to_vec();
            by_hand.extend_from_slice(&9_u64.to_le_bytes());
            by_hand.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
            by_hand.extend_from_slice(&bytes);
            assert_eq!(chain_next(start, Sequence(9), &bytes).0, *blake3::hash(&by_hand).as_bytes(), "{length}");
        }
    }

    fn sum_of<'a>(rows: impl IntoIterator<Item = &'a RowHash>) -> RowSum {
        let mut sum = RowSum::default();
        rows.into_iter().for_each(|row| sum.add(row));
        sum
    }

    /// Catches any change of the fold digest without a new `FOLD_VERSION`.
    #[test]
    fn the_fold_digest_is_pinned() {
        let row = RowHasher::default().hash(1, b"k", b"value");
        let key = blake3::derive_key(ROW_CONTEXT, &FOLD_VERSION.to_le_bytes());
        let mut by_hand = [0; 64];
        blake3::Hasher::new_keyed(&key).update(b"\x01\x01\x00\x00\x00kvalue").finalize_xof().fill(&mut by_hand);
        assert_eq!(sum_of([&row]).to_bytes(), by_hand);
        let piece = [&b"herdlinx fold"[..], &FOLD_VERSION.to_le_bytes(), &by_hand].concat();
        assert_eq!(sum_of([&row]).digest().0, *blake3::hash(&piece).as_bytes());
    }

    /// Catches a carry that is lost between two words, and an order that matters.
    #[test]
    fn rows_add_up_in_any_order_and_subtract_again() {
        let mut hasher = RowHasher::default();
        let mut rows: Vec<_> = (0..500_u64).map(|n| hasher.hash(2, &n.to_be_bytes(), b"value")).collect();
        rows.push(RowHash([u64::MAX; SUM_WORDS]));
        let sum = sum_of(&rows);
        assert_eq!(sum_of(rows.iter().rev()), sum);
        let mut rest = sum;
        for row in &rows {
            rest.remove(row);
        }
        assert_eq!(rest, RowSum::default());
        let mut one = RowSum::from_bytes(&[0xff; 64]);
        one.add(&RowHash([1, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(one, RowSum::default());
        one.remove(&RowHash([1, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(one.to_bytes(), [0xff; 64]);
    }

    /// Catches a digest that cannot tell a missing row from an empty one, or where a key ends and its value begins.
    #[test]
    fn the_sum_tells_tables_keys_and_values_apart() {
        let mut hasher = RowHasher::default();
        let empty = hasher.hash(1, b"k", b"");
        assert_ne!(sum_of([&empty]), RowSum::default());
        assert_ne!(empty, hasher.hash(2, b"k", b""));
        assert_ne!(hasher.hash(1, b"ab", b"c"), hasher.hash(1, b"a", b"bc"));
    }

    #[test]
    fn a_sum_is_64_bytes_in_a_row() {
        let sum = sum_of([&RowHasher::default().hash(1, b"k", b"v")]);
        let bytes = postcard::to_stdvec(&sum).unwrap();
        assert_eq!(postcard::from_bytes::<RowSum>(&bytes).unwrap(), sum);
        assert!(postcard::from_bytes::<RowSum>(b"\x03abc").is_err());
    }
}
