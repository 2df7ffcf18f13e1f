//! Barns whose card was prepared here and that have not paired yet: their list in `local.redb`.
//!
//! # Decisions
//!
//! - **The office keeps the key of the code, not the code.** The card is the only place where the code can be read.
//! - **The office's public key is fixed with the first try.** The barn knows the office by it. If the certificate is
//!   replaced between two tries, the barn must not take the office for another one.
//! - **A code of the past is not tried forever.** After [`PREPARED_LIFETIME_DAYS`] it is only shown. The limit is half a
//!   year, because cards may be prepared in autumn for barns that open in spring.

mod search;

pub use search::OfficeIdentity;
use search::SearchStatus;
pub(super) use search::{PairingTarget, Search};

use super::name::SiteName;
use super::register::Site;
use crate::link::{Address, Introduction, Trust};
use herd::clock::iso_utc;
use herd::pairing::{CodeKey, Fingerprint, Fingerprints, PairingCode};
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use service::door::secret::Secret;

/// Namespace in `local.redb` that maps a site's name to its [`PreparedSite`].
const NAMESPACE: &str = "prepared sites";
/// Maximum number of prepared barns that have not paired. Each is a task that connects now and then.
pub const MAX_PREPARED: usize = 16;
/// Age at which a code is not tried any more.
pub const PREPARED_LIFETIME_DAYS: i64 = 180;
const DAY_US: i64 = 86_400_000_000;

/// A barn that was prepared.
///
/// The order of the fields is frozen, because stored rows encode them in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedSite {
    /// Name of the barn.
    pub name: SiteName,
    /// Key of its one-time code.
    pub key: CodeKey,
    /// Addresses at which it is looked for, in this order.
    pub addresses: Vec<Address>,
    /// Time of the preparation by this machine's clock, in microseconds since the Unix epoch.
    pub prepared_at_us: i64,
    /// Public key by which this office introduces itself; `None` before the first try.
    pub office: Option<Fingerprint>,
}

/// A prepared barn, as the `status` command and the list of sites show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedSummary {
    /// Name of the barn.
    pub name: String,
    /// Addresses at which it is looked for.
    pub addresses: Vec<String>,
    /// Time of the preparation, ISO 8601 in UTC.
    pub prepared_at: String,
    /// Tries since the start of the process.
    pub tries: u64,
    /// True if the code is too old to be tried.
    pub expired: bool,
    /// Reason why the last try failed.
    pub last_error: Option<String>,
}

/// Reason why a barn cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PreparedError {
    /// The limit is reached.
    #[error("{MAX_PREPARED} prepared barns have not paired yet: remove one with `herdlinx-mirror remove` first")]
    TooMany,
    /// No address was given, and the barn's own is none that can be dialed.
    #[error("no address of the barn is known: give one with --address HOST:PORT")]
    NoAddress,
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
}

impl PreparedSite {
    /// Returns whether the code is too old to be tried.
    pub fn is_expired(&self, now_us: i64) -> bool {
        now_us.saturating_sub(self.prepared_at_us) > PREPARED_LIFETIME_DAYS * DAY_US
    }

    /// Returns whether `site` came about by this code.
    ///
    /// The site is written before the prepared one is removed, so a crash may leave both.
    fn became(&self, site: &Site) -> bool {
        let (Trust::Pin(barn), Some(office)) = (&site.trust, self.office) else { return false };
        let ends = Fingerprints { barn: Fingerprint(*barn), office };
        Secret::of_key(self.key.api_key(&ends)).reveal() == site.key
    }

    /// Returns what introduces the office to the barn.
    fn introduction(&self, identity: &OfficeIdentity) -> Introduction {
        let office = self.office.unwrap_or(identity.fingerprint);
        Introduction { key: self.key.clone(), office, office_name: identity.name.clone() }
    }

    fn summary(&self, status: &SearchStatus) -> PreparedSummary {
        PreparedSummary {
            name: self.name.to_string(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            prepared_at: iso_utc(self.prepared_at_us),
            tries: status.tries,
            expired: status.expired,
            last_error: status.last_error.clone(),
        }
    }
}

/// The list of prepared barns. Changes are durable when a method returns.
#[derive(Clone, Debug)]
pub struct PreparedSites {
    file: LocalFile,
}

impl PreparedSites {
    /// Creates the list that is stored in `file`.
    pub fn new(file: LocalFile) -> Self {
        Self { file }
    }

    /// Returns all prepared barns, ordered by name.
    pub fn list(&self) -> Result<Vec<PreparedSite>, PreparedError> {
        Ok(self.file.list(NAMESPACE)?.into_iter().map(|(_, site)| site).collect())
    }

    /// Returns the prepared barn with this name.
    pub fn find(&self, name: &SiteName) -> Result<Option<PreparedSite>, PreparedError> {
        Ok(self.file.get(NAMESPACE, name.as_str())?)
    }

    /// Adds a barn. One that was prepared earlier under this name is replaced, and so are codes that are too old.
    pub fn add(
        &self,
        name: SiteName,
        code: &PairingCode,
        addresses: Vec<Address>,
        now_us: i64,
    ) -> Result<PreparedSite, PreparedError> {
        if addresses.is_empty() {
            return Err(PreparedError::NoAddress);
        }
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.list()?.into_iter().partition(|site| site.name == name || site.is_expired(now_us));
        if kept.len() >= MAX_PREPARED {
            return Err(PreparedError::TooMany);
        }
        let site = PreparedSite { name, key: code.key(), addresses, prepared_at_us: now_us, office: None };
        let gone: Vec<String> = gone.into_iter().map(|site| site.name.to_string()).collect();
        self.file.replace(NAMESPACE, &gone, Some((site.name.as_str(), &site)))?;
        Ok(site)
    }

    /// Writes a changed row.
    fn update(&self, site: &PreparedSite) -> Result<(), PreparedError> {
        Ok(self.file.put(NAMESPACE, site.name.as_str(), site)?)
    }

    /// Removes a barn, and returns whether there was one.
    pub fn remove(&self, name: &SiteName) -> Result<bool, PreparedError> {
        Ok(self.file.remove(NAMESPACE, name.as_str())?)
    }

    /// Returns the barns to look for: fixes this office's public key in each, and drops those that have paired.
    pub fn to_search(&self, sites: &[Site], office: Fingerprint) -> Result<Vec<PreparedSite>, PreparedError> {
        let mut waiting = Vec::new();
        for mut prepared in self.list()? {
            if sites.iter().any(|site| prepared.became(site)) {
                self.remove(&prepared.name)?;
                continue;
            }
            if prepared.office.is_none() {
                prepared.office = Some(office);
                self.update(&prepared)?;
            }
            waiting.push(prepared);
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests;
