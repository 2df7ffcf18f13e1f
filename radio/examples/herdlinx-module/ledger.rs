//! The fate of each transmission at the chip, as a JSON file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use radio::emulator::{Fate, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// Reason why a ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("cannot access the ledger {path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{path} is not a ledger: {source}")]
    Form { path: String, source: serde_json::Error },
}

/// All transmissions of a run, and the counters of its devices.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Number of transmissions per fate.
    pub(crate) fates: BTreeMap<String, u64>,
    /// Rising edges of the chip's DIO0 pin.
    pub(crate) edges: u32,
    /// Resets through the RESET line.
    pub(crate) resets: u32,
    /// SPI modes that programs set.
    pub(crate) modes: Vec<u32>,
    /// SPI clocks that programs set.
    pub(crate) clocks_hz: Vec<u32>,
    /// All transmissions in their order.
    pub(crate) packets: Vec<Entry>,
}

/// One transmission.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) fate: String,
    /// The chip flagged the packet good, so the barn has to read and store it.
    pub(crate) good: bool,
    pub(crate) payload: String,
}

impl Entry {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        Self {
            fate: name(verdict.fate).to_owned(),
            good: verdict.fate.is_flagged_good(),
            payload: payload_text(&verdict.payload),
        }
    }
}

impl Ledger {
    /// Writes the ledger atomically: a reader finds all of it or no file.
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

/// Converts a payload to a text that differs from that of any other payload.
fn payload_text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => text.to_owned(),
        Err(_) => in_base64(&STANDARD.encode(payload)),
    }
}

/// Returns the text for a payload that is not UTF-8, from its base64. No reader here sends a text that starts like it.
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
