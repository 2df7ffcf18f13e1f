//! The two digests that prove a replica equal to its source.
//!
//! The *chain digest* covers the stored bytes of the changes, so equal digests mean equal logs. The *fold digest*
//! covers every row that the fold wrote. Equal fold digests of an equal [`FOLD_VERSION`](crate::fold::FOLD_VERSION)
//! mean that both sides built the same tables from the log.
//!
//! ```text
//! digest(0) = BLAKE3("herdlinx log" || StoreId)
//! digest(n) = BLAKE3(digest(n-1) || n u64 LE || length u32 LE || bytes)
//! fold(0)   = BLAKE3("herdlinx fold" || FOLD_VERSION u32 LE)
//! fold(n)   = BLAKE3(fold(n-1) || n u64 LE || for each row, ordered by (table number, key):
//!               table u16 LE || 1 written / 0 removed || length u32 LE, key || length u32 LE, value)
//! ```
//! A removed row has a value of length 0.
//!
//! # Decisions
//!
//! - **The chain never changes.** It covers the stored bytes, not their meaning. A program can therefore verify changes
//!   of a kind that it does not know, keep them and serve them on.
//! - **The fold digest may change with `FOLD_VERSION`.** Tables of another version are rebuilt from the log, so their
//!   digests are never compared.

use crate::position::{Digest, Sequence, StoreId};

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

/// Returns the fold digest before the first change.
#[must_use]
pub fn fold_start(fold_version: u32) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"herdlinx fold").update(&fold_version.to_le_bytes());
    Digest(hasher.finalize().into())
}

/// Returns the fold digest after the change `sequence`, which wrote (`Some`) or removed (`None`) these rows.
///
/// The rows must be ordered by table number and key, without duplicates. `scratch` is a buffer to reuse between calls.
#[must_use]
pub fn fold_next<'a>(
    before: Digest,
    sequence: Sequence,
    rows: impl Iterator<Item = (u16, &'a [u8], Option<&'a [u8]>)>,
    scratch: &mut Vec<u8>,
) -> Digest {
    // One contiguous buffer, because BLAKE3 is markedly faster on one piece than on many small updates.
    scratch.clear();
    scratch.extend_from_slice(&before.0);
    scratch.extend_from_slice(&sequence.0.to_le_bytes());
    for (table, key, value) in rows {
        scratch.extend_from_slice(&table.to_le_bytes());
        scratch.push(u8::from(value.is_some()));
        for part in [key, value.unwrap_or_default()] {
            scratch.extend_from_slice(&length_le(part));
            scratch.extend_from_slice(part);
        }
    }
    Digest(blake3::hash(scratch).into())
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

    /// Catches a fold digest that cannot tell a removed row from an empty one.
    #[test]
    fn a_removed_row_and_an_empty_one_differ() {
        let start = fold_start(1);
        let mut scratch = Vec::new();
        let removed = fold_next(start, Sequence(1), [(1, &b"k"[..], None)].into_iter(), &mut scratch);
        let empty = fold_next(start, Sequence(1), [(1, &b"k"[..], Some(&b""[..]))].into_iter(), &mut scratch);
        assert_ne!(removed, empty);
    }
}
