//! The code of a running barn.

use super::code_row::{CodeRow, CodeState, load, save};
use super::history::{PairedOffice, remember_office};
use super::wrong_proofs::{WrongProofCount, WrongProofEffect, WrongProofLimits};
use herd::clock::Clock;
use herd::pairing::{BarnFacts, CodeKey, Fingerprint, Fingerprints, PairAnswer, PairRequest};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use service::door::certificate::Identity;
use service::door::keys::{KeyError, KeyRing, TakenName};
use service::door::pair::{OFFICE_SCOPES, PairError, PairingSource, addresses};
use service::door::secret::Secret;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The pairing by a one-time code, as a running barn offers it.
pub struct CodePairing {
    local: LocalFile,
    keys: Arc<KeyRing>,
    identity: Identity,
    barn: PairingSource,
    clock: Arc<dyn Clock>,
    row: RwLock<Option<CodeRow>>,
    wrong_proofs: Mutex<WrongProofCount>,
    /// Locked while the row changes. Further requests wait here, where they occupy no thread.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for CodePairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodePairing").field("row", &self.row).finish_non_exhaustive()
    }
}

/// State of the code, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PairingStatus {
    /// There never was a code.
    None,
    /// Waits for an office.
    Waiting {
        /// Wrong proofs so far.
        wrong_proofs: u64,
    },
    /// An office has proved the code and not yet used its key.
    Claimed {
        /// Public key of the office.
        office: Fingerprint,
    },
    /// An office has paired, and the code is dead.
    Used {
        /// Public key of the office.
        office: Fingerprint,
        /// Name of its API key.
        key_name: String,
    },
    /// The code is dead after too many wrong proofs.
    Disabled {
        /// Wrong proofs so far.
        wrong_proofs: u64,
    },
}

impl PairingStatus {
    /// Returns a few words about a code that needs attention.
    pub fn notice(&self) -> Option<String> {
        match self {
            Self::Waiting { wrong_proofs: 0 } => Some("waits for an office by its one-time code".to_owned()),
            Self::Waiting { wrong_proofs } => {
                Some(format!("waits for an office by its one-time code, after {wrong_proofs} wrong proofs"))
            }
            Self::Disabled { .. } => Some("has a one-time code that is dead after too many wrong proofs".to_owned()),
            Self::None | Self::Claimed { .. } | Self::Used { .. } => None,
        }
    }
}

/// Reason why an office does not pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairRefusal {
    /// No code can be proved.
    NoLiveCode,
    /// The proof is wrong.
    WrongProof,
    /// Another office has proved the code.
    OtherOffice,
    /// The proof is wrong, and there were too many in the last second.
    Limited,
    /// This machine failed; the log says why.
    Failed,
}

/// Reason why an office that proved the code does not pair: a refusal, or a failure of this machine.
#[derive(Debug, thiserror::Error)]
enum ClaimError {
    #[error("the office is refused")]
    Refused(PairRefusal),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Addresses(#[from] PairError),
}

impl CodePairing {
    /// Loads the code from `local`, which must be the file that holds `keys`.
    pub fn load(
        local: LocalFile,
        keys: Arc<KeyRing>,
        identity: Identity,
        barn: PairingSource,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LocalError> {
        let row = load(&local)?;
        let stored = row.as_ref().map_or(0, |row| row.wrong_proofs);
        let count = WrongProofCount::new(WrongProofLimits::default(), stored, clock.read().since_boot_ms);
        let (row, wrong_proofs) = (RwLock::new(row), Mutex::new(count));
        Ok(Self { local, keys, identity, barn, clock, row, wrong_proofs, changing: Arc::default() })
    }

    /// Replaces the limits for wrong proofs.
    #[must_use]
    pub fn with_limits(self, limits: WrongProofLimits) -> Self {
        let stored = self.row().map_or(0, |row| row.wrong_proofs);
        let count = WrongProofCount::new(limits, stored, self.clock.read().since_boot_ms);
        Self { wrong_proofs: Mutex::new(count), ..self }
    }

    /// Returns true if an office can pair by the code. The route exists only then.
    pub fn is_live(&self) -> bool {
        self.live_key().is_some()
    }

    /// Returns the state of the code.
    pub fn status(&self) -> PairingStatus {
        let Some(row) = self.row() else { return PairingStatus::None };
        let wrong_proofs = self.wrong_proofs.lock().unwrap_or_else(PoisonError::into_inner).total();
        match row.state {
            CodeState::Waiting { .. } => PairingStatus::Waiting { wrong_proofs },
            CodeState::Claimed { ends, .. } | CodeState::Paired { ends, .. } => {
                PairingStatus::Claimed { office: ends.office }
            }
            CodeState::Used { office, key_name } => PairingStatus::Used { office, key_name },
            CodeState::Disabled => PairingStatus::Disabled { wrong_proofs },
        }
    }

    /// Answers an office. Durable: after a right proof, this office and no other one can pair.
    pub(super) async fn pair(
        self: &Arc<Self>,
        request: PairRequest,
        peer: Option<SocketAddr>,
    ) -> Result<PairAnswer, PairRefusal> {
        if self.identity.failure().is_some() {
            // The office would pin a key that is nobody's.
            return Err(PairRefusal::Failed);
        }
        // Read for each request: a certificate that was replaced may have a key of its own.
        let barn = Fingerprint(self.identity.spki_sha256());
        let key = self.live_key().ok_or(PairRefusal::NoLiveCode)?;
        if !request.proves(&key, barn) {
            return Err(self.count_wrong_proof(peer).await);
        }
        let ends = Fingerprints { barn, office: request.office };
        let claim = self.change(move |pairing| pairing.claim(&ends, &request.office_name)).await;
        // Without a claim, the task was aborted by a shutdown.
        claim.unwrap_or(Err(PairRefusal::Failed))
    }

    /// Ends the code if its key is used for sync.
    pub(super) async fn note_sync(self: &Arc<Self>, key_name: &str) {
        if !self.row().is_some_and(|row| row.is_paired_as(key_name)) {
            return;
        }
        let key_name = key_name.to_owned();
        self.change(move |pairing| pairing.end(&key_name)).await;
    }

    /// Runs a change of the row on a blocking thread, one at a time, even if the caller goes away meanwhile.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let one_at_a_time = self.changing.clone().lock_owned().await;
        let pairing = self.clone();
        let work = move || {
            let result = change(&pairing);
            drop(one_at_a_time);
            result
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn claim(&self, ends: &Fingerprints, office_name: &str) -> Result<PairAnswer, PairRefusal> {
        self.try_claim(ends, office_name).map_err(|error| match error {
            ClaimError::Refused(refusal) => refusal,
            error => {
                tracing::error!(%error, office = %ends.office, "cannot pair with an office that proved the pairing code");
                PairRefusal::Failed
            }
        })
    }

    fn try_claim(&self, ends: &Fingerprints, office_name: &str) -> Result<PairAnswer, ClaimError> {
        let row = self.row().ok_or(ClaimError::Refused(PairRefusal::NoLiveCode))?;
        let key = match row.state {
            CodeState::Used { .. } | CodeState::Disabled => return Err(ClaimError::Refused(PairRefusal::NoLiveCode)),
            CodeState::Claimed { ends: known, .. } | CodeState::Paired { ends: known, .. }
                if known.office != ends.office =>
            {
                tracing::warn!(office = %ends.office, paired = %known.office, "a second office proved the pairing code");
                return Err(ClaimError::Refused(PairRefusal::OtherOffice));
            }
            CodeState::Paired { key, ends: known, key_name } => {
                let is_revoked = self.keys.check(api_key(&key, &known).reveal()).is_none();
                if is_revoked {
                    self.set_state(CodeState::Used { office: known.office, key_name })?;
                    return Err(ClaimError::Refused(PairRefusal::NoLiveCode));
                }
                if known != *ends {
                    // The barn's certificate has another key now, so the office derives another API key.
                    self.keys.revoke(&key_name)?;
                }
                key
            }
            CodeState::Waiting { key } | CodeState::Claimed { key, .. } => key,
        };
        let facts = self.facts()?;
        self.put_key(&key, ends, office_name)?;
        Ok(PairAnswer::new(&key, ends, facts))
    }

    /// Puts the office's API key into the ring, unless it is there from an earlier request.
    fn put_key(&self, key: &CodeKey, ends: &Fingerprints, office_name: &str) -> Result<(), ClaimError> {
        let secret = api_key(key, ends);
        let known = self.keys.check(secret.reveal());
        if known.is_some() && self.row().is_some_and(|row| matches!(row.state, CodeState::Paired { .. })) {
            return Ok(());
        }
        // Before the key: whatever happens then, no other office can pair.
        self.set_state(CodeState::Claimed { key: key.clone(), ends: *ends })?;
        let key_name = if let Some(known) = known {
            known.name
        } else {
            let name = self.free_name(office_name);
            self.keys.adopt(&name, OFFICE_SCOPES.into(), secret.hash(), TakenName::Refuse)?;
            name
        };
        let office = PairedOffice { office: ends.office, key_hash: secret.hash() };
        remember_office(&self.local, &self.keys, &key_name, &office)?;
        tracing::info!(office = %ends.office, key = key_name, "an office paired by the one-time code");
        self.set_state(CodeState::Paired { key: key.clone(), ends: *ends, key_name })?;
        Ok(())
    }

    /// Returns the office's name, with a number if another key has that name.
    fn free_name(&self, office_name: &str) -> String {
        let taken = self.keys.list();
        let numbered = (2..).map(|number| format!("{office_name}-{number}"));
        let mut names = std::iter::once(office_name.to_owned()).chain(numbered);
        // The names never run out, because the number of keys is limited.
        names.find(|name| taken.iter().all(|row| row.name != *name)).unwrap_or_default()
    }

    fn facts(&self) -> Result<BarnFacts, PairError> {
        let PairingSource { site, store, listen, .. } = &self.barn;
        Ok(BarnFacts { site: site.clone(), store: *store, addresses: addresses(*listen)? })
    }

    fn end(&self, key_name: &str) {
        let Some(CodeRow { state: CodeState::Paired { ends, key_name, .. }, .. }) =
            self.row().filter(|row| row.is_paired_as(key_name))
        else {
            return;
        };
        match self.set_state(CodeState::Used { office: ends.office, key_name }) {
            Ok(()) => tracing::info!(office = %ends.office, "the office syncs; its one-time pairing code is used up"),
            // The office must not be kept from its data. The next request tries again.
            Err(error) => tracing::error!(%error, "cannot end the one-time pairing code"),
        }
    }

    async fn count_wrong_proof(self: &Arc<Self>, peer: Option<SocketAddr>) -> PairRefusal {
        let effect = {
            let mut count = self.wrong_proofs.lock().unwrap_or_else(PoisonError::into_inner);
            count.count(self.clock.read().since_boot_ms)
        };
        match effect {
            WrongProofEffect::Limited => return PairRefusal::Limited,
            WrongProofEffect::Counted { total: 1, .. } => {
                tracing::warn!(
                    ?peer,
                    "a wrong proof of the pairing code: an office has another code, or is not connected directly"
                );
            }
            WrongProofEffect::Counted { total, save: true } => {
                tracing::warn!(?peer, total, "many wrong proofs of the pairing code");
                self.change(move |pairing| pairing.save_wrong_proofs(total, false)).await;
            }
            WrongProofEffect::Counted { .. } => {}
            WrongProofEffect::Exhausted { total } => {
                self.change(move |pairing| pairing.save_wrong_proofs(total, true)).await;
                tracing::error!(
                    ?peer,
                    total,
                    "too many wrong proofs: the pairing code is dead. Pair with `herdlinxd pair`, or prepare the card again"
                );
            }
        }
        PairRefusal::WrongProof
    }

    fn save_wrong_proofs(&self, wrong_proofs: u64, disable: bool) {
        let Some(row) = self.row().filter(|row| row.live_key().is_some()) else { return };
        let state = if disable { CodeState::Disabled } else { row.state };
        if let Err(error) = self.set_row(CodeRow { wrong_proofs, state, ..row }) {
            tracing::error!(%error, "cannot write the number of wrong proofs");
        }
    }

    fn set_state(&self, state: CodeState) -> Result<(), LocalError> {
        let Some(row) = self.row() else { return Ok(()) };
        self.set_row(CodeRow { state, ..row })
    }

    fn set_row(&self, row: CodeRow) -> Result<(), LocalError> {
        save(&self.local, &row)?;
        *self.row.write().unwrap_or_else(PoisonError::into_inner) = Some(row);
        Ok(())
    }

    fn row(&self) -> Option<CodeRow> {
        self.row.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn live_key(&self) -> Option<CodeKey> {
        self.row.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.live_key().cloned()
    }
}

/// Returns the API key that both sides derive.
fn api_key(key: &CodeKey, ends: &Fingerprints) -> Secret {
    Secret::of_key(key.api_key(ends))
}
