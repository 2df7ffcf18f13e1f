//! The stored code in `local.redb`.

use super::history::{CodeEnd, end_of, remember_end};
use herd::pairing::{CodeKey, Fingerprint, Fingerprints, PairingCode};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};

/// Namespace in `local.redb` with a single row, [`ROW`].
const NAMESPACE: &str = "pairing code";
/// Key of the row. A barn has one code at a time.
const ROW: &str = "code";

/// The code as stored. The order of fields and variants is frozen in `local.redb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CodeRow {
    /// Digest that identifies the code, see [`CodeKey::id`].
    pub(super) id: [u8; 32],
    /// Wrong proofs that count, as last written.
    pub(super) wrong_proofs: u64,
    pub(super) state: CodeState,
}

/// The life of a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CodeState {
    /// Waits for an office.
    Waiting { key: CodeKey },
    /// An office has proved the code; its API key may be missing.
    Claimed { key: CodeKey, ends: Fingerprints },
    /// The API key is in the ring, under `key_name`.
    Paired { key: CodeKey, ends: Fingerprints, key_name: String },
    /// The office has used its API key, or an operator has revoked it.
    Used { office: Fingerprint, key_name: String },
    /// Too many wrong proofs.
    Disabled,
}

impl CodeRow {
    fn waiting(code: &PairingCode) -> Self {
        let key = code.key();
        Self { id: key.id(), wrong_proofs: 0, state: CodeState::Waiting { key } }
    }

    /// Returns the key of the code while it can still be proved.
    pub(super) fn live_key(&self) -> Option<&CodeKey> {
        match &self.state {
            CodeState::Waiting { key } | CodeState::Claimed { key, .. } | CodeState::Paired { key, .. } => Some(key),
            CodeState::Used { .. } | CodeState::Disabled => None,
        }
    }

    /// Returns how the code ended, if it can be proved no more.
    fn end(&self) -> Option<CodeEnd> {
        match &self.state {
            CodeState::Waiting { .. } | CodeState::Claimed { .. } | CodeState::Paired { .. } => None,
            CodeState::Used { .. } => Some(CodeEnd::Used),
            CodeState::Disabled => Some(CodeEnd::Disabled),
        }
    }

    /// Returns whether the code waits for the first use of the API key `name`.
    pub(super) fn is_paired_as(&self, name: &str) -> bool {
        matches!(&self.state, CodeState::Paired { key_name, .. } if key_name == name)
    }
}

/// Effect of [`store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The code waits for an office now.
    Stored,
    /// The same code waits already.
    Unchanged,
    /// The code waits now instead of another one, which no office had used.
    Replaced,
    /// An office has paired by this code before. Nothing was written.
    AlreadyUsed,
    /// This code was disabled after too many wrong proofs. Nothing was written.
    Disabled,
}

/// Stores a code, which replaces another one. It is durable when this returns.
///
/// The same code may be stored any number of times, and one that has ended stays so. The daemon reads it at its start,
/// and `local` is locked while it runs.
pub fn store(local: &LocalFile, code: &PairingCode) -> Result<StoreOutcome, LocalError> {
    let row = CodeRow::waiting(code);
    let before = load(local)?;
    let same = before.as_ref().filter(|before| before.id == row.id);
    let end = same.map_or_else(|| end_of(local, &row.id), |same| Ok(same.end()))?;
    match end {
        Some(CodeEnd::Used) => return Ok(StoreOutcome::AlreadyUsed),
        Some(CodeEnd::Disabled) => return Ok(StoreOutcome::Disabled),
        None if same.is_some() => return Ok(StoreOutcome::Unchanged),
        None => {}
    }
    let Some(before) = before else {
        save(local, &row)?;
        return Ok(StoreOutcome::Stored);
    };
    let end = before.end();
    if let Some(end) = end {
        remember_end(local, &before.id, end)?;
    }
    save(local, &row)?;
    Ok(if end.is_none() { StoreOutcome::Replaced } else { StoreOutcome::Stored })
}

/// Puts a code that pairs no office in the place of the stored one, for tests of its callers.
#[cfg(test)]
pub(crate) fn store_dead(local: &LocalFile, code: &PairingCode, is_used: bool) -> Result<(), LocalError> {
    let used = CodeState::Used { office: Fingerprint([1; 32]), key_name: "office".to_owned() };
    let state = if is_used { used } else { CodeState::Disabled };
    save(local, &CodeRow { state, ..CodeRow::waiting(code) })
}

pub(super) fn load(local: &LocalFile) -> Result<Option<CodeRow>, LocalError> {
    local.get(NAMESPACE, ROW)
}

pub(super) fn save(local: &LocalFile, row: &CodeRow) -> Result<(), LocalError> {
    local.put(NAMESPACE, ROW, row)
}
