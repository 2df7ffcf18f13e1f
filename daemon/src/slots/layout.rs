//! The places of the slots on the disk, from its MBR.
//!
//! The partition table is read here rather than through the kernel, because an image file has no partitions there, and
//! U-Boot goes by this table too.

use super::Slot;
use super::copies::COPY_OFFSETS;
use super::state::STATE_BYTES;

/// Size of the MBR and unit of its numbers.
pub const SECTOR_BYTES: usize = 512;

const TABLE_OFFSET: usize = 446;
const ENTRY_BYTES: usize = 16;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// Type of a partition with a Linux file system.
const LINUX: u8 = 0x83;

/// Reason why a disk is not a card with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is not a HerdLinx card: {reason}")]
pub struct LayoutError {
    reason: &'static str,
}

/// A range of bytes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl Extent {
    fn end(self) -> u64 {
        self.offset + self.length
    }
}

/// Places of both slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    a: Extent,
    b: Extent,
}

impl Layout {
    /// Decodes the first sector of a disk.
    pub fn decode(mbr: &[u8; SECTOR_BYTES]) -> Result<Self, LayoutError> {
        let refuse = |reason| Err(LayoutError { reason });
        if !mbr.ends_with(&SIGNATURE) {
            return refuse("it has no MBR");
        }
        let (Some(a), Some(b)) = (linux_partition(mbr, 2), linux_partition(mbr, 3)) else {
            return refuse("partitions 2 and 3 are not slots");
        };
        let last_copy_end = COPY_OFFSETS[1] + STATE_BYTES as u64;
        if a.offset < last_copy_end || b.offset < a.end() {
            return refuse("the slots overlap each other or the state");
        }
        if a.length != b.length {
            return refuse("the slots differ in size");
        }
        Ok(Self { a, b })
    }

    /// Returns the place of a slot.
    pub fn slot(&self, slot: Slot) -> Extent {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }
}

/// Returns the place of a partition, by its number from 1, if it is there and may hold a Linux file system.
fn linux_partition(mbr: &[u8; SECTOR_BYTES], number: usize) -> Option<Extent> {
    let entry = mbr[TABLE_OFFSET + (number - 1) * ENTRY_BYTES..].first_chunk::<ENTRY_BYTES>()?;
    let [.., o0, o1, o2, o3, l0, l1, l2, l3] = *entry;
    let bytes = |sectors: [u8; 4]| u64::from(u32::from_le_bytes(sectors)) * SECTOR_BYTES as u64;
    let extent = Extent { offset: bytes([o0, o1, o2, o3]), length: bytes([l0, l1, l2, l3]) };
    (entry[4] == LINUX && extent.length > 0).then_some(extent)
}
