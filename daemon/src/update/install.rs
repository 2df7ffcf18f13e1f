//! Writing an image to the idle slot.
//!
//! The order makes a power cut harmless at any time:
//!
//! 1. the idle slot is no longer chosen by the state, nor on trial;
//! 2. its first block, which makes it a file system, is overwritten with zeros;
//! 3. everything except the first part of the image is written, flushed and read back;
//! 4. the first part is written, flushed and read back;
//! 5. the state puts the slot on trial.
//!
//! Up to step 5 the running slot starts. Before step 4 is done, nothing can start the idle one, nor go back to it.

use super::frames::{FRAME_BYTES, FrameReader};
use super::manifest::Manifest;
use crate::slots::card::{Card, SlotError};
use crate::slots::disk::{RawDisk, SlotDiskError};
use crate::slots::layout::Extent;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// Bytes that are written at once.
const CHUNK_BYTES: usize = FRAME_BYTES;
/// Bytes after which writes are flushed. The recorder's commits share the disk, and would wait behind all of them.
const FLUSH_BYTES: u64 = 8 * CHUNK_BYTES as u64;
/// Size of the block that is overwritten with zeros. ext4 has its magic number in it.
const FIRST_BLOCK_BYTES: usize = 4096;
/// Additional bytes that incompressible frames may need: 1/64 of the image, and this much.
const MAX_OVERHEAD_BYTES: u64 = 1024 * 1024;

/// Reason why an image was not installed. The running slot is unaffected in each case.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The slots could not be used.
    #[error(transparent)]
    Card(#[from] SlotError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] SlotDiskError),
    /// The file ends early, or its frames are damaged.
    #[error("the update file is damaged or incomplete: {0}; copy it again")]
    Frames(#[source] io::Error),
    /// The file goes on after the image.
    #[error("the update file is damaged: it is longer than its manifest says; copy it again")]
    Surplus,
    /// The image is not the signed one.
    #[error("the update file is damaged: its image is not the one that was signed; copy it again")]
    Hash,
    /// The disk returned other bytes than those that were written.
    #[error("the card does not keep what is written to it: replace it. The running slot is unaffected")]
    NotKept,
}

/// Bytes of an image that are on the disk, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallProgress {
    /// Bytes that are done.
    pub done: u64,
    /// Bytes in total: the image is written and then read.
    pub total: u64,
}

/// Writes the image to the idle slot, and puts the slot on trial.
pub fn install<D: RawDisk>(
    card: &Card<D>,
    manifest: &Manifest,
    frames: impl Read,
    on_progress: &mut dyn FnMut(InstallProgress),
) -> Result<(), InstallError> {
    card.release_idle()?;
    let mut writer = SlotWriter { disk: card.disk(), extent: card.idle_extent(), manifest, on_progress, done: 0 };
    writer.clear_first_block()?;
    let first_chunk = writer.write_rest(frames)?;
    writer.verify_rest(&first_chunk)?;
    writer.write_first_chunk(&first_chunk)?;
    Ok(card.begin_trial()?)
}

struct SlotWriter<'a, D> {
    disk: &'a D,
    extent: Extent,
    manifest: &'a Manifest,
    on_progress: &'a mut dyn FnMut(InstallProgress),
    done: u64,
}

impl<D: RawDisk> SlotWriter<'_, D> {
    fn clear_first_block(&self) -> Result<(), SlotDiskError> {
        self.disk.write_at(&[0; FIRST_BLOCK_BYTES], self.extent.offset)?;
        self.disk.sync()
    }

    /// Writes everything after the first chunk, checks the hash of the whole, and returns the first chunk.
    fn write_rest(&mut self, frames: impl Read) -> Result<Vec<u8>, InstallError> {
        let size = self.manifest.slot_bytes;
        let max_compressed = size.saturating_add(size / 64).saturating_add(MAX_OVERHEAD_BYTES);
        let mut image = FrameReader::new(frames.take(max_compressed));
        let (mut hash, mut first_chunk) = (Sha256::new(), Vec::new());
        let mut chunk = vec![0; CHUNK_BYTES];
        for offset in (0..size).step_by(CHUNK_BYTES) {
            let chunk = &mut chunk[..chunk_length(size, offset)];
            image.read_exact(chunk).map_err(InstallError::Frames)?;
            hash.update(&chunk);
            if offset == 0 {
                first_chunk = chunk.to_vec();
            } else {
                self.disk.write_at(chunk, self.extent.offset + offset)?;
            }
            if offset.is_multiple_of(FLUSH_BYTES) {
                self.disk.sync()?;
            }
            self.advance(chunk.len());
        }
        if image.into_source().read(&mut [0]).map_err(InstallError::Frames)? > 0 {
            return Err(InstallError::Surplus);
        }
        if hash.finalize()[..] != self.manifest.slot_sha256 {
            return Err(InstallError::Hash);
        }
        self.disk.sync()?;
        Ok(first_chunk)
    }

    /// Reads back from the disk what was written, and checks the hash of the whole again.
    fn verify_rest(&mut self, first_chunk: &[u8]) -> Result<(), InstallError> {
        let size = self.manifest.slot_bytes;
        self.disk.drop_cache(self.extent.offset, size)?;
        let mut hash = Sha256::new();
        hash.update(first_chunk);
        self.advance(first_chunk.len());
        let mut chunk = vec![0; CHUNK_BYTES];
        for offset in (0..size).step_by(CHUNK_BYTES).skip(1) {
            let chunk = &mut chunk[..chunk_length(size, offset)];
            self.disk.read_at(chunk, self.extent.offset + offset)?;
            hash.update(&chunk);
            self.advance(chunk.len());
        }
        if hash.finalize()[..] == self.manifest.slot_sha256 { Ok(()) } else { Err(InstallError::NotKept) }
    }

    fn write_first_chunk(&self, first_chunk: &[u8]) -> Result<(), InstallError> {
        self.disk.write_at(first_chunk, self.extent.offset)?;
        self.disk.sync()?;
        self.disk.drop_cache(self.extent.offset, first_chunk.len() as u64)?;
        let mut kept = vec![0; first_chunk.len()];
        self.disk.read_at(&mut kept, self.extent.offset)?;
        if kept == first_chunk { Ok(()) } else { Err(InstallError::NotKept) }
    }

    fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        (self.on_progress)(InstallProgress { done: self.done, total: 2 * self.manifest.slot_bytes });
    }
}

/// Returns the length of the chunk at this place of an image.
fn chunk_length(size: u64, offset: u64) -> usize {
    usize::try_from(size - offset).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES))
}
