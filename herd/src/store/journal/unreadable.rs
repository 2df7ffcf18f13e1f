//! Blocks of the journal that the medium does not return.

use super::record::{BLOCK_BYTES, announced_row, laid_bytes};
use crate::position::Sequence;
use redb::StorageBackend;
use std::ops::Range;

/// Blocks that could not be read, and what the others announce.
#[derive(Debug, Default)]
pub(super) struct UnreadableBlocks {
    /// Offsets, in order.
    offsets: Vec<u64>,
    /// Records that begin in blocks that were read, in order: the first change of each, and its bytes in the file. Nothing
    /// proves them. Empty if every block was read.
    announced: Vec<(Sequence, Range<u64>)>,
}

impl UnreadableBlocks {
    /// Reads the file into `bytes`, which has its length and is zero. Blocks that cannot be read stay zero, which is no record.
    pub(super) fn read(file: &dyn StorageBackend, bytes: &mut [u8]) -> Self {
        let mut found = Self::default();
        if file.read(0, bytes).is_ok() {
            return found;
        }
        for (offset, block) in (0..).step_by(BLOCK_BYTES).zip(bytes.chunks_mut(BLOCK_BYTES)) {
            block.fill(0);
            if let Err(error) = file.read(offset, block) {
                tracing::error!(file = super::JOURNAL_FILE, offset, %error, "a block of the journal cannot be read");
                block.fill(0);
                found.offsets.push(offset);
            } else if let Some(row) = announced_row(block, 0) {
                let laid = usize::try_from(row.bytes).map_or(u64::MAX, |bytes| laid_bytes(bytes) as u64);
                found.announced.push((row.first, offset..offset.saturating_add(laid)));
            }
        }
        found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Returns the first unreadable block of a record of `next` that begins at `place`, if there may be one.
    pub(super) fn of_record(&self, next: Sequence, place: u64) -> Option<u64> {
        let announced = self.announced.iter().find(|(first, bytes)| *first == next && bytes.start == place);
        let bytes = announced.map_or(place..place.saturating_add(1), |(_, bytes)| bytes.clone());
        self.offsets.iter().copied().find(|offset| bytes.contains(offset))
    }
}
