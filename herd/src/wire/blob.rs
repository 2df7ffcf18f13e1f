//! The frame around a body: header and digest.

use serde::{Serialize, de::DeserializeOwned};

/// Wire version that this program writes. It reads no other.
pub const WIRE_VERSION: u8 = 1;
/// Maximum size of the changes on one page, whatever limit the request asks for.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum number of changes on one page, whatever limit the request asks for.
pub const MAX_PAGE_CHANGES: usize = 10_000;
/// Maximum length of a blob that is read: a full page, its header, and at most 5 bytes of length for each change.
pub const MAX_BLOB_BYTES: usize = MAX_PAGE_BYTES + 64 * 1024 + 5 * MAX_PAGE_CHANGES;

const MAGIC: &[u8; 8] = b"HERDLINX";
const HEADER_BYTES: usize = 8 + 1 + 1 + 4;
const DIGEST_BYTES: usize = 32;

/// Kind of a blob, with its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlobKind {
    /// Changes, with the positions at both ends.
    Page = 1,
    /// Position up to which a follower holds the log durably.
    Acknowledgment = 2,
    /// Sign of life with the sender's position.
    Heartbeat = 3,
    /// State and wire version of a source.
    Schema = 4,
    /// End of a full export.
    ExportEnd = 5,
    /// Health of the barn. Only for followers that name it.
    BarnHealth = 6,
    /// Start of a backup file. Never sent to a follower.
    BackupStart = 7,
}

impl BlobKind {
    const ALL: [Self; 7] = [
        Self::Page,
        Self::Acknowledgment,
        Self::Heartbeat,
        Self::Schema,
        Self::ExportEnd,
        Self::BarnHealth,
        Self::BackupStart,
    ];
}

/// A type that is the body of one kind of blob.
pub trait Body {
    /// Kind of the blobs that carry this body.
    const KIND: BlobKind;
}

/// Reason why bytes are not the expected blob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The bytes end before the blob does.
    #[error("the blob was cut short: {found} of {expected} bytes")]
    Truncated {
        /// Number of bytes received.
        found: usize,
        /// Length of the blob, or of its header if that is incomplete.
        expected: usize,
    },
    /// The bytes do not start with the magic of a blob.
    #[error("not a HerdLinx blob: is the address that of a HerdLinx barn or mirror?")]
    BadMagic,
    /// The blob has another wire version.
    #[error("the other side uses wire version {found}, this program {WIRE_VERSION}: upgrade the older one")]
    Version {
        /// Wire version of the blob.
        found: u8,
    },
    /// The blob is of another kind, or of a kind that this program does not know.
    #[error("the other side sent a blob of kind {found} instead of kind {expected}")]
    Kind {
        /// Kind of the blob.
        found: u8,
        /// Expected kind; 0 if any known kind would do.
        expected: u8,
    },
    /// The header announces more bytes than any blob may have.
    #[error("the other side announces a blob of {bytes} bytes; the limit is {MAX_BLOB_BYTES}")]
    TooLong {
        /// Announced length of the body.
        bytes: usize,
    },
    /// The digest does not match the bytes.
    #[error("the blob was altered on its way: its digest does not match")]
    DigestMismatch,
    /// The body cannot be decoded, although its digest matches.
    #[error("the body of the blob cannot be decoded: the other side is at fault")]
    Malformed,
    /// Bytes follow the end of the blob.
    #[error("{bytes} bytes follow the end of the blob")]
    Trailing {
        /// Number of bytes after the end.
        bytes: usize,
    },
}

/// Encodes a body as a blob.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the expectation inside says why it cannot happen")]
pub fn to_blob<T: Body + Serialize>(body: &T) -> Vec<u8> {
    let mut blob = Vec::with_capacity(256);
    blob.extend_from_slice(MAGIC);
    blob.extend_from_slice(&[WIRE_VERSION, T::KIND as u8, 0, 0, 0, 0]);
    let mut blob = postcard::to_extend(body, blob)
        .expect("postcard into a vector fails only for sequences of unknown length, and bodies have none");
    let length = u32::try_from(blob.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    blob[10..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let digest = blake3::hash(&blob);
    blob.extend_from_slice(digest.as_bytes());
    blob
}

/// Returns the kind of the blob that starts here. Reads the header only.
pub fn blob_kind(bytes: &[u8]) -> Result<BlobKind, BlobError> {
    let (kind, _) = header(bytes)?;
    let known = BlobKind::ALL.into_iter().find(|known| *known as u8 == kind);
    known.ok_or(BlobError::Kind { found: kind, expected: 0 })
}

/// Returns the length of the blob that starts here, digest included, or `None` if its header is incomplete.
pub fn blob_length(bytes: &[u8]) -> Result<Option<usize>, BlobError> {
    match header(bytes) {
        Ok((_, body_bytes)) => Ok(Some(HEADER_BYTES + body_bytes + DIGEST_BYTES)),
        Err(BlobError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the kind and the body length that the header states.
fn header(bytes: &[u8]) -> Result<(u8, usize), BlobError> {
    let shown = bytes.len().min(MAGIC.len());
    if bytes[..shown] != MAGIC[..shown] {
        return Err(BlobError::BadMagic);
    }
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(BlobError::Truncated { found: bytes.len(), expected: HEADER_BYTES });
    };
    if header[8] != WIRE_VERSION {
        return Err(BlobError::Version { found: header[8] });
    }
    let length = u32::from_le_bytes([header[10], header[11], header[12], header[13]]) as usize;
    if length > MAX_BLOB_BYTES {
        return Err(BlobError::TooLong { bytes: length });
    }
    Ok((header[9], length))
}

/// Returns what arrived of the body of a blob that was cut short. Its digest is missing, so nothing proves these bytes.
pub(super) fn cut_body<T: Body>(bytes: &[u8]) -> Result<&[u8], BlobError> {
    let (kind, body_bytes) = header(bytes)?;
    if kind != T::KIND as u8 {
        return Err(BlobError::Kind { found: kind, expected: T::KIND as u8 });
    }
    let body = &bytes[HEADER_BYTES..];
    Ok(&body[..body.len().min(body_bytes)])
}

/// Decodes a blob, which must fill `bytes` exactly.
pub fn from_blob<T: Body + DeserializeOwned>(bytes: &[u8]) -> Result<T, BlobError> {
    let (kind, body_bytes) = header(bytes)?;
    if kind != T::KIND as u8 {
        return Err(BlobError::Kind { found: kind, expected: T::KIND as u8 });
    }
    let expected = HEADER_BYTES + body_bytes + DIGEST_BYTES;
    if bytes.len() < expected {
        return Err(BlobError::Truncated { found: bytes.len(), expected });
    }
    if bytes.len() > expected {
        return Err(BlobError::Trailing { bytes: bytes.len() - expected });
    }
    let (signed, digest) = bytes.split_at(expected - DIGEST_BYTES);
    if blake3::hash(signed).as_bytes() != digest {
        return Err(BlobError::DigestMismatch);
    }
    match postcard::take_from_bytes(&signed[HEADER_BYTES..]) {
        Ok((body, [])) => Ok(body),
        _ => Err(BlobError::Malformed),
    }
}
