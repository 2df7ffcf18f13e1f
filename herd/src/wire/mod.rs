//! The wire: blobs that are complete in themselves.
//!
//! ```text
//! magic "HERDLINX" | wire version u8 | blob kind u8 | body length u32 LE | body | BLAKE3 of all before it, 32
//! ```
//! A body is the postcard form of one type that never alters within a wire version. The bytes of changes travel in it
//! as they are stored: a wire version never touches them. Golden bytes stand in the tests.

mod bodies;

pub use bodies::{Acknowledged, BarnHead, Body, ExportEnd, Heartbeat, Page, PageEnd, Schema};

use serde::{Serialize, de::DeserializeOwned};

/// The version of the blobs that this binary writes; it reads no other.
pub const WIRE_VERSION: u8 = 1;
/// The most bytes of changes on one page, whoever asked.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most changes on one page, whoever asked.
pub const PAGE_CHANGES: usize = 10_000;
/// The longest blob that is read: a page, its header and the lengths of its changes.
pub const BLOB_BYTES: usize = PAGE_BYTES + 64 * 1024 + 5 * PAGE_CHANGES;

const MAGIC: &[u8; 8] = b"HERDLINX";
const HEADER_BYTES: usize = 8 + 1 + 1 + 4;
const DIGEST_BYTES: usize = 32;

/// What a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlobKind {
    /// Changes, and the positions at both ends of them.
    Page = 1,
    /// A follower says what is durable on its side.
    Acknowledged = 2,
    /// Either side says that it is alive and where it stands.
    Heartbeat = 3,
    /// What a source holds and speaks.
    Schema = 4,
    /// The end of a full export.
    ExportEnd = 5,
}

/// Why bytes are not the blob that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// They end before the blob does.
    #[error("the answer was cut: {found} bytes of {expected}")]
    Cut {
        /// How many came.
        found: usize,
        /// How many the header promises, as far as it came.
        expected: usize,
    },
    /// They do not begin as a blob does.
    #[error("the answer is no HerdLinx blob: is the address that of a HerdLinx barn or mirror?")]
    NoBlob,
    /// Another wire version.
    #[error("the other side speaks wire version {found}, this program {WIRE_VERSION}: upgrade the older one")]
    Version {
        /// Which.
        found: u8,
    },
    /// A blob of another kind, or one that this binary does not know.
    #[error("the other side sent a blob of kind {found} where one of kind {expected} belongs")]
    Kind {
        /// What came.
        found: u8,
        /// What was expected.
        expected: u8,
    },
    /// Longer than any blob.
    #[error("the other side announces a blob of {bytes} bytes; none has more than {BLOB_BYTES}")]
    TooLong {
        /// What the header says.
        bytes: usize,
    },
    /// The digest does not fit the bytes.
    #[error("the answer was altered on its way: its digest does not fit")]
    Altered,
    /// The body does not read, though its digest fits.
    #[error("the body of the blob does not read: the other side is at fault")]
    Unreadable,
    /// Bytes follow the end of the blob.
    #[error("{bytes} bytes follow the end of the blob")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// Writes a blob.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the expectation inside says why it cannot happen")]
pub fn to_blob<T: Body + Serialize>(body: &T) -> Vec<u8> {
    let mut blob = Vec::with_capacity(256);
    blob.extend_from_slice(MAGIC);
    blob.extend_from_slice(&[WIRE_VERSION, T::KIND as u8, 0, 0, 0, 0]);
    let mut blob = postcard::to_extend(body, blob)
        .expect("postcard into a vector fails only for sequences of unknown length, and there are none here");
    let length = u32::try_from(blob.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    blob[10..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let digest = blake3::hash(&blob);
    blob.extend_from_slice(digest.as_bytes());
    blob
}

/// What kind of blob these bytes begin, if they begin one of this wire version.
pub fn kind_of(bytes: &[u8]) -> Result<BlobKind, BlobError> {
    let (kind, _) = header(bytes)?;
    [BlobKind::Page, BlobKind::Acknowledged, BlobKind::Heartbeat, BlobKind::Schema, BlobKind::ExportEnd]
        .into_iter()
        .find(|known| *known as u8 == kind)
        .ok_or(BlobError::Kind { found: kind, expected: 0 })
}

/// The length of the whole blob that these bytes begin; none while its header is not there yet.
pub fn whole_length(bytes: &[u8]) -> Result<Option<usize>, BlobError> {
    match header(bytes) {
        Ok((_, body_bytes)) => Ok(Some(HEADER_BYTES + body_bytes + DIGEST_BYTES)),
        Err(BlobError::Cut { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Kind and body length.
fn header(bytes: &[u8]) -> Result<(u8, usize), BlobError> {
    let shown = bytes.len().min(MAGIC.len());
    if bytes[..shown] != MAGIC[..shown] {
        return Err(BlobError::NoBlob);
    }
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(BlobError::Cut { found: bytes.len(), expected: HEADER_BYTES });
    };
    if header[8] != WIRE_VERSION {
        return Err(BlobError::Version { found: header[8] });
    }
    let length = u32::from_le_bytes([header[10], header[11], header[12], header[13]]) as usize;
    if length > BLOB_BYTES {
        return Err(BlobError::TooLong { bytes: length });
    }
    Ok((header[9], length))
}

/// Reads a blob that is all of `bytes`.
pub fn from_blob<T: Body + DeserializeOwned>(bytes: &[u8]) -> Result<T, BlobError> {
    let (kind, body_bytes) = header(bytes)?;
    if kind != T::KIND as u8 {
        return Err(BlobError::Kind { found: kind, expected: T::KIND as u8 });
    }
    let expected = HEADER_BYTES + body_bytes + DIGEST_BYTES;
    if bytes.len() < expected {
        return Err(BlobError::Cut { found: bytes.len(), expected });
    }
    if bytes.len() > expected {
        return Err(BlobError::Trailing { bytes: bytes.len() - expected });
    }
    let (signed, digest) = bytes.split_at(expected - DIGEST_BYTES);
    if blake3::hash(signed).as_bytes() != digest {
        return Err(BlobError::Altered);
    }
    match postcard::take_from_bytes(&signed[HEADER_BYTES..]) {
        Ok((body, [])) => Ok(body),
        _ => Err(BlobError::Unreadable),
    }
}

#[cfg(test)]
mod tests;
