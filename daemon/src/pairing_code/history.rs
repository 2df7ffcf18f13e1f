//! Codes of the past, and the offices that codes let in.
//!
//! # Decisions
//!
//! - **Rows of their own.** The row of the code knows one code, and its form is frozen. An older version ignores these.
//! - **A code that has ended stays known when another one takes its place.** An old file of a card may come back, and
//!   its office looks for this barn no more. Without the row, the code would wait for it forever.
//! - **An office belongs to the secret of its key**, not to the name: after a revocation, another key may have that.

use herd::pairing::Fingerprint;
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use service::control::ControlError;
use service::door::key_command::{self, KeyRequest, KeyResponse};
use service::door::keys::KeyRing;

/// Namespace in `local.redb` that maps the id of a code, in hex, to its [`EndedCode`].
const ENDED_CODES: &str = "ended pairing codes";
/// Namespace in `local.redb` that maps the name of an API key to its [`PairedOffice`].
const OFFICES: &str = "offices by pairing code";
/// Maximum number of codes that are remembered; the oldest ones are forgotten. Each took a file on the card.
pub const MAX_ENDED_CODES: usize = 64;

/// The way in which a code ended. The order of the variants is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CodeEnd {
    /// An office has paired by it.
    Used,
    /// There were too many wrong proofs.
    Disabled,
}

/// A code that another one has replaced. The order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedCode {
    /// Orders the codes: a later one has a higher number.
    pub(super) number: u64,
    pub(super) end: CodeEnd,
}

/// An office that paired by a code. The order of the fields is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PairedOffice {
    pub(super) office: Fingerprint,
    /// Hash of the secret of its API key.
    pub(super) key_hash: [u8; 32],
}

/// Returns how the code with this id ended, if it is remembered.
pub(super) fn end_of(local: &LocalFile, id: &[u8; 32]) -> Result<Option<CodeEnd>, LocalError> {
    Ok(local.get::<EndedCode>(ENDED_CODES, &hex::encode(id))?.map(|code| code.end))
}

/// Remembers that a code has ended.
pub(super) fn remember_end(local: &LocalFile, id: &[u8; 32], end: CodeEnd) -> Result<(), LocalError> {
    let mut known = local.list::<EndedCode>(ENDED_CODES)?;
    known.sort_by_key(|(_, code)| code.number);
    let number = known.last().map_or(0, |(_, code)| code.number.saturating_add(1));
    let too_many = (known.len() + 1).saturating_sub(MAX_ENDED_CODES);
    let oldest: Vec<String> = known.into_iter().take(too_many).map(|(id, _)| id).collect();
    local.replace(ENDED_CODES, &oldest, Some((&hex::encode(id), &EndedCode { number, end })))
}

/// Remembers the office that has this key, and forgets those whose key is gone.
pub(super) fn remember_office(
    local: &LocalFile,
    keys: &KeyRing,
    key_name: &str,
    office: &PairedOffice,
) -> Result<(), LocalError> {
    let existing = keys.list();
    let mut gone = local.list::<PairedOffice>(OFFICES)?;
    gone.retain(|(_, known)| existing.iter().all(|row| row.hash != known.key_hash));
    let gone: Vec<String> = gone.into_iter().map(|(name, _)| name).collect();
    local.replace(OFFICES, &gone, Some((key_name, office)))
}

/// Responds to a request about keys. A list names the offices that paired by a code.
pub fn respond_about_keys(
    local: &LocalFile,
    keys: &KeyRing,
    request: &KeyRequest,
) -> Result<KeyResponse, ControlError> {
    let mut response = key_command::respond(keys, request)?;
    if let KeyResponse::Keys(listed) = &mut response {
        let offices = local.list::<PairedOffice>(OFFICES).map_err(ControlError::failed)?;
        let rows = keys.list();
        for key in listed {
            let row = rows.iter().find(|row| row.name == key.name);
            let office = row.and_then(|row| offices.iter().find(|(_, office)| office.key_hash == row.hash));
            key.office = office.map(|(_, office)| office.office);
        }
    }
    Ok(response)
}
