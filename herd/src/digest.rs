//! The two digests that prove a replica equal to its source.
//!
//! The *chain* is over the stored bytes of the changes, so equal digests mean equal logs. The *fold digest* is over
//! every row that the fold wrote, so equal digests (for an equal [`FOLD_VERSION`](crate::fold::FOLD_VERSION)) mean
//! that both sides made the same tables of it.
//!
//! ```text
//! digest(0) = BLAKE3("herdlinx log" || StoreId)
//! digest(n) = BLAKE3(digest(n-1) || n u64 LE || length u32 LE || bytes)
//! fold(0)   = BLAKE3("herdlinx fold" || FOLD_VERSION u32 LE)
//! fold(n)   = BLAKE3(fold(n-1) || n u64 LE || for each row, ordered by (table number, key):
//!               table u16 LE || 1 written / 0 removed || length u32 LE, key || length u32 LE, value)
//! ```
//! A removed row has a value of length 0.

use crate::position::{Digest, Sequence, StoreId};

/// What stands before a change's bytes in the chain: digest, sequence, length.
const CHAIN_HEAD_BYTES: usize = 32 + 8 + 4;
/// A change that is no longer than this with its head is hashed in one piece.
const ONE_PIECE_BYTES: usize = 512;

/// The chain digest before the first change of a history.
#[must_use]
pub fn chain_start(store: StoreId) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"herdlinx log").update(&store.0);
    Digest(hasher.finalize().into())
}

/// The chain digest after the change `sequence` with these stored bytes.
#[must_use]
pub fn chain_next(before: Digest, sequence: Sequence, bytes: &[u8]) -> Digest {
    let mut head = [0; CHAIN_HEAD_BYTES];
    head[..32].copy_from_slice(&before.0);
    head[32..40].copy_from_slice(&sequence.0.to_le_bytes());
    head[40..].copy_from_slice(&length_le(bytes));
    let total = head.len() + bytes.len();
    if total > ONE_PIECE_BYTES {
        return Digest(blake3::Hasher::new().update(&head).update(bytes).finalize().into());
    }
    // Nearly every change: one piece is hashed in half the time of a hasher that is set up and fed twice.
    let mut piece = [0; ONE_PIECE_BYTES];
    piece[..head.len()].copy_from_slice(&head);
    piece[head.len()..total].copy_from_slice(bytes);
    Digest(blake3::hash(&piece[..total]).into())
}

/// The fold digest before the first change.
#[must_use]
pub fn fold_start(fold_version: u32) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"herdlinx fold").update(&fold_version.to_le_bytes());
    Digest(hasher.finalize().into())
}

/// The fold digest after the change `sequence`, which alone left these rows written (`Some`) or removed (`None`).
/// The rows must come ordered by (table number, key), each once.
#[must_use]
pub fn fold_next<'a>(
    before: Digest,
    sequence: Sequence,
    rows: impl Iterator<Item = (u16, &'a [u8], Option<&'a [u8]>)>,
    scratch: &mut Vec<u8>,
) -> Digest {
    // One contiguous buffer: BLAKE3 is markedly faster over one piece than over many small updates.
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
    // Changes are below 64 KiB and rows smaller still; saturating keeps the function total.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_pinned() {
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

    #[test]
    fn a_change_has_one_digest_whether_it_is_hashed_in_one_piece_or_two() {
        let start = chain_start(StoreId([7; 16]));
        for length in [0, 1, ONE_PIECE_BYTES - CHAIN_HEAD_BYTES, ONE_PIECE_BYTES - CHAIN_HEAD_BYTES + 1, 5_000] {
            let bytes = vec![0xa5; length];
            let mut by_hand = start.0.to_vec();
            by_hand.extend_from_slice(&9_u64.to_le_bytes());
            by_hand.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
            by_hand.extend_from_slice(&bytes);
            assert_eq!(chain_next(start, Sequence(9), &bytes).0, *blake3::hash(&by_hand).as_bytes(), "{length}");
        }
    }

    #[test]
    fn a_removed_row_and_an_empty_one_differ() {
        let start = fold_start(1);
        let mut scratch = Vec::new();
        let removed = fold_next(start, Sequence(1), [(1, &b"k"[..], None)].into_iter(), &mut scratch);
        let empty = fold_next(start, Sequence(1), [(1, &b"k"[..], Some(&b""[..]))].into_iter(), &mut scratch);
        assert_ne!(removed, empty);
    }
}
