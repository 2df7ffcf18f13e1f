//! The public keys that a card trusts, and the private key that signs updates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Length of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Length of a public key.
pub const KEY_BYTES: usize = 32;
/// Maximum size of a file with keys.
const MAX_FILE_BYTES: u64 = 16 * 1024;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Length of a line in a PEM file.
const PEM_LINE_CHARS: usize = 64;

/// Reason why keys could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read.
    #[error("cannot read the update key {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A line of a file with public keys is not a key.
    #[error("{} has no key in line {line}: a key is {} hexadecimal digits", path.display(), 2 * KEY_BYTES)]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line.
        line: usize,
    },
    /// The file with public keys has none.
    #[error("{} has no key, so no update can be verified", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a private key for Ed25519.
    #[error("{} is not an Ed25519 private key in PKCS#8 PEM form: `cargo xtask update-key` makes one", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// The system has no random bytes.
    #[error("cannot make a key: the system has no random bytes")]
    Randomness,
}

/// The public keys of a card. Several allow a key to be replaced: an update brings the next one before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys(Vec<[u8; KEY_BYTES]>);

impl PublicKeys {
    /// Reads a file with one key per line, in hexadecimal. Lines that begin with `#` and empty ones are skipped.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let mut keys = Vec::new();
        for (line, text) in (1..).zip(read_text(path)?.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let mut key = [0; KEY_BYTES];
            hex::decode_to_slice(text, &mut key).map_err(|_| KeyFileError::Line { path: path.into(), line })?;
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyFileError::Empty { path: path.into() }) } else { Ok(Self(keys)) }
    }

    /// Returns true if one of the keys signed the message.
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.iter().any(|key| UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok())
    }
}

/// The private key that signs updates. It never is on a card.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a key, and returns the text of its file.
    pub fn generate() -> Result<String, KeyFileError> {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyFileError::Randomness)?;
        let base64 = STANDARD.encode(der.as_ref());
        let mut pem = format!("{PEM_BEGIN}\n");
        for line in base64.as_bytes().chunks(PEM_LINE_CHARS) {
            pem += &String::from_utf8_lossy(line);
            pem.push('\n');
        }
        Ok(pem + PEM_END + "\n")
    }

    /// Reads a private key from its file. `openssl genpkey -algorithm ed25519` makes such a file too.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Self::from_pem(&read_text(path)?).ok_or_else(|| KeyFileError::NotPrivate { path: path.into() })
    }

    /// Reads a private key from the text of its file.
    pub fn from_pem(text: &str) -> Option<Self> {
        let base64 = text.split_once(PEM_BEGIN)?.1.split_once(PEM_END)?.0;
        let der = STANDARD.decode(base64.split_whitespace().collect::<String>()).ok()?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok().map(Self)
    }

    /// Returns the public key as a line of a card's file.
    pub fn public_line(&self) -> String {
        hex::encode(self.0.public_key()) + "\n"
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

fn read_text(path: &Path) -> Result<String, KeyFileError> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| KeyFileError::Read { path: path.into(), source })
}
