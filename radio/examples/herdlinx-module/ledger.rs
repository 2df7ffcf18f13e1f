//! What became of each transmission at the chip, as a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use radio::emulator::{Fate, Verdict};
use serde::{Deserialize, Serialize};

/// Why a ledger was not written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("the ledger {path}: {source}")]
    File { path: String, source: io::Error },
    #[error("the ledger {path} is none: {source}")]
    Form { path: String, source: serde_json::Error },
}

/// The whole account.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// How many transmissions met each fate.
    pub(crate) fates: BTreeMap<String, u64>,
    /// How often the chip raised DIO0, and how often it was reset by its line.
    pub(crate) edges: u32,
    pub(crate) resets: u32,
    /// What a program set on the bus.
    pub(crate) modes: Vec<u32>,
    pub(crate) clocks_hz: Vec<u32>,
    /// Each transmission, in the order in which they came.
    pub(crate) packets: Vec<Entry>,
}

/// One transmission.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) fate: String,
    /// Whether the chip flagged it good: then it had to be read, and kept.
    pub(crate) good: bool,
    pub(crate) payload: String,
}

impl Entry {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        Self {
            fate: name(verdict.fate).to_owned(),
            good: verdict.fate.is_flagged_good(),
            payload: written(&verdict.payload),
        }
    }
}

impl Ledger {
    /// Writes it so that it is there whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::File { path: path.display().to_string(), source };
        let text = serde_json::to_vec(self)
            .map_err(|source| LedgerError::Form { path: path.display().to_string(), source })?;
        let new = path.with_extension("new");
        fs::write(&new, text).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)
    }

    pub(crate) fn read(path: &Path) -> Result<Self, LedgerError> {
        let text = fs::read(path).map_err(|source| LedgerError::File { path: path.display().to_string(), source })?;
        serde_json::from_slice(&text).map_err(|source| LedgerError::Form { path: path.display().to_string(), source })
    }
}

/// A payload as a text that is unlike that of any other payload.
fn written(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => text.to_owned(),
        Err(_) => in_base64(&STANDARD.encode(payload)),
    }
}

/// Bytes that are no text, of which base64 is known. No reader here sends a text that begins so.
pub(crate) fn in_base64(base64: &str) -> String {
    format!("base64:{base64}")
}

fn name(fate: Fate) -> &'static str {
    match fate {
        Fate::NotListening => "not_listening",
        Fate::OtherSettings => "other_settings",
        Fate::TooWeak => "too_weak",
        Fate::Collided => "collided",
        Fate::Receiving => "receiving",
        Fate::CrcBad => "crc_bad",
        Fate::WithoutCrc => "without_crc",
        Fate::Unread => "unread",
        Fate::Read => "read",
        Fate::Overwritten => "overwritten",
        Fate::Wiped => "wiped",
        _ => "unknown",
    }
}
