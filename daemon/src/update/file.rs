//! The header of an update file: everything up to the compressed image.

use super::keys::{PublicKeys, SIGNATURE_BYTES, SigningKey};
use super::manifest::Manifest;
use std::io::{self, Read};

/// First bytes of an update file.
pub const MAGIC: [u8; 16] = *b"herdlinx-update\n";
/// Format of the file.
pub const FORMAT: u32 = 1;
/// Maximum length of the manifest. Today's has about 200 bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;

const NUMBER_BYTES: usize = 4;
const START_BYTES: usize = MAGIC.len() + 2 * NUMBER_BYTES;

/// Reason why a file is not an update for this card.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read.
    #[error("cannot read the update file: {0}")]
    Read(#[source] io::Error),
    /// The file ends within its header.
    #[error("the update file is incomplete; copy it again")]
    CutShort,
    /// The file is something else.
    #[error("this is not an update file of HerdLinx")]
    Magic,
    /// A newer program wrote the file.
    #[error("the update file has format {format}, and this version reads {FORMAT}: install an older update first")]
    Format {
        /// Format of the file.
        format: u32,
    },
    /// The manifest is longer than any that this program knows.
    #[error("the manifest of the update file is longer than {MAX_MANIFEST_BYTES} bytes")]
    TooLong,
    /// No trusted key signed the manifest.
    #[error("the update file is not signed by a key that this card trusts; it was not installed")]
    Signature,
    /// The manifest is signed and cannot be read.
    #[error("cannot read the manifest of the update file: {0}")]
    Manifest(String),
}

/// Reads a header, and returns its manifest if one of `keys` signed it. The image follows in `source`.
pub fn read_header(source: &mut impl Read, keys: &PublicKeys) -> Result<Manifest, FileError> {
    let mut signed = vec![0; START_BYTES];
    read_bytes(source, &mut signed, FileError::Magic)?;
    let (magic, numbers) = signed.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(FileError::Magic);
    }
    let (format, length) = numbers.split_at(NUMBER_BYTES);
    match number(format) {
        FORMAT => {}
        format => return Err(FileError::Format { format }),
    }
    let length = usize::try_from(number(length)).unwrap_or(usize::MAX);
    if length > MAX_MANIFEST_BYTES {
        return Err(FileError::TooLong);
    }
    signed.resize(START_BYTES + length, 0);
    read_bytes(source, &mut signed[START_BYTES..], FileError::CutShort)?;
    let mut signature = [0; SIGNATURE_BYTES];
    read_bytes(source, &mut signature, FileError::CutShort)?;
    if !keys.verify(&signed, &signature) {
        return Err(FileError::Signature);
    }
    let text = std::str::from_utf8(&signed[START_BYTES..]).map_err(|error| FileError::Manifest(error.to_string()))?;
    toml::from_str(text).map_err(|error| FileError::Manifest(error.to_string()))
}

/// Encodes a header.
pub fn encode_header(manifest: &Manifest, key: &SigningKey) -> Result<Vec<u8>, FileError> {
    let text = toml::to_string(manifest).map_err(|error| FileError::Manifest(error.to_string()))?;
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= MAX_MANIFEST_BYTES);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(length.ok_or(FileError::TooLong)?.to_le_bytes());
    bytes.extend(text.as_bytes());
    let signature = key.sign(&bytes);
    bytes.extend(signature);
    Ok(bytes)
}

/// Returns the little-endian number in up to four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Fills `bytes`, or returns `at_end` if the file ends before.
fn read_bytes(source: &mut impl Read, bytes: &mut [u8], at_end: FileError) -> Result<(), FileError> {
    match source.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(at_end),
        result => result.map_err(FileError::Read),
    }
}
