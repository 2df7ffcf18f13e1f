//! The sites that this office is paired with, in the local file: what is needed to find each, to believe it, and to
//! be let in.

use super::name::{NoName, SiteName};
use crate::link::{Address, HttpsLink, NoAddress, NoLink, Trust};
use herd::pairing::Pairing;
use herd::position::StoreId;
use herd::store::{LocalError, LocalFile};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the local file keeps the rows, by name.
const SITES_SPACE: &str = "sites";
/// Sites at most. Each has two files, a thread and a connection.
pub const MAX_SITES: usize = 64;

/// A paired site. Its `Debug` hides the key.
///
/// The order of the fields is frozen: rows in local files hold them in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name at this office.
    pub name: SiteName,
    /// Where it listens, the most likely address first.
    pub addresses: Vec<Address>,
    /// What shows that it is the paired one.
    pub trust: Trust,
    /// The secret that it made for this office.
    pub key: String,
    /// The history that it writes.
    pub store: StoreId,
    /// When it was first paired, microseconds since 1970 UTC by this machine's clock.
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
    /// The way to it.
    pub fn link(&self) -> Result<HttpsLink, NoLink> {
        HttpsLink::new(self.addresses.clone(), &self.trust, &self.key)
    }
}

/// What `add` may be told beside the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// The name at this office instead of the barn's own.
    pub name: Option<SiteName>,
    /// The certificates to trust in instead of the key that the line names.
    pub authority: Option<PathBuf>,
    /// Where to find the barn instead of the addresses in the line.
    pub addresses: Vec<Address>,
}

/// What `add` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The site as it is paired now.
    pub site: Site,
    /// Whether it is new, or what changed of one that was there.
    pub outcome: Outcome,
    /// Addresses of the line that cannot be dialed from here.
    pub unusable: Vec<NoAddress>,
}

/// New, or the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not known before.
    New,
    /// It was paired before; these parts of the pairing are other ones now, none for the same line again.
    Known {
        /// `addresses`, `trust`, `key`.
        changed: Vec<&'static str>,
    },
}

/// Why the list of sites could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SitesError {
    /// The name cannot be.
    #[error(transparent)]
    Name(#[from] NoName),
    /// Another barn has it.
    #[error("the name `{0}` belongs to another barn: give another one with --name, or remove that site")]
    Taken(SiteName),
    /// One barn is one site.
    #[error("this barn is paired as `{0}` already: to give it another name, remove it and add it again")]
    PairedAs(SiteName),
    /// Nothing of that name.
    #[error("there is no site `{name}`; paired: {paired}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        paired: String,
    },
    /// The bound is reached.
    #[error("there are {MAX_SITES} sites already: remove one first")]
    TooMany,
    /// No connection can be made of it.
    #[error(transparent)]
    Link(#[from] NoLink),
    /// The local file failed.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// The list of sites. Every change is on the disk when it returns; from asynchronous code, call it on a blocking
/// thread. One process has the file at a time, and within it one caller changes the list at a time.
#[derive(Clone, Debug)]
pub struct Register {
    file: LocalFile,
}

impl Register {
    /// The list in this file.
    pub fn new(file: LocalFile) -> Self {
        Self { file }
    }

    /// All sites, ordered by name.
    pub fn list(&self) -> Result<Vec<Site>, SitesError> {
        Ok(self.file.list(SITES_SPACE)?.into_iter().map(|(_, site)| site).collect())
    }

    /// The site of this name.
    pub fn find(&self, name: &str) -> Result<Site, SitesError> {
        let sites = self.list()?;
        let names = sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
        let paired = if names.is_empty() { "none".to_owned() } else { names };
        let found = sites.into_iter().find(|site| site.name.as_str() == name);
        found.ok_or_else(|| SitesError::Unknown { name: name.chars().take(80).collect(), paired })
    }

    /// Pairs with the barn that made the line. A barn that is paired already stays the one site that it is.
    pub fn add(&self, line: &Pairing, options: &AddOptions, now_us: i64) -> Result<Added, SitesError> {
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
        // What no connection can be made of is refused here, where somebody is looking.
        site.link()?;
        let outcome = known.map_or(Outcome::New, |before| Outcome::Known { changed: changes(before, &site) });
        if known != Some(&site) {
            self.file.put(SITES_SPACE, site.name.as_str(), &site)?;
        }
        Ok(Added { site, outcome, unusable })
    }

    /// Forgets the site, key and all. Its copy is the caller's affair.
    pub fn remove(&self, name: &SiteName) -> Result<(), SitesError> {
        self.file.remove(SITES_SPACE, name.as_str())?;
        Ok(())
    }
}

fn new_name(sites: &[Site], line: &Pairing, options: &AddOptions) -> Result<SiteName, SitesError> {
    let taken = |name: &SiteName| sites.iter().any(|site| site.name == *name);
    match &options.name {
        None => Ok(SiteName::like(&line.site, taken)),
        Some(name) if taken(name) => Err(SitesError::Taken(name.clone())),
        Some(name) => Ok(name.clone()),
    }
}

fn addresses(line: &Pairing, options: &AddOptions) -> (Vec<Address>, Vec<NoAddress>) {
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

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
