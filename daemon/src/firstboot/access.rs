//! The key and the code of the card on their way into the daemon's `local.redb`.

use super::Places;
use super::record::{DeadCode, Pending};
use crate::open::open_local;
use crate::pairing_code::{self, StoreOutcome};
use herd::clock::SystemClock;
use herd::pairing::{PairingCode, PairingCodeError};
use herd::randomness::SystemRandomness;
use herd::store::LocalError;
use service::control::{OwnerError, become_owner_of};
use service::door::keys::{KeyError, KeyRing, Scope, TakenName};
use service::process::{StateDir, StateDirError};
use std::sync::Arc;

/// Name of the API key that the card sets.
pub(super) const KEY_NAME: &str = "card";
/// Permissions of that key: those of an office.
const KEY_SCOPES: [Scope; 3] = [Scope::Read, Scope::Sync, Scope::Correct];

/// Reason why a key or code could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Root could not become the owner of the state directory.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The key could not be stored.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The hash of the key in the record is damaged.
    #[error("the stored hash of the API key is damaged: write the key into herdlinx.toml again")]
    Hash,
    /// The code in the record is damaged.
    #[error(transparent)]
    Code(#[from] PairingCodeError),
    /// The thread that became the owner ended early.
    #[error("the thread that stores the key ended early; this is a defect")]
    Thread,
}

/// Stores the key and the code as the owner of the state directory. What is stored already is not stored again.
///
/// Returns the reason if the code can pair no office. A code that was used or disabled before stays so.
///
/// Works on a thread of its own, because there is no way back from becoming another user.
pub(super) fn store(places: &Places, pending: &Pending) -> Result<Option<DeadCode>, AccessError> {
    let work = || {
        let directory = StateDir::new(places.state());
        become_owner_of(directory.path())?;
        directory.create()?;
        let local = open_local(&directory)?;
        if let Some(text) = &pending.api_key_hash {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).map_err(|_| AccessError::Hash)?;
            let keys = KeyRing::load(local.clone(), Arc::new(SystemClock::default()), SystemRandomness)?;
            keys.adopt(KEY_NAME, KEY_SCOPES.into(), hash, TakenName::Replace)?;
        }
        let Some(code) = &pending.pairing_code else { return Ok(None) };
        let code: PairingCode = code.0.parse()?;
        Ok(match pairing_code::store(&local, &code)? {
            StoreOutcome::Stored | StoreOutcome::Unchanged | StoreOutcome::Replaced => None,
            StoreOutcome::AlreadyUsed => Some(DeadCode::Used),
            StoreOutcome::Disabled => Some(DeadCode::Disabled),
        })
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or(Err(AccessError::Thread)))
}
