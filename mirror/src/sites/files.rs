//! The files of the sites: the list in `local.redb`, and a directory of copies for each site.

use super::name::SiteName;
use super::prepared::{PreparedError, PreparedSite, PreparedSites};
use super::register::{AddOptions, PairingReceipt, Register, Site, SitesError};
use crate::copies::{Copies, CopiesError, CopyNumber, file_error, sync_directory};
use crate::give_back::HeldCopies;
use crate::link::Address;
use herd::clock::iso_utc;
use herd::pairing::{Fingerprint, Pairing, PairingCode};
use herd::store::LocalFile;
#[cfg(test)]
use herd::store::{Directory, Reader, Store};
use std::fs;
use std::path::{Path, PathBuf};

/// Directory of the copies, in the state directory.
pub const SITES_DIRECTORY: &str = "sites";
/// Directory of the copies of removed sites, in the state directory.
const REMOVED_DIRECTORY: &str = "removed";
/// Directories that have content only in an office that has paired a barn, and has that in its `local.redb`.
pub const HISTORY: [&str; 2] = [SITES_DIRECTORY, REMOVED_DIRECTORY];

/// Reason why the files of the sites could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SiteFilesError {
    /// The list of sites failed or rejected the request.
    #[error(transparent)]
    Sites(#[from] SitesError),
    /// The list of prepared barns failed or rejected the request.
    #[error(transparent)]
    Prepared(#[from] PreparedError),
    /// The directories of copies failed.
    #[error(transparent)]
    Copies(#[from] CopiesError),
}

/// The files of all sites. Every method blocks on the disk: from async code, call it on a blocking thread.
#[derive(Clone, Debug)]
pub struct SiteFiles {
    register: Register,
    prepared: PreparedSites,
    state_dir: PathBuf,
}

impl SiteFiles {
    /// Creates the files of `state_dir`, whose `local.redb` is `local`.
    pub fn new(local: LocalFile, state_dir: &Path) -> Self {
        Self {
            register: Register::new(local.clone()),
            prepared: PreparedSites::new(local),
            state_dir: state_dir.into(),
        }
    }

    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Returns all sites, ordered by name.
    pub fn list(&self) -> Result<Vec<Site>, SiteFilesError> {
        Ok(self.register.list()?)
    }

    /// Returns the site with this name.
    pub fn find(&self, name: &str) -> Result<Site, SiteFilesError> {
        Ok(self.register.find(name)?)
    }

    /// Pairs with a barn; see [`Register::add`].
    pub fn add(&self, line: &Pairing, options: &AddOptions, now_us: i64) -> Result<PairingReceipt, SiteFilesError> {
        Ok(self.register.add(line, options, now_us)?)
    }

    /// Remembers a barn whose card is being prepared; see [`PreparedSites::add`].
    pub fn prepare(
        &self,
        name: SiteName,
        code: &PairingCode,
        addresses: Vec<Address>,
        now_us: i64,
    ) -> Result<PreparedSite, SiteFilesError> {
        Ok(self.prepared.add(name, code, addresses, now_us)?)
    }

    /// Returns the prepared barns that have not paired; see [`PreparedSites::to_search`].
    pub fn prepared_to_search(&self, office: Fingerprint) -> Result<Vec<PreparedSite>, SiteFilesError> {
        Ok(self.prepared.to_search(&self.register.list()?, office)?)
    }

    /// Forgets a prepared barn, and returns whether there was one.
    pub fn forget_prepared(&self, name: &str) -> Result<bool, SiteFilesError> {
        match name.parse() {
            Ok(name) => Ok(self.prepared.remove(&name)?),
            Err(_) => Ok(false),
        }
    }

    /// Turns a prepared barn into a site: under its name, or with a number after it if another barn has that name.
    /// Returns `None` if it was forgotten or prepared again in the meantime.
    pub fn complete(
        &self,
        prepared: &PreparedSite,
        line: &Pairing,
        now_us: i64,
    ) -> Result<Option<PairingReceipt>, SiteFilesError> {
        if self.prepared.find(&prepared.name)?.is_none_or(|known| known.key != prepared.key) {
            return Ok(None);
        }
        let name = self.name_of_completed(prepared, line)?;
        let receipt = self.add(line, &AddOptions { name, ..AddOptions::default() }, now_us)?;
        self.prepared.remove(&prepared.name)?;
        Ok(Some(receipt))
    }

    /// Returns the name under which a prepared barn becomes a site; `None` if it is one already.
    ///
    /// Nobody stands by while it pairs, so a name that another barn has got meanwhile is no reason to refuse it. A name
    /// that another prepared barn waits for is kept for that one.
    fn name_of_completed(&self, prepared: &PreparedSite, line: &Pairing) -> Result<Option<SiteName>, SiteFilesError> {
        let sites = self.list()?;
        // A barn that is paired already keeps its name: its card may have been made anew.
        if sites.iter().any(|site| site.store == line.store) {
            return Ok(None);
        }
        let has_name = |name: &SiteName| sites.iter().any(|site| site.name == *name);
        if !has_name(&prepared.name) {
            return Ok(Some(prepared.name.clone()));
        }
        let waiting = self.prepared.list()?;
        let is_taken = |name: &SiteName| has_name(name) || waiting.iter().any(|other| other.name == *name);
        Ok(Some(SiteName::derive(prepared.name.as_str(), is_taken)))
    }

    /// Returns the copies of a site.
    pub fn copies(&self, name: &SiteName) -> Result<Copies, SiteFilesError> {
        Ok(Copies::open(self.directory(name))?)
    }

    /// Starts a new copy of a site beside the current one.
    pub fn begin_copy(&self, name: &str) -> Result<CopyNumber, SiteFilesError> {
        let site = self.find(name)?;
        let copies = self.copies(&site.name)?;
        let copy = copies.begin(|_| false)?;
        copies.mark_decided(copy)?;
        Ok(copy)
    }

    /// Cancels the unfinished copy of a site, if another one is complete.
    pub fn cancel_copy(&self, name: &str) -> Result<CopyNumber, SiteFilesError> {
        let site = self.find(name)?;
        let held = HeldCopies::of_files(self.copies(&site.name)?);
        Ok(held.copies.cancel(|copy| held.is_spent(copy))?)
    }

    /// Removes a site and moves its copies aside. Returns their new directory, if there were any.
    ///
    /// The copies are moved first. An interrupted removal leaves a paired site without a copy, which is copied again,
    /// and never a copy that the next site with that name would take for its own.
    pub fn remove(&self, name: &str, now_us: i64) -> Result<Option<PathBuf>, SiteFilesError> {
        let site = self.find(name)?;
        let moved = self.move_aside(&site.name, now_us)?;
        self.register.remove(&site.name)?;
        Ok(moved)
    }

    fn directory(&self, name: &SiteName) -> PathBuf {
        self.state_dir.join(SITES_DIRECTORY).join(name.as_str())
    }

    fn move_aside(&self, name: &SiteName, now_us: i64) -> Result<Option<PathBuf>, CopiesError> {
        let from = self.directory(name);
        if !from.exists() {
            return Ok(None);
        }
        let removed = self.state_dir.join(REMOVED_DIRECTORY);
        // Created like the sites' own directories: only the owner of the process may read it.
        Copies::open(&removed)?;
        let to = free_path(&removed, name, now_us);
        fs::rename(&from, &to).map_err(file_error("move aside", &from))?;
        sync_directory(&removed)?;
        sync_directory(&self.state_dir.join(SITES_DIRECTORY))?;
        Ok(Some(to))
    }
}

#[cfg(test)]
impl SiteFiles {
    /// Makes a complete copy of a source, and shows it at the next start.
    pub(crate) fn copy_from(&self, name: &str, source: &Reader) {
        let copies = self.copies(&name.parse().unwrap()).unwrap();
        let number = copies.begin(|_| true).unwrap();
        let mut store = Store::open_replica(&Directory::new(copies.path(number)).unwrap(), source.store()).unwrap();
        store.apply(source.run_after(store.head().position, 1_000, 1_000_000).unwrap()).unwrap();
        store.settle().unwrap();
        copies.finish(number, |_| true).unwrap();
    }
}

/// Returns `NAME-20260115T103520Z`, with a number after it if that directory exists already.
fn free_path(removed: &Path, name: &SiteName, now_us: i64) -> PathBuf {
    let iso = iso_utc(now_us);
    let second = iso.split('.').next().unwrap_or_default();
    let stamp: String = second.chars().filter(char::is_ascii_alphanumeric).collect();
    let first = format!("{name}-{stamp}Z");
    let numbered = (2_u32..).map(|n| format!("{first}-{n}"));
    let mut paths = std::iter::once(first.clone()).chain(numbered).map(|name| removed.join(name));
    paths.find(|path| !path.exists()).unwrap_or_else(|| removed.join(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::position::StoreId;

    fn line() -> Pairing {
        Pairing {
            site: "barn".into(),
            addresses: vec!["127.0.0.1:1".into()],
            spki_sha256: [1; 32],
            store: StoreId([1; 16]),
            key: "hxb_1".into(),
        }
    }

    fn office() -> (tempfile::TempDir, SiteFiles) {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let files = SiteFiles::new(local, directory.path());
        (directory, files)
    }

    #[test]
    fn removed_copies_are_kept_even_if_a_name_is_removed_twice_in_a_second() {
        let (_directory, files) = office();
        let mut places = Vec::new();
        for _ in 0..2 {
            files.add(&line(), &AddOptions::default(), 0).unwrap();
            let copy = files.begin_copy("barn").unwrap();
            let path = files.copies(&"barn".parse().unwrap()).unwrap().path(copy);
            fs::write(path.join("log.redb"), b"kept").unwrap();
            places.push(files.remove("barn", 0).unwrap().unwrap());
        }
        assert_ne!(places[0], places[1]);
        assert!(places[0].ends_with("removed/barn-19700101T000000Z"), "{places:?}");
        for place in places {
            assert_eq!(fs::read(place.join("copy-1/log.redb")).unwrap(), b"kept");
        }
        assert_eq!(files.list().unwrap().len(), 0);
    }

    #[test]
    fn removing_a_site_without_a_copy_leaves_nothing_behind() {
        let (directory, files) = office();
        files.add(&line(), &AddOptions::default(), 0).unwrap();
        assert_eq!(files.remove("barn", 0).unwrap(), None);
        assert!(!directory.path().join(REMOVED_DIRECTORY).exists());
        assert!(files.remove("barn", 0).is_err());
    }
}
