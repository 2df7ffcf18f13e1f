//! The directory of one site: its copies, and which of them is shown.
//!
//! ```text
//! sites/<name>/copy-1/{log,tables}.redb
//! sites/<name>/copy-2/{log,tables}.redb
//! sites/<name>/current -> copy-1
//! ```
//! A new copy is built beside the old one and swapped in by renaming a new link over `current`: at every moment, and
//! after a power cut at any moment, `current` names the old copy or the new one. A copy above `current` was cut while
//! it was built, and is continued.

use service::lifecycle::Exit;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// The link that names the copy that is shown.
const CURRENT: &str = "current";
/// The link that is renamed over [`CURRENT`].
const CURRENT_BESIDE: &str = "current-new";
/// What stands before a copy's number.
const PREFIX: &str = "copy-";
/// Copies hold names of animals' owners and weights: they are for the owner of the process alone.
const DIRECTORY_MODE: u32 = 0o700;

/// The number of a copy, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyNumber(u32);

impl std::fmt::Display for CopyNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl CopyNumber {
    fn read(name: &str) -> Option<Self> {
        let number = name.strip_prefix(PREFIX)?.parse().ok().map(Self)?;
        // `copy-007` and `copy-+7` are not names that this program gives.
        (number.0 > 0 && number.to_string() == name).then_some(number)
    }
}

/// Why the directory of a site could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CopiesError {
    /// The file system refused.
    #[error("could not {doing} {}: {source}", path.display())]
    Files {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The link is there and leads nowhere.
    #[error(
        "{} names `{target}`, which is no copy in its directory: point it to a copy that is there, or remove it to \
         have the site copied again",
        path.display()
    )]
    Astray {
        /// The link.
        path: PathBuf,
        /// What it names.
        target: String,
    },
}

impl From<&CopiesError> for Exit {
    fn from(_: &CopiesError) -> Self {
        Self::Failure
    }
}

/// The copies of one site.
#[derive(Clone, Debug)]
pub struct Copies {
    directory: PathBuf,
}

impl Copies {
    /// The copies in `directory`, which is made if it is not there.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, CopiesError> {
        let directory = directory.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&directory)
            .map_err(files("make the directory", &directory))?;
        Ok(Self { directory })
    }

    /// Where a copy's files lie.
    pub fn path(&self, copy: CopyNumber) -> PathBuf {
        self.directory.join(copy.to_string())
    }

    /// The copy that is shown; none before the first one is whole.
    pub fn current(&self) -> Result<Option<CopyNumber>, CopiesError> {
        let path = self.directory.join(CURRENT);
        let target = match fs::read_link(&path) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files("read the link", &path)(error)),
        };
        match CopyNumber::read(&target).filter(|copy| self.path(*copy).is_dir()) {
            Some(copy) => Ok(Some(copy)),
            None => Err(CopiesError::Astray { path, target }),
        }
    }

    /// The newest copy that is not whole yet: it was being built when the process was last stopped.
    pub fn unfinished(&self) -> Result<Option<CopyNumber>, CopiesError> {
        let current = self.current()?;
        Ok(self.all()?.into_iter().max().filter(|newest| Some(*newest) > current))
    }

    /// Begins a new copy beside all others. Unfinished ones are removed: only the newest would be continued.
    pub fn begin(&self) -> Result<CopyNumber, CopiesError> {
        let current = self.current()?;
        let all = self.all()?;
        for cut in all.iter().filter(|copy| Some(**copy) > current) {
            self.remove(*cut)?;
        }
        let next = CopyNumber(all.into_iter().max().map_or(0, |newest| newest.0).saturating_add(1));
        let path = self.path(next);
        fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&path).map_err(files("make the directory", &path))?;
        self.sync()?;
        Ok(next)
    }

    /// Makes `copy`, which is whole, the one that is shown. The one shown before is kept beside it (it may hold what
    /// is only at the office); older ones are removed. Gives the one shown before.
    pub fn finish(&self, copy: CopyNumber) -> Result<Option<CopyNumber>, CopiesError> {
        let before = self.current()?.filter(|before| *before != copy);
        let beside = self.directory.join(CURRENT_BESIDE);
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(files("remove", &beside)(error)),
            _ => {}
        }
        symlink(copy.to_string(), &beside).map_err(files("make the link", &beside))?;
        let current = self.directory.join(CURRENT);
        fs::rename(&beside, &current).map_err(files("swap the link", &current))?;
        self.sync()?;
        for old in self.all()?.into_iter().filter(|old| *old != copy && Some(*old) != before) {
            self.remove(old)?;
        }
        Ok(before)
    }

    fn all(&self) -> Result<Vec<CopyNumber>, CopiesError> {
        let failed = || files("list", &self.directory);
        let mut copies = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            copies.extend(name.to_str().and_then(CopyNumber::read));
        }
        Ok(copies)
    }

    fn remove(&self, copy: CopyNumber) -> Result<(), CopiesError> {
        let path = self.path(copy);
        fs::remove_dir_all(&path).map_err(files("remove", &path))
    }

    fn sync(&self) -> Result<(), CopiesError> {
        sync_directory(&self.directory)
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), CopiesError> {
    fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(files("sync the directory", path))
}

pub(crate) fn files(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CopiesError {
    let path = path.to_owned();
    move |source| CopiesError::Files { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, Copies) {
        let directory = tempfile::tempdir().unwrap();
        let copies = Copies::open(directory.path().join("sites/barn")).unwrap();
        (directory, copies)
    }

    #[test]
    fn a_first_copy_is_shown_only_once_it_is_whole() {
        let (_directory, copies) = fresh();
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (None, None));
        let first = copies.begin().unwrap();
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (None, Some(first)));
        assert_eq!(copies.finish(first).unwrap(), None);
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), None));
    }

    #[test]
    fn a_new_copy_takes_the_place_of_the_old_one_which_stays_beside_until_the_next() {
        let (_directory, copies) = fresh();
        let mut made = Vec::new();
        for _ in 0..3 {
            let copy = copies.begin().unwrap();
            fs::write(copies.path(copy).join("log.redb"), b"x").unwrap();
            copies.finish(copy).unwrap();
            made.push(copy);
        }
        assert_eq!(copies.current().unwrap(), Some(made[2]));
        assert!(copies.path(made[1]).is_dir() && !copies.path(made[0]).exists());
    }

    #[test]
    fn beginning_anew_takes_away_what_was_cut_and_never_what_is_shown() {
        let (_directory, copies) = fresh();
        let first = copies.begin().unwrap();
        copies.finish(first).unwrap();
        let cut = copies.begin().unwrap();
        let next = copies.begin().unwrap();
        assert!(next > cut && !copies.path(cut).exists() && copies.path(first).is_dir());
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), Some(next)));
    }

    #[test]
    fn a_swap_that_was_cut_after_its_new_link_was_made_goes_through_again() {
        let (_directory, copies) = fresh();
        let first = copies.begin().unwrap();
        symlink("copy-1", copies.directory.join(CURRENT_BESIDE)).unwrap();
        copies.finish(first).unwrap();
        assert_eq!(copies.current().unwrap(), Some(first));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_an_error_and_no_empty_copy() {
        let (_directory, copies) = fresh();
        for target in ["copy-9", "../other/copy-1", "copy-01", "/"] {
            let link = copies.directory.join(CURRENT);
            symlink(target, &link).unwrap();
            assert!(matches!(copies.current(), Err(CopiesError::Astray { .. })), "{target}");
            fs::remove_file(&link).unwrap();
        }
    }
}
