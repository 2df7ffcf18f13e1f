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
//! one until the swap after it, and then only one that the new copy holds, or that was given back to the barn, is removed.
//! The file `given-back` in its directory says that, and where the barn was then: a barn may lose again what it was given,
//! so the copy stays until the current one has come past that position. An unfinished copy may be the only one that holds
//! the last reads of a barn that was lost in the meantime. When another copy takes its place, or when it is canceled, it is
//! set aside by the file `set-aside`: it stays in the same way, and is not continued.

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
/// File in an unfinished copy that is kept for what it holds, and not continued.
const SET_ASIDE: &str = "set-aside";
/// File in a copy by which a person has decided that it replaces a shown one that has diverged from the barn.
const DECIDED: &str = "decided";
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

    /// Returns the newest unfinished copy that is not set aside. It was being built when the process last ended.
    pub fn unfinished(&self) -> Result<Option<CopyNumber>, CopiesError> {
        let current = self.current()?;
        Ok(self.all()?.into_iter().filter(|copy| Some(*copy) > current && !self.is_set_aside(*copy)).max())
    }

    /// Creates a new copy. The unfinished ones before it are removed if `is_spent` says that nobody needs them, and set aside
    /// otherwise.
    pub fn begin(&self, is_spent: impl Fn(CopyNumber) -> bool) -> Result<CopyNumber, CopiesError> {
        let current = self.current()?;
        let all = self.all()?;
        for unfinished in all.iter().filter(|copy| Some(**copy) > current) {
            self.abandon(*unfinished, &is_spent)?;
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

    /// Returns the copies that are not being built, the oldest first: the complete ones, and those that are set aside.
    pub fn kept(&self) -> Result<Vec<CopyNumber>, CopiesError> {
        let current = self.current()?;
        let is_kept = |copy: &CopyNumber| Some(*copy) <= current || self.is_set_aside(*copy);
        let mut kept: Vec<_> = self.all()?.into_iter().filter(is_kept).collect();
        kept.sort_unstable();
        Ok(kept)
    }

    /// Notes that a person has decided for this copy: it replaces a shown one that has diverged from the barn.
    pub fn mark_decided(&self, copy: CopyNumber) -> Result<(), CopiesError> {
        self.mark(copy, DECIDED)
    }

    /// Returns true if a person has decided for this copy.
    pub fn is_decided(&self, copy: CopyNumber) -> bool {
        self.path(copy).join(DECIDED).exists()
    }

    fn is_set_aside(&self, copy: CopyNumber) -> bool {
        self.path(copy).join(SET_ASIDE).exists()
    }

    /// Adds an empty file to a copy.
    fn mark(&self, copy: CopyNumber, name: &str) -> Result<(), CopiesError> {
        let path = self.path(copy).join(name);
        fs::File::create(&path).and_then(|file| file.sync_all()).map_err(file_error("create", &path))?;
        sync_directory(&self.path(copy))
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

    /// Cancels the newest unfinished copy, and returns which one it was. A copy that is the only one is not canceled.
    pub fn cancel(&self, is_spent: impl Fn(CopyNumber) -> bool) -> Result<CopyNumber, CopiesError> {
        let unfinished = self.unfinished()?.ok_or(CopiesError::NothingUnfinished)?;
        if self.current()?.is_none() {
            return Err(CopiesError::OnlyCopy(unfinished));
        }
        self.abandon(unfinished, is_spent)?;
        Ok(unfinished)
    }

    /// Removes an unfinished copy if `is_spent` says that nobody needs it, and sets it aside otherwise.
    pub fn abandon(&self, copy: CopyNumber, is_spent: impl Fn(CopyNumber) -> bool) -> Result<(), CopiesError> {
        if !is_spent(copy) {
            tracing::info!(%copy, "the unfinished copy is set aside: only it holds some of its changes");
            return self.mark(copy, SET_ASIDE);
        }
        self.remove(copy)?;
        self.sync()
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
mod tests;
