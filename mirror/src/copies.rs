//! The directory of one site: its copies, and the link that names the current one.
//!
//! ```text
//! sites/<name>/copy-1/{log.redb,log.journal,tables.redb}
//! sites/<name>/copy-2/{log.redb,log.journal,tables.redb}
//! sites/<name>/current -> copy-1
//! ```
//! A new copy is built beside the old one and swapped in by renaming a new link over `current`. So at every moment, and
//! after a power cut at any moment, `current` names either the old copy or the new one. A copy with a higher number
//! than `current` is unfinished, and the next start continues it.
//!
//! A copy that may hold changes which the current one lacks is never deleted: the previous copy stays beside the current
//! one until the swap after it, and then only one that the new copy holds, or that was given back to the barn, is removed. The
//! file `given-back` in its directory says that, and where the barn was then: a barn may lose again what it was given, so the
//! copy stays until the current one has come past that position. An unfinished copy may be the only one that holds the last
//! reads of a barn that was lost in the meantime; it stays in the same way.

use herd::position::Position;
use serde::{Deserialize, Serialize};
use service::lifecycle::Exit;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// Link that names the current copy.
const CURRENT: &str = "current";
/// New link that is renamed over [`CURRENT`].
const NEXT_CURRENT: &str = "current-new";
/// File in a copy that names the position up to which it was given back to the barn.
const GIVEN_BACK: &str = "given-back";
/// New file that is renamed over [`GIVEN_BACK`].
const NEXT_GIVEN_BACK: &str = "given-back-new";
/// Prefix of a copy's directory name.
const PREFIX: &str = "copy-";
/// Mode of the directories. Copies hold owners and weights of animals, so only the user of the process may read them.
const DIRECTORY_MODE: u32 = 0o700;

/// Number of a copy, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CopyNumber(u32);

impl std::fmt::Display for CopyNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl CopyNumber {
    fn parse(name: &str) -> Option<Self> {
        let number = name.strip_prefix(PREFIX)?.parse().ok().map(Self)?;
        // Rejects `copy-007` and `copy-+7`, which this program never writes.
        (number.0 > 0 && number.to_string() == name).then_some(number)
    }
}

/// Reason why the directory of a site cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CopiesError {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Files {
        /// The operation, as a verb with its object.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The `current` link does not name a copy.
    #[error(
        "{} names `{target}`, which is not a copy in its directory: point it to an existing copy, or remove it to copy \
         the site again",
        path.display()
    )]
    InvalidCurrent {
        /// The link.
        path: PathBuf,
        /// Target of the link.
        target: String,
    },
    /// No copy is being made.
    #[error("no new copy is being made, so there is nothing to cancel")]
    NothingUnfinished,
    /// Without the copy that is being made there would be none.
    #[error("{0} is the only copy that can be made here, so it is not canceled: remove the site to stop it")]
    OnlyCopy(CopyNumber),
}

impl CopiesError {
    /// Returns true if the request was refused and nothing is wrong with the files.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::NothingUnfinished | Self::OnlyCopy(_))
    }
}

impl From<&CopiesError> for Exit {
    fn from(_: &CopiesError) -> Self {
        Self::Failure
    }
}

/// Note that a copy was given back to the barn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    /// End of the copy.
    pub end: Position,
    /// Position of the barn once it had answered for all of the copy.
    pub barn: Position,
}

/// The copies of one site.
#[derive(Clone, Debug)]
pub struct Copies {
    directory: PathBuf,
}

impl Copies {
    /// Opens the copies in `directory`, which is created if it does not exist.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, CopiesError> {
        let directory = directory.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&directory)
            .map_err(file_error("create the directory", &directory))?;
        Ok(Self { directory })
    }

    /// Returns the directory of a copy.
    pub fn path(&self, copy: CopyNumber) -> PathBuf {
        self.directory.join(copy.to_string())
    }

    /// Returns the current copy, or `None` until the first one is complete.
    pub fn current(&self) -> Result<Option<CopyNumber>, CopiesError> {
        let path = self.directory.join(CURRENT);
        let target = match fs::read_link(&path) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error("read the link", &path)(error)),
        };
        match CopyNumber::parse(&target).filter(|copy| self.path(*copy).is_dir()) {
            Some(copy) => Ok(Some(copy)),
            None => Err(CopiesError::InvalidCurrent { path, target }),
        }
    }

    /// Returns the newest unfinished copy, which was being built when the process last ended.
    pub fn unfinished(&self) -> Result<Option<CopyNumber>, CopiesError> {
        let current = self.current()?;
        Ok(self.all()?.into_iter().max().filter(|newest| Some(*newest) > current))
    }

    /// Creates a new copy. Only the newest unfinished one is continued, so those before it are removed, unless `is_spent` says
    /// that somebody may need one.
    pub fn begin(&self, is_spent: impl Fn(CopyNumber) -> bool) -> Result<CopyNumber, CopiesError> {
        let current = self.current()?;
        let all = self.all()?;
        for unfinished in all.iter().filter(|copy| Some(**copy) > current && is_spent(**copy)) {
            self.remove(*unfinished)?;
        }
        let next = CopyNumber(all.into_iter().max().map_or(0, |newest| newest.0).saturating_add(1));
        let path = self.path(next);
        fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&path).map_err(file_error("create the directory", &path))?;
        self.sync()?;
        Ok(next)
    }

    /// Makes `copy`, which is complete, the current one, and returns the previous one.
    ///
    /// The previous copy is kept, because it may hold changes that exist only at the office. Of the older ones, those are
    /// removed of which `is_spent` says that nobody needs them.
    pub fn finish(
        &self,
        copy: CopyNumber,
        is_spent: impl Fn(CopyNumber) -> bool,
    ) -> Result<Option<CopyNumber>, CopiesError> {
        let previous = self.current()?.filter(|previous| *previous != copy);
        let next = self.directory.join(NEXT_CURRENT);
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error("remove", &next)(error)),
            _ => {}
        }
        symlink(copy.to_string(), &next).map_err(file_error("create the link", &next))?;
        let current = self.directory.join(CURRENT);
        fs::rename(&next, &current).map_err(file_error("replace the link", &current))?;
        self.sync()?;
        for old in self.all()?.into_iter().filter(|old| *old != copy && Some(*old) != previous) {
            if is_spent(old) {
                self.remove(old)?;
            } else {
                tracing::info!(copy = %old, "the copy is kept: only it holds some of its changes");
            }
        }
        Ok(previous)
    }

    /// Returns the complete copies, the oldest first.
    pub fn complete(&self) -> Result<Vec<CopyNumber>, CopiesError> {
        let current = self.current()?;
        let mut complete: Vec<_> = self.all()?.into_iter().filter(|copy| Some(*copy) <= current).collect();
        complete.sort_unstable();
        Ok(complete)
    }

    /// Returns the note that a copy was given back to the barn. An unreadable one counts as none.
    pub fn given_back(&self, copy: CopyNumber) -> Result<Option<GivenBack>, CopiesError> {
        let path = self.path(copy).join(GIVEN_BACK);
        match fs::read(&path) {
            Ok(note) => Ok(serde_json::from_slice(&note).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", &path)(error)),
        }
    }

    /// Notes that a copy was given back to the barn up to its end.
    pub fn mark_given_back(&self, copy: CopyNumber, given: &GivenBack) -> Result<(), CopiesError> {
        let directory = self.path(copy);
        let (next, note) = (directory.join(NEXT_GIVEN_BACK), directory.join(GIVEN_BACK));
        let written = serde_json::to_vec(given).map_err(io::Error::from).and_then(|text| fs::write(&next, text));
        written.and_then(|()| fs::File::open(&next)?.sync_all()).map_err(file_error("write", &next))?;
        fs::rename(&next, &note).map_err(file_error("replace", &note))?;
        sync_directory(&directory)
    }

    /// Removes the newest unfinished copy, and returns which one it was. A copy that is the only one stays.
    pub fn discard(&self) -> Result<CopyNumber, CopiesError> {
        let unfinished = self.unfinished()?.ok_or(CopiesError::NothingUnfinished)?;
        if self.current()?.is_none() {
            return Err(CopiesError::OnlyCopy(unfinished));
        }
        self.remove(unfinished)?;
        self.sync()?;
        Ok(unfinished)
    }

    fn all(&self) -> Result<Vec<CopyNumber>, CopiesError> {
        let failed = || file_error("list", &self.directory);
        let mut copies = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            copies.extend(name.to_str().and_then(CopyNumber::parse));
        }
        Ok(copies)
    }

    fn remove(&self, copy: CopyNumber) -> Result<(), CopiesError> {
        let path = self.path(copy);
        fs::remove_dir_all(&path).map_err(file_error("remove", &path))
    }

    fn sync(&self) -> Result<(), CopiesError> {
        sync_directory(&self.directory)
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), CopiesError> {
    fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(file_error("sync the directory", path))
}

/// Returns a closure that adds the operation and the path to an I/O error.
pub(crate) fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CopiesError {
    let path = path.to_owned();
    move |source| CopiesError::Files { action, path, source }
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
    fn the_first_copy_becomes_current_only_once_it_is_finished() {
        let (_directory, copies) = fresh();
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (None, None));
        let first = copies.begin(|_| true).unwrap();
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (None, Some(first)));
        assert_eq!(copies.finish(first, |_| true).unwrap(), None);
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), None));
    }

    #[test]
    fn the_previous_copy_is_kept_until_the_next_swap() {
        let (_directory, copies) = fresh();
        let mut finished = Vec::new();
        for _ in 0..3 {
            let copy = copies.begin(|_| true).unwrap();
            fs::write(copies.path(copy).join("log.redb"), b"x").unwrap();
            copies.finish(copy, |_| true).unwrap();
            finished.push(copy);
        }
        assert_eq!(copies.current().unwrap(), Some(finished[2]));
        assert!(copies.path(finished[1]).is_dir() && !copies.path(finished[0]).exists());
    }

    /// Catches the third resync that removes what only the office holds, and a note that outlives its copy.
    #[test]
    fn a_copy_that_nobody_else_holds_survives_any_number_of_swaps_until_it_is_given_back() {
        let (_directory, copies) = fresh();
        let first = copies.begin(|_| true).unwrap();
        copies.finish(first, |_| true).unwrap();
        let is_spent = |copies: &Copies| {
            let copies = copies.clone();
            move |copy| copy != first || copies.given_back(copy).unwrap().is_some()
        };
        for _ in 0..4 {
            let copy = copies.begin(|_| true).unwrap();
            copies.finish(copy, is_spent(&copies)).unwrap();
            assert!(copies.path(first).is_dir());
        }
        let complete = copies.complete().unwrap();
        assert_eq!((complete.len(), complete[0]), (3, first));
        let end = herd::testing::TestBarn::default().reader().head().position;
        let given = GivenBack { end, barn: end };
        copies.mark_given_back(first, &given).unwrap();
        assert_eq!(copies.given_back(first).unwrap(), Some(given));
        let copy = copies.begin(|_| true).unwrap();
        copies.finish(copy, is_spent(&copies)).unwrap();
        assert!(!copies.path(first).exists());
    }

    #[test]
    fn a_new_copy_removes_unfinished_ones_that_nobody_needs_and_never_the_current_one() {
        let (_directory, copies) = fresh();
        let first = copies.begin(|_| true).unwrap();
        copies.finish(first, |_| true).unwrap();
        let needed = copies.begin(|_| true).unwrap();
        let unfinished = copies.begin(|copy| copy != needed).unwrap();
        let next = copies.begin(|copy| copy != needed).unwrap();
        assert!(copies.path(needed).is_dir());
        assert!(next > unfinished && !copies.path(unfinished).exists() && copies.path(first).is_dir());
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), Some(next)));
    }

    /// Catches a canceled resync that removes a complete copy, or the only one.
    #[test]
    fn only_an_unfinished_copy_beside_a_complete_one_is_discarded() {
        let (_directory, copies) = fresh();
        assert!(matches!(copies.discard(), Err(CopiesError::NothingUnfinished)));
        let first = copies.begin(|_| true).unwrap();
        assert!(matches!(copies.discard(), Err(CopiesError::OnlyCopy(copy)) if copy == first));
        copies.finish(first, |_| true).unwrap();
        assert!(matches!(copies.discard(), Err(CopiesError::NothingUnfinished)));
        let second = copies.begin(|_| true).unwrap();
        assert_eq!(copies.discard().unwrap(), second);
        assert!(copies.path(first).is_dir() && !copies.path(second).exists());
        assert_eq!((copies.current().unwrap(), copies.unfinished().unwrap()), (Some(first), None));
    }

    /// Catches a refusal of the files that passes for a copy without a note, and a note that nobody can read that protects a copy
    /// from a second gift.
    #[test]
    fn a_note_that_does_not_read_is_none_and_one_that_cannot_be_read_is_an_error() {
        let (_directory, copies) = fresh();
        let copy = copies.begin(|_| true).unwrap();
        assert_eq!(copies.given_back(copy).unwrap(), None);
        let note = copies.path(copy).join(GIVEN_BACK);
        fs::write(&note, b"{").unwrap();
        assert_eq!(copies.given_back(copy).unwrap(), None);
        fs::remove_file(&note).unwrap();
        fs::create_dir(&note).unwrap();
        let failed = copies.given_back(copy).unwrap_err();
        assert!(failed.to_string().starts_with("cannot read ") && !failed.is_refusal(), "{failed}");
    }

    /// Catches weights and owners that every user of the machine can read.
    #[test]
    fn only_the_owner_can_open_the_directories() {
        use std::os::unix::fs::PermissionsExt as _;
        let (directory, copies) = fresh();
        let copy = copies.path(copies.begin(|_| true).unwrap());
        for path in [&directory.path().join("sites"), &copies.directory, &copy] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
        }
    }

    /// Catches an operator's mistake that is told as a failure of the disk, and the other way round.
    #[test]
    fn a_refusal_is_no_failure_of_the_files() {
        let (_directory, copies) = fresh();
        assert!(copies.discard().unwrap_err().is_refusal());
        copies.begin(|_| true).unwrap();
        assert!(copies.discard().unwrap_err().is_refusal());
        let invalid = CopiesError::InvalidCurrent { path: "current".into(), target: "x".into() };
        assert!(!invalid.is_refusal() && !file_error("read", Path::new("x"))(io::ErrorKind::Other.into()).is_refusal());
    }

    #[test]
    fn a_swap_interrupted_before_the_rename_can_be_repeated() {
        let (_directory, copies) = fresh();
        let first = copies.begin(|_| true).unwrap();
        symlink("copy-1", copies.directory.join(NEXT_CURRENT)).unwrap();
        copies.finish(first, |_| true).unwrap();
        assert_eq!(copies.current().unwrap(), Some(first));
    }

    #[test]
    fn a_current_link_that_names_no_copy_is_an_error() {
        let (_directory, copies) = fresh();
        let copy = copies.begin(|_| true).unwrap();
        fs::create_dir(copies.directory.join("copy-0")).unwrap();
        fs::create_dir(copies.directory.join("copy-01")).unwrap();
        let link = copies.directory.join(CURRENT);
        for target in ["copy-9", "../other/copy-1", "copy-01", "copy-0", "copy-+1", "/"] {
            symlink(target, &link).unwrap();
            assert!(matches!(copies.current(), Err(CopiesError::InvalidCurrent { .. })), "{target}");
            fs::remove_file(&link).unwrap();
        }
        assert_eq!(copies.all().unwrap(), [copy], "other directories are no copies");
        fs::write(&link, "copy-1").unwrap();
        let failed = copies.current().unwrap_err();
        assert!(failed.to_string().starts_with("cannot read the link "), "{failed}");
        assert!(copies.complete().is_err() && copies.finish(copy, |_| true).is_err());
    }
}
