//! A backup on the disk of its own barn, which must leave the room that the barn needs to record.

use crate::lifecycle::free_disk;
use std::fs::{File, metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The backup would use the room that is kept free to record.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is on the file system of {}, of which {min_free_bytes} bytes stay free for what is recorded: write to a stick or \
     another machine", state_dir.display()
)]
pub struct NoRoomError {
    /// The state directory.
    state_dir: PathBuf,
    /// Free bytes below which nothing is recorded.
    min_free_bytes: u64,
}

/// Writes a file, and stops before the file system of the state directory has less room than recording needs.
#[derive(Debug)]
pub(super) struct RoomKeeper<'a> {
    file: &'a File,
    /// `None` if the file is on another file system.
    state_dir: Option<&'a Path>,
    /// Returns the room to keep free, from the size of the file system.
    min_free_bytes: fn(u64) -> u64,
}

impl<'a> RoomKeeper<'a> {
    /// Creates the writer of a file in `directory`.
    pub(super) fn new(file: &'a File, directory: &Path, state_dir: &'a Path, min_free_bytes: fn(u64) -> u64) -> Self {
        let state_dir = is_shared(directory, state_dir).then_some(state_dir);
        Self { file, state_dir, min_free_bytes }
    }

    fn check(&self, bytes: usize) -> Result<(), NoRoomError> {
        // A file system that does not report its room has no reserve, either.
        let Some((state_dir, disk)) = self.state_dir.and_then(|path| Some((path, free_disk(path).ok()?))) else {
            return Ok(());
        };
        let min_free_bytes = (self.min_free_bytes)(disk.total_bytes);
        if disk.free_bytes.saturating_sub(bytes as u64) >= min_free_bytes {
            return Ok(());
        }
        Err(NoRoomError { state_dir: state_dir.to_owned(), min_free_bytes })
    }
}

impl Write for RoomKeeper<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check(bytes.len()).map_err(|error| io::Error::new(ErrorKind::StorageFull, error))?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns the room for a backup in `directory`; `None` if the file system does not report it.
pub(super) fn room_for_backup(directory: &Path, state_dir: &Path, min_free_bytes: fn(u64) -> u64) -> Option<u64> {
    let disk = free_disk(directory).ok()?;
    let reserve = if is_shared(directory, state_dir) { min_free_bytes(disk.total_bytes) } else { 0 };
    Some(disk.free_bytes.saturating_sub(reserve))
}

/// Returns whether both are on one file system.
fn is_shared(directory: &Path, state_dir: &Path) -> bool {
    let device = |path| metadata(path).map(|found| found.dev()).ok();
    device(state_dir).is_some_and(|shared| device(directory) == Some(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a backup on the barn's own disk that fills it until nothing is recorded.
    #[test]
    fn a_file_beside_the_store_stops_at_the_room_that_recording_needs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let file = File::create(path.join("north.backup")).unwrap();
        let write = |state_dir: &Path, min_free: fn(u64) -> u64| {
            RoomKeeper::new(&file, path, state_dir, min_free).write_all(b"a page")
        };
        write(path, |_| 0).unwrap();
        write(Path::new("/proc"), |_| u64::MAX).unwrap();
        write(Path::new("/nowhere"), |_| u64::MAX).unwrap();
        write(path, |_| u64::MAX).unwrap_err().downcast::<NoRoomError>().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 18);
    }

    /// Catches a nightly backup that counts the room which recording needs, and one that finds none on a stick.
    #[test]
    fn only_a_backup_beside_the_store_leaves_the_room_that_recording_needs() {
        let directory = tempfile::tempdir().unwrap();
        let room = |directory: &Path, state_dir: &str, min_free: fn(u64) -> u64| {
            room_for_backup(directory, Path::new(state_dir), min_free)
        };
        let beside = directory.path().to_str().unwrap();
        assert_eq!(room(directory.path(), beside, |_| u64::MAX), Some(0));
        assert!(room(directory.path(), beside, |_| 0) > Some(1));
        assert!(room(directory.path(), "/proc", |_| u64::MAX) > Some(1));
        assert_eq!(room(&directory.path().join("none"), beside, |_| 0), None);
    }
}
