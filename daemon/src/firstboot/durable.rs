//! Durable replacement of small files, one step at a time.
//!
//! Power may fail between any two steps. The seam [`Steps`] lets a test cut there: it is asked before each step, and
//! the shipped one always says yes.

use rustix::fs::{Mode, OFlags};
use std::fs::{File, OpenOptions, Permissions, read_link, remove_file, rename};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Suffix of a file that is not complete yet. A later run overwrites it.
const NEW_SUFFIX: &str = ".new";

/// Mode of a directory that everybody may list.
const LISTED: u32 = 0o755;

/// Gate in front of each step that changes a disk.
pub(super) trait Steps {
    /// Returns an error if the power fails before this step.
    fn next(&self, step: &str) -> io::Result<()>;
}

/// The steps of a machine whose power stays.
pub(super) struct AllSteps;

impl Steps for AllSteps {
    fn next(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file of at most `max` bytes; `None` if there is none. A longer one is returned with one byte more.
pub(super) fn read(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces a file, or creates it. Afterwards it has either its old or its new content, whatever fails.
///
/// `mode` is left out on a FAT, which has none.
pub(super) fn replace(steps: &dyn Steps, path: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    let new = new_path(path);
    steps.next("write")?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode.unwrap_or(0o600)).open(&new)?;
    file.write_all(bytes)?;
    if let Some(mode) = mode {
        // An older file of this name, or the umask, may have given it another mode.
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    steps.next("sync")?;
    file.sync_all()?;
    drop(file);
    publish(steps, &new, path)
}

/// Replaces a file, and overwrites the old content where it lies on the disk.
///
/// Otherwise a removed password could be read from the free space of the card. The overwriting is a courtesy: flash
/// memory may keep an old copy of its own. So its failure changes nothing.
pub(super) fn replace_and_overwrite(steps: &dyn Steps, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = OpenOptions::new().write(true).open(path);
    replace(steps, path, bytes, None)?;
    if let Ok(mut old) = old {
        steps.next("overwrite")?;
        let length = usize::try_from(old.seek(io::SeekFrom::End(0))?).unwrap_or(0);
        old.rewind().and_then(|()| old.write_all(&vec![b' '; length])).and_then(|()| old.sync_all()).ok();
    }
    Ok(())
}

/// Makes `path` a symbolic link to `target`.
pub(super) fn replace_link(steps: &dyn Steps, path: &Path, target: &str) -> io::Result<()> {
    if read_link(path).is_ok_and(|current| current == Path::new(target)) {
        return Ok(());
    }
    let new = new_path(path);
    steps.next("link")?;
    remove(&new)?;
    symlink(target, &new)?;
    publish(steps, &new, path)
}

/// Removes a file durably, if it is there.
pub(super) fn remove_durably(steps: &dyn Steps, path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(());
    }
    steps.next("remove")?;
    remove(path)?;
    sync_parent(steps, path)
}

/// Creates a directory that everybody may list, whatever the umask, and its missing parents.
pub(super) fn create_directory(steps: &dyn Steps, path: &Path) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o777 == LISTED) {
        return Ok(());
    }
    steps.next("create directory")?;
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(LISTED))?;
    sync_parent(steps, path)
}

fn publish(steps: &dyn Steps, new: &Path, path: &Path) -> io::Result<()> {
    steps.next("rename")?;
    rename(new, path)?;
    sync_parent(steps, path)
}

fn sync_parent(steps: &dyn Steps, path: &Path) -> io::Result<()> {
    steps.next("sync directory")?;
    let Some(parent) = path.parent() else { return Ok(()) };
    let directory = rustix::fs::open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::fsync(directory)?)
}

fn remove(path: &Path) -> io::Result<()> {
    remove_file(path).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn new_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW_SUFFIX);
    name.into()
}
