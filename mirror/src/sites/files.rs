//! What the office keeps of its sites: the list in the local file and a directory for each.

use super::name::SiteName;
use super::register::{AddOptions, Added, Register, Site, SitesError};
use crate::copies::{Copies, CopiesError, CopyNumber, files, sync_directory};
use herd::clock::iso_utc;
use herd::pairing::Pairing;
use herd::store::LocalFile;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the copies are, in the state directory.
const SITES_DIRECTORY: &str = "sites";
/// Where the copies of removed sites are, in the state directory.
const REMOVED_DIRECTORY: &str = "removed";

/// Why a site's files could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum SiteFilesError {
    /// The list.
    #[error(transparent)]
    Sites(#[from] SitesError),
    /// The directories.
    #[error(transparent)]
    Copies(#[from] CopiesError),
}

/// The files of all sites. Every call waits for the disk: from asynchronous code, call it on a blocking thread.
#[derive(Clone, Debug)]
pub struct SiteFiles {
    register: Register,
    state_dir: PathBuf,
}

impl SiteFiles {
    /// The files in this state directory, with its local file.
    pub fn new(local: LocalFile, state_dir: &Path) -> Self {
        Self { register: Register::new(local), state_dir: state_dir.into() }
    }

    /// All sites, ordered by name.
    pub fn list(&self) -> Result<Vec<Site>, SiteFilesError> {
        Ok(self.register.list()?)
    }

    /// The site of this name.
    pub fn find(&self, name: &str) -> Result<Site, SiteFilesError> {
        Ok(self.register.find(name)?)
    }

    /// Pairs; see [`Register::add`].
    pub fn add(&self, line: &Pairing, options: &AddOptions, now_us: i64) -> Result<Added, SiteFilesError> {
        Ok(self.register.add(line, options, now_us)?)
    }

    /// The directory of a site.
    pub fn copies(&self, name: &SiteName) -> Result<Copies, SiteFilesError> {
        Ok(Copies::open(self.directory(name))?)
    }

    /// Begins a new copy of a site beside the one that is shown.
    pub fn begin_copy(&self, name: &str) -> Result<CopyNumber, SiteFilesError> {
        let site = self.find(name)?;
        Ok(self.copies(&site.name)?.begin()?)
    }

    /// Forgets a site and moves its copies aside; says where they are now, if there were any. They are moved first:
    /// a removal that is cut leaves a paired site without a copy, which is copied again, and never a copy that the
    /// next site of that name would stumble over.
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
        // Made as the sites' own directories are: for the owner of the process alone.
        Copies::open(&removed)?;
        let to = free_place(&removed, name, now_us);
        fs::rename(&from, &to).map_err(files("move aside", &from))?;
        sync_directory(&removed)?;
        sync_directory(&self.state_dir.join(SITES_DIRECTORY))?;
        Ok(Some(to))
    }
}

/// `NAME-20260115T103520Z`, and a number after it where the clock gave that name already.
fn free_place(removed: &Path, name: &SiteName, now_us: i64) -> PathBuf {
    let iso = iso_utc(now_us);
    let second = iso.split('.').next().unwrap_or_default();
    let stamp: String = second.chars().filter(char::is_ascii_alphanumeric).collect();
    let first = format!("{name}-{stamp}Z");
    let numbered = (2_u32..).map(|n| format!("{first}-{n}"));
    let mut places = std::iter::once(first.clone()).chain(numbered).map(|place| removed.join(place));
    places.find(|place| !place.exists()).unwrap_or_else(|| removed.join(first))
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
    fn a_removed_site_keeps_its_copy_aside_even_twice_in_one_second() {
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
    fn a_site_without_a_copy_is_removed_without_a_trace() {
        let (directory, files) = office();
        files.add(&line(), &AddOptions::default(), 0).unwrap();
        assert_eq!(files.remove("barn", 0).unwrap(), None);
        assert!(!directory.path().join(REMOVED_DIRECTORY).exists());
        assert!(files.remove("barn", 0).is_err());
    }
}
