//! The file of a backup: written beside, proved, and only then given its name.

use crate::lifecycle::Exit;
use herd::backup::{BackupError, BackupProgress, BackupReader, BackupSummary};
use rustix::fs::{Advice, OFlags, fadvise};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// End of the name of a file that is not proved yet.
const PARTIAL: &str = ".partial";
/// Mode of the file: it holds owners and weights of animals.
const OWNER_ONLY: u32 = 0o600;
/// Number of attempts to create the file, in each of which another command may be faster.
const MAX_ATTEMPTS: u32 = 10;
/// Size of the buffer of the proof.
const BUFFER_BYTES: usize = 256 * 1024;

/// Step that gives a written file its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishStep {
    /// The file is about to be synced.
    Sync,
    /// A page was read back.
    ReadBack(BackupProgress),
    /// The file is whole, and is about to get its name.
    Name,
    /// The file has its name, and its directory is about to be synced.
    SyncDirectory,
}

/// Observes the steps. An error counts as one of the medium in that step.
pub type OnFinishStep<'a> = dyn FnMut(FinishStep) -> io::Result<()> + 'a;

/// Reason why there is no backup under its name.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The name cannot be that of a file.
    #[error("{} is not the name of a file: give one such as /media/stick/north.backup", .0.display())]
    Name(PathBuf),
    /// There is such a file.
    #[error("{} exists and was left as it is: give another name, or overwrite it with --force", .0.display())]
    Exists(PathBuf),
    /// Another command writes to the same file.
    #[error("another backup to {} is under way: wait for its end, or give another name", .0.display())]
    Busy(PathBuf),
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}. There is no new backup; check the room and the medium", path.display())]
    Io {
        /// The action.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is whole and has its name, which a power cut may take from it.
    #[error(
        "{} is whole, but its directory cannot be synced: {source}. A power cut now may lose its name; copy it to another \
         medium as well", path.display()
    )]
    NameNotDurable {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file was read back and is not what was written.
    #[error("{} was read back, and is not what was written: {source}. There is no new backup; use another medium", path.display())]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// The finding.
        source: BackupError,
    },
    /// The file was read back and is another backup than the one that was written.
    #[error("{} was read back, and is another backup than the one that was written: use another medium", .0.display())]
    OtherContent(PathBuf),
}

impl From<&TargetError> for Exit {
    fn from(error: &TargetError) -> Self {
        match error {
            TargetError::Name(_) => Self::Usage,
            TargetError::Exists(_) => Self::Refused,
            TargetError::Busy(_) => Self::Locked,
            TargetError::ReadBack { .. } | TargetError::OtherContent(_) => Self::Damaged,
            TargetError::Io { .. } | TargetError::NameNotDurable { .. } => Self::Failure,
        }
    }
}

/// A backup under way. Dropping it without [`finish`](Self::finish) removes what was written.
#[derive(Debug)]
pub struct BackupTarget {
    file: File,
    path: PathBuf,
    partial: PathBuf,
    overwrite: bool,
    is_finished: bool,
}

impl BackupTarget {
    /// Begins the file `path`, which must not exist unless `overwrite` is set.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, TargetError> {
        let invalid = || TargetError::Name(path.to_owned());
        let mut partial: OsString = path.file_name().ok_or_else(invalid)?.to_owned();
        if path.is_dir() {
            return Err(invalid());
        }
        check_free(path, overwrite)?;
        partial.push(PARTIAL);
        let partial = path.with_file_name(partial);
        for _ in 0..MAX_ATTEMPTS {
            remove_abandoned(path, &partial)?;
            if let Some(file) = create_locked(&partial)? {
                return Ok(Self { file, path: path.to_owned(), partial, overwrite, is_finished: false });
            }
        }
        Err(TargetError::Busy(path.to_owned()))
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns the directory of the file.
    pub fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    /// Makes the file durable, proves what the medium holds, and gives it its name.
    pub fn finish(mut self, written: &BackupSummary, on_step: &mut OnFinishStep<'_>) -> Result<(), TargetError> {
        let synced = on_step(FinishStep::Sync).and_then(|()| self.file.sync_all());
        synced.map_err(failed("sync", &self.partial))?;
        self.prove(written, on_step)?;
        check_free(&self.path, self.overwrite)?;
        let named = on_step(FinishStep::Name).and_then(|()| std::fs::rename(&self.partial, &self.path));
        named.map_err(failed("name", &self.path))?;
        self.is_finished = true;
        let open = |()| File::open(self.directory());
        let synced = on_step(FinishStep::SyncDirectory).and_then(open).and_then(|opened| opened.sync_all());
        synced.map_err(|source| TargetError::NameNotDurable { path: self.path.clone(), source })
    }

    fn prove(&self, written: &BackupSummary, on_step: &mut OnFinishStep<'_>) -> Result<(), TargetError> {
        let found = prove_file_at(&self.file, &self.path, on_step)?;
        if found == *written { Ok(()) } else { Err(TargetError::OtherContent(self.path.clone())) }
    }
}

/// Reads an open backup from its start to its end, and returns what it holds. `path` names it in an error.
pub(super) fn prove_file_at(
    mut file: &File,
    path: &Path,
    on_step: &mut OnFinishStep<'_>,
) -> Result<BackupSummary, TargetError> {
    // A file system that has no cache, or does not drop it, returns what it holds all the same.
    if let Err(error) = fadvise(file, 0, None, Advice::DontNeed) {
        tracing::debug!(%error, "the cache of the backup was not dropped");
    }
    file.seek(SeekFrom::Start(0)).map_err(failed("read", path))?;
    let differs = |source| TargetError::ReadBack { path: path.to_owned(), source };
    let mut reader = BackupReader::open(BufReader::with_capacity(BUFFER_BYTES, file)).map_err(differs)?;
    while reader.next_run().map_err(differs)?.is_some() {
        on_step(FinishStep::ReadBack(reader.progress())).map_err(failed("read back", path))?;
    }
    Ok(reader.summary())
}

impl Drop for BackupTarget {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = std::fs::remove_file(&self.partial)
        {
            tracing::debug!(file = %self.partial.display(), %error, "could not remove it; the next backup overwrites it");
        }
    }
}

/// Returns the file that a partial file was to become; `None` if the name is not that of a partial file.
pub(super) fn finished_path(partial: &Path) -> Option<PathBuf> {
    let name = partial.file_name()?.to_str()?.strip_suffix(PARTIAL)?;
    Some(partial.with_file_name(name))
}

/// Removes the partial file of a command that was killed. It is never written to: another user may have made it, or keep a
/// second name of it.
pub(super) fn remove_abandoned(path: &Path, partial: &Path) -> Result<(), TargetError> {
    let file = match without_links().open(partial) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed("open", partial))?,
    };
    if !lock(&file) {
        return Err(TargetError::Busy(path.to_owned()));
    }
    // Only the holder of the lock of what is there renames or removes it. Meanwhile another command may have done so.
    if !is_at(&file, partial) {
        return Ok(());
    }
    std::fs::remove_file(partial).map_err(failed("remove", partial))
}

/// Creates the partial file and locks it. Returns `None` if another command was faster.
fn create_locked(partial: &Path) -> Result<Option<File>, TargetError> {
    let file = match without_links().create_new(true).mode(OWNER_ONLY).open(partial) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        created => created.map_err(failed("create", partial))?,
    };
    Ok((lock(&file) && is_at(&file, partial)).then_some(file))
}

fn without_links() -> OpenOptions {
    let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(nofollow);
    options
}

/// Locks a file. A file system without locks has no second command that could be told apart.
fn lock(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Returns whether `path` is a name of the open file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.symlink_metadata()) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn check_free(path: &Path, overwrite: bool) -> Result<(), TargetError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(_) if overwrite => Ok(()),
        Ok(_) => Err(TargetError::Exists(path.to_owned())),
        Err(error) => Err(failed("look for", path)(error)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TargetError {
    let path = path.to_owned();
    move |source| TargetError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a name that is synced in another directory than its own.
    #[test]
    fn the_directory_of_a_bare_name_is_the_current_one() {
        for (path, expected) in [("north.backup", "."), ("stick/north.backup", "stick"), ("/north.backup", "/")] {
            assert_eq!(directory_of(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    /// Catches a command that removes or names the file which another one has put in the place of its own.
    #[test]
    fn a_name_is_that_of_the_open_file_only_while_it_names_the_file_itself() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let file = File::create(at("a")).unwrap();
        File::create(at("b")).unwrap();
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        let names = ["a", "b", "link", "none"].map(|name| is_at(&file, &at(name)));
        assert_eq!(names, [true, false, false, false]);
        std::fs::rename(at("b"), at("a")).unwrap();
        assert!(!is_at(&file, &at("a")));
    }
}
