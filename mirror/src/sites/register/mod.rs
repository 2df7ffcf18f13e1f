//! The list of paired sites in `local.redb`: for each, its addresses, the proof of its identity, and the office's key.

#[cfg(test)]
mod tests;

use super::name::{SiteName, SiteNameError};
use crate::link::{Address, AddressError, HttpsLink, LinkSetupError, Trust};
use herd::pairing::Pairing;
use herd::position::StoreId;
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Namespace in `local.redb` that maps a site's name to its [`Site`].
const SITES_NAMESPACE: &str = "sites";
/// Maximum number of sites. Each takes two files, a thread and a connection.
pub const MAX_SITES: usize = 64;

/// A paired site. Its `Debug` output hides the key.
///
/// The order of the fields is frozen, because stored rows encode them in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Name of the site at this office.
    pub name: SiteName,
    /// Addresses of the barn, the most likely first.
    pub addresses: Vec<Address>,
    /// Proof of identity that the barn has to give.
    pub trust: Trust,
    /// Secret of the key that the barn created for this office.
    pub key: String,
    /// Identity of the barn's history.
    pub store: StoreId,
    /// Time of the first pairing by this machine's clock, in microseconds since the Unix epoch.
    pub added_at_us: i64,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("name", &self.name)
            .field("addresses", &self.addresses)
            .field("trust", &self.trust)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// Creates a link to the barn. Nothing is sent yet.
    pub fn link(&self) -> Result<HttpsLink, LinkSetupError> {
        HttpsLink::new(self.addresses.clone(), &self.trust, &self.key)
    }
}

/// Options of a pairing beside the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// Name of the site instead of the barn's own.
    pub name: Option<SiteName>,
    /// File of certificates to trust instead of the key in the line.
    pub authority: Option<PathBuf>,
    /// Addresses of the barn instead of those in the line.
    pub addresses: Vec<Address>,
}

/// The result of a pairing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingReceipt {
    /// The site as it is paired now.
    pub site: Site,
    /// Effect of the pairing.
    pub outcome: PairingOutcome,
    /// Addresses of the line that cannot be dialed from here.
    pub unusable: Vec<AddressError>,
}

/// The effect of a pairing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairingOutcome {
    /// The barn was not paired before.
    New,
    /// The barn was paired before.
    Known {
        /// Parts of the pairing that changed: `addresses`, `trust`, `key`. Empty for the same line.
        changed: Vec<&'static str>,
    },
}

/// Reason why the list of sites could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SitesError {
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] SiteNameError),
    /// Another barn has the name.
    #[error("the name `{0}` belongs to another barn: choose another one with --name, or remove that site")]
    Taken(SiteName),
    /// The barn is paired under another name, and a barn can be only one site.
    #[error("this barn is already paired as `{0}`: to rename it, remove it and add it again")]
    PairedAs(SiteName),
    /// No site has the name.
    #[error("there is no site `{name}`; paired: {paired}")]
    Unknown {
        /// The requested name, shortened.
        name: String,
        /// Names of the paired sites.
        paired: String,
    },
    /// The limit is reached.
    #[error("there are already {MAX_SITES} sites: remove one first")]
    TooMany,
    /// No link can be created from the pairing.
    #[error(transparent)]
    Link(#[from] LinkSetupError),
    /// `local.redb` failed.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// The list of paired sites.
///
/// Changes are durable when a method returns, so from async code, call it on a blocking thread. One process has the
/// file open at a time, and in it only one caller may change the list at a time.
#[derive(Clone, Debug)]
pub struct Register {
    file: LocalFile,
}

impl Register {
    /// Creates the list that is stored in `file`.
    pub fn new(file: LocalFile) -> Self {
        Self { file }
    }

    /// Returns all sites, ordered by name.
    pub fn list(&self) -> Result<Vec<Site>, SitesError> {
        Ok(self.file.list(SITES_NAMESPACE)?.into_iter().map(|(_, site)| site).collect())
    }

    /// Returns the site with this name.
    pub fn find(&self, name: &str) -> Result<Site, SitesError> {
        let sites = self.list()?;
        let names = sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
        let paired = if names.is_empty() { "none".to_owned() } else { names };
        let found = sites.into_iter().find(|site| site.name.as_str() == name);
        found.ok_or_else(|| SitesError::Unknown { name: name.chars().take(80).collect(), paired })
    }

    /// Pairs with the barn that created `line`, or renews its pairing. A barn that is paired already keeps its name.
    pub fn add(&self, line: &Pairing, options: &AddOptions, now_us: i64) -> Result<PairingReceipt, SitesError> {
        let sites = self.list()?;
        let known = sites.iter().find(|site| site.store == line.store);
        let (name, added_at_us) = match known {
            Some(site) if options.name.as_ref().is_some_and(|name| *name != site.name) => {
                return Err(SitesError::PairedAs(site.name.clone()));
            }
            Some(site) => (site.name.clone(), site.added_at_us),
            None if sites.len() >= MAX_SITES => return Err(SitesError::TooMany),
            None => (new_name(&sites, line, options)?, now_us),
        };
        let (addresses, unusable) = addresses(line, options);
        let trust = options.authority.clone().map_or(Trust::Pin(line.spki_sha256), Trust::Authority);
        let site = Site { name, addresses, trust, key: line.key.clone(), store: line.store, added_at_us };
        // A pairing that cannot be used is rejected now, while an operator is there to see it.
        site.link()?;
        let outcome =
            known.map_or(PairingOutcome::New, |before| PairingOutcome::Known { changed: changes(before, &site) });
        if known != Some(&site) {
            self.file.put(SITES_NAMESPACE, site.name.as_str(), &site)?;
        }
        Ok(PairingReceipt { site, outcome, unusable })
    }

    /// Removes a site with its key. The caller takes care of its copies.
    pub fn remove(&self, name: &SiteName) -> Result<(), SitesError> {
        self.file.remove(SITES_NAMESPACE, name.as_str())?;
        Ok(())
    }
}

fn new_name(sites: &[Site], line: &Pairing, options: &AddOptions) -> Result<SiteName, SitesError> {
    let taken = |name: &SiteName| sites.iter().any(|site| site.name == *name);
    match &options.name {
        None => Ok(SiteName::derive(&line.site, taken)),
        Some(name) if taken(name) => Err(SitesError::Taken(name.clone())),
        Some(name) => Ok(name.clone()),
    }
}

fn addresses(line: &Pairing, options: &AddOptions) -> (Vec<Address>, Vec<AddressError>) {
    if !options.addresses.is_empty() {
        return (options.addresses.clone(), Vec::new());
    }
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for text in &line.addresses {
        match text.parse() {
            Ok(address) => usable.push(address),
            Err(error) => unusable.push(error),
        }
    }
    (usable, unusable)
}

fn changes(before: &Site, now: &Site) -> Vec<&'static str> {
    let parts = [
        ("addresses", before.addresses != now.addresses),
        ("trust", before.trust != now.trust),
        ("key", before.key != now.key),
    ];
    parts.into_iter().filter(|(_, changed)| *changed).map(|(part, _)| part).collect()
}
