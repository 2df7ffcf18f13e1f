//! Rows of the log and records of the journal, encoded as their documentation says and not by the code under test.
//!
//! The formats are frozen, and golden bytes guard them in `herd`. This second encoder makes what no honest program would
//! write: rows with wrong numbers, and records that are whole and tell lies.

use herd::digest::chain_next;
use herd::position::{Digest, Sequence, StoreId};

/// Unit in which records are laid.
pub const BLOCK_BYTES: usize = 4_096;
/// Offset of the digest after a row.
pub const ROW_AFTER: usize = 37;
/// Length of a row without its changes.
pub const ROW_HEADER_BYTES: usize = 69;

/// Encodes a row of the log, and returns the digest after it as well.
pub fn row(first: Sequence, before: Digest, changes: &[&[u8]]) -> (Vec<u8>, Digest) {
    let mut after = before;
    let mut body = Vec::new();
    for (change, n) in changes.iter().zip(first.0..) {
        after = chain_next(after, Sequence(n), change);
        body.extend(length_le(change));
        body.extend_from_slice(change);
    }
    let count = u32::try_from(changes.len()).unwrap_or(u32::MAX);
    ([&[1][..], &count.to_le_bytes(), &before.0, &after.0, &body].concat(), after)
}

/// Lays a record of the journal into blocks.
pub fn record(store: StoreId, generation: u64, first: Sequence, row: &[u8]) -> Vec<u8> {
    let body = [&[1][..], &store.0, &generation.to_le_bytes(), &first.0.to_le_bytes(), row].concat();
    let signed = [&length_le(&body)[..], &body].concat();
    let record = [&blake3::hash(&signed).as_bytes()[..], &signed].concat();
    let mut laid = Vec::new();
    for (at, part) in record.chunks(BLOCK_BYTES - 1).enumerate() {
        laid.push(if at == 0 { b'B' } else { b'C' });
        laid.extend_from_slice(part);
        laid.resize(laid.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    laid
}

fn length_le(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}
