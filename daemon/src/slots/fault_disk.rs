//! A disk in memory that loses power, tears writes, or does not keep what is written to it; and U-Boot's choice on it.

use super::Slot;
use super::booted_slot::BootedSlot;
use super::copies::Copies;
use super::disk::{RawDisk, SlotDiskError};
use super::layout::SECTOR_BYTES;
use super::state::Trial;
use std::cell::RefCell;
use std::io::ErrorKind;

/// Size of a slot on [`card_image`]: several chunks of an update, the last one not whole.
pub(crate) const SLOT_BYTES: usize = 2 * 1024 * 1024 + 8 * SECTOR_BYTES;
/// Place of slot a: right after the second copy of the state.
pub(crate) const SLOT_A_OFFSET: usize = (8 << 20) + SECTOR_BYTES;

/// Returns a card with two slots, each filled with one byte, and no state.
pub(crate) fn card_image() -> Vec<u8> {
    let mut image = vec![0; SLOT_A_OFFSET + 2 * SLOT_BYTES];
    image[SLOT_A_OFFSET..][..SLOT_BYTES].fill(b'a');
    image[SLOT_A_OFFSET + SLOT_BYTES..].fill(b'b');
    let sectors = |bytes: usize| u32::try_from(bytes / SECTOR_BYTES).unwrap().to_le_bytes();
    for (entry, offset) in [(1, SLOT_A_OFFSET), (2, SLOT_A_OFFSET + SLOT_BYTES)] {
        let entry = &mut image[446 + entry * 16..][..16];
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&sectors(offset));
        entry[12..].copy_from_slice(&sectors(SLOT_BYTES));
    }
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

/// Returns the bytes of a slot on a card.
pub(crate) fn slot_bytes(image: &[u8], slot: Slot) -> &[u8] {
    let offset = SLOT_A_OFFSET + if slot == Slot::A { 0 } else { SLOT_BYTES };
    &image[offset..][..SLOT_BYTES]
}

/// Starts a card as `boot.cmd` does: chooses the slot and counts a trial down.
pub(crate) fn start(disk: &FaultDisk) -> BootedSlot {
    let copies = Copies::read(disk);
    let Some(state) = copies.newest() else { return BootedSlot { slot: Slot::A, is_trial: false } };
    match state.trial {
        Some(Trial { slot, starts_left }) if starts_left > 0 => {
            copies.write_next(disk, state.good, Some(Trial { slot, starts_left: starts_left - 1 })).unwrap();
            BootedSlot { slot, is_trial: true }
        }
        _ => BootedSlot { slot: state.good, is_trial: false },
    }
}

/// A disk with a cache that a power cut empties.
pub(crate) struct FaultDisk(RefCell<Contents>);

struct Contents {
    /// Bytes as reads return them.
    cached: Vec<u8>,
    /// Bytes that survive a power cut.
    durable: Vec<u8>,
    /// Writes since the last flush.
    unflushed: Vec<(usize, Vec<u8>)>,
    /// Writes and flushes until the power fails.
    actions_left: Option<usize>,
    /// First byte of a sector that keeps nothing.
    dead_sector: Option<usize>,
    /// Writes and flushes that were tried.
    actions: usize,
}

impl FaultDisk {
    pub(crate) fn new(image: Vec<u8>) -> Self {
        let contents = Contents {
            cached: image.clone(),
            durable: image,
            unflushed: Vec::new(),
            actions_left: None,
            dead_sector: None,
            actions: 0,
        };
        Self(RefCell::new(contents))
    }

    /// Fails every write and flush after this many of them. The last write before is not flushed.
    pub(crate) fn cut_after(self, actions: usize) -> Self {
        self.0.borrow_mut().actions_left = Some(actions);
        self
    }

    /// Loses what is written to the sector of this byte.
    pub(crate) fn with_dead_sector(self, offset: usize) -> Self {
        self.0.borrow_mut().dead_sector = Some(offset / SECTOR_BYTES * SECTOR_BYTES);
        self
    }

    /// Returns the number of writes and flushes that were tried.
    pub(crate) fn actions(&self) -> usize {
        self.0.borrow().actions
    }

    /// Returns the bytes that reads return.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.0.borrow().cached.clone()
    }

    /// Returns the disk after a power cut. `keeps` decides about each unflushed sector, in any order that the disk may
    /// have chosen; the last sector that it keeps is torn after `torn_at` bytes.
    pub(crate) fn after_cut(&self, mut keeps: impl FnMut() -> bool, torn_at: usize) -> Vec<u8> {
        let contents = self.0.borrow();
        let mut image = contents.durable.clone();
        let sectors = contents.unflushed.iter().flat_map(|(offset, bytes)| {
            bytes.chunks(SECTOR_BYTES).enumerate().map(move |(index, sector)| (offset + index * SECTOR_BYTES, sector))
        });
        let kept: Vec<_> = sectors.filter(|_| keeps()).collect();
        for (index, (offset, sector)) in kept.iter().enumerate() {
            let length = if index + 1 == kept.len() { sector.len().min(torn_at) } else { sector.len() };
            image[*offset..][..length].copy_from_slice(&sector[..length]);
        }
        image
    }
}

impl Contents {
    fn act(&mut self) -> Result<(), SlotDiskError> {
        self.actions += 1;
        match &mut self.actions_left {
            Some(0) => {
                let source = ErrorKind::BrokenPipe.into();
                Err(SlotDiskError::Io { path: "disk".into(), action: "reach".to_owned(), source })
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl RawDisk for FaultDisk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SlotDiskError> {
        let offset = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&self.0.borrow().cached[offset..][..buffer.len()]);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SlotDiskError> {
        let (mut contents, offset) = (self.0.borrow_mut(), usize::try_from(offset).unwrap());
        contents.act()?;
        contents.cached[offset..][..bytes.len()].copy_from_slice(bytes);
        contents.unflushed.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<(), SlotDiskError> {
        let contents = &mut *self.0.borrow_mut();
        contents.act()?;
        let dead = contents.dead_sector.map(|offset| (offset, contents.durable[offset..][..SECTOR_BYTES].to_vec()));
        for (offset, bytes) in contents.unflushed.drain(..) {
            contents.durable[offset..][..bytes.len()].copy_from_slice(&bytes);
        }
        if let Some((offset, bytes)) = dead {
            contents.durable[offset..][..SECTOR_BYTES].copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn drop_cache(&self, offset: u64, length: u64) -> Result<(), SlotDiskError> {
        let (contents, offset) = (&mut *self.0.borrow_mut(), usize::try_from(offset).unwrap());
        let range = offset..offset + usize::try_from(length).unwrap();
        contents.cached[range.clone()].copy_from_slice(&contents.durable[range]);
        Ok(())
    }
}
