//! The two copies of the state on the disk.

use super::Slot;
use super::disk::{RawDisk, SlotDiskError};
use super::state::{MAX_SEQUENCE, STATE_BYTES, SlotState, Trial};

/// Places of the copies. They are far apart, so that they do not share an erase block of the card, and lie before the
/// first partition. `image/card.d/boot/boot.cmd` has them as sectors 0x2000 and 0x4000.
pub const COPY_OFFSETS: [u64; 2] = [4 << 20, 8 << 20];

/// Reason why a state could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk failed.
    #[error("{0}; the state of the slots was not changed, or the older copy of it is damaged")]
    Disk(#[from] SlotDiskError),
    /// The disk returned other bytes than those that were written.
    #[error("the disk does not keep what is written to it; replace the card. The state of the slots did not change")]
    NotKept,
    /// The numbers are used up, which takes longer than a card lives.
    #[error("the state of the slots was written {MAX_SEQUENCE} times; flash the card again")]
    Exhausted,
}

/// Both copies, as they were read. `None` is one that is damaged or was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies(pub [Option<SlotState>; 2]);

impl Copies {
    /// Reads both copies from the disk. One that cannot be read is damaged; U-Boot skips it too.
    pub fn read(disk: &impl RawDisk) -> Self {
        Self(COPY_OFFSETS.map(|offset| {
            let mut bytes = [0; STATE_BYTES];
            match disk.read_at(&mut bytes, offset) {
                Ok(()) => SlotState::decode(&bytes),
                Err(error) => {
                    tracing::warn!(%error, "a copy of the slots' state cannot be read");
                    None
                }
            }
        }))
    }

    /// Returns the copy that counts: the one with the higher number, or the first one if they are equal.
    pub fn newest(&self) -> Option<SlotState> {
        self.newest_index().and_then(|index| self.0[index])
    }

    fn newest_index(&self) -> Option<usize> {
        match self.0.map(|copy| copy.map(|state| state.sequence)) {
            [None, None] => None,
            [Some(_), None] => Some(0),
            [None, Some(_)] => Some(1),
            [Some(first), Some(second)] => Some(usize::from(second > first)),
        }
    }

    /// Writes the next state over the copy that does not count, and reads it back from the disk.
    pub fn write_next(&self, disk: &impl RawDisk, good: Slot, trial: Option<Trial>) -> Result<SlotState, StateError> {
        let last = self.newest().map_or(0, |state| state.sequence);
        let sequence = last.checked_add(1).filter(|next| *next <= MAX_SEQUENCE).ok_or(StateError::Exhausted)?;
        let next = SlotState { sequence, good, trial };
        let index = self.newest_index().map_or(0, |newest| 1 - newest);
        let (bytes, offset) = (next.encode(), COPY_OFFSETS[index]);
        disk.write_at(&bytes, offset)?;
        disk.sync()?;
        disk.drop_cache(offset, STATE_BYTES as u64)?;
        let mut kept = [0; STATE_BYTES];
        disk.read_at(&mut kept, offset)?;
        if kept == bytes { Ok(next) } else { Err(StateError::NotKept) }
    }
}
