//! Making an update file from the image of a slot.

use super::file::{FileError, encode_header};
use super::frames::{FRAME_BYTES, compress};
use super::keys::SigningKey;
use super::manifest::{Manifest, WRITES_STATE_FORMAT};
use semver::Version;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Reason why an update file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The image could not be read.
    #[error("cannot read the image of the slot: {0}")]
    Read(#[source] io::Error),
    /// The file could not be written.
    #[error("cannot write the update file: {0}")]
    Write(#[source] io::Error),
    /// The header could not be encoded.
    #[error(transparent)]
    Header(#[from] FileError),
}

/// Writes the update file of an image to `out`, and returns its manifest.
///
/// The image is of the same commit as this program, so it writes the same formats.
pub fn seal(
    image: &mut (impl Read + Seek),
    version: Version,
    commit: String,
    key: &SigningKey,
    out: &mut impl Write,
) -> Result<Manifest, SealError> {
    let (mut hash, mut slot_bytes) = (Sha256::new(), 0);
    read_chunks(image, |chunk| {
        hash.update(chunk);
        slot_bytes += chunk.len() as u64;
        Ok(())
    })?;
    let slot_sha256 = hash.finalize().into();
    let manifest = Manifest { version, commit, slot_bytes, slot_sha256, state_format: WRITES_STATE_FORMAT };
    out.write_all(&encode_header(&manifest, key)?).map_err(SealError::Write)?;
    image.seek(SeekFrom::Start(0)).map_err(SealError::Read)?;
    read_chunks(image, |chunk| out.write_all(&compress(chunk)).map_err(SealError::Write))?;
    out.flush().map_err(SealError::Write)?;
    Ok(manifest)
}

/// Passes the image to `take`, in chunks of one frame each.
fn read_chunks(image: &mut impl Read, mut take: impl FnMut(&[u8]) -> Result<(), SealError>) -> Result<(), SealError> {
    let mut chunk = Vec::with_capacity(FRAME_BYTES);
    loop {
        chunk.clear();
        let length = image.by_ref().take(FRAME_BYTES as u64).read_to_end(&mut chunk).map_err(SealError::Read)?;
        if length == 0 {
            return Ok(());
        }
        take(&chunk)?;
    }
}
