//! The raw disk that holds the slots.

use rustix::fs::{Advice, FlockOperation, fadvise, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time to wait for another command that has the disk locked. udev locks it for a moment when it looks at it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two tries.
const LOCK_RETRY: Duration = Duration::from_millis(100);

/// Reason why the disk could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SlotDiskError {
    /// The disk could not be opened.
    #[error("cannot open {}: {source}; run the command as root (sudo)", path.display())]
    Open {
        /// The disk.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Another command uses the slots.
    #[error("{} is in use by another `slot` or `update` command; wait until it has ended", path.display())]
    Locked {
        /// The disk.
        path: PathBuf,
    },
    /// A read, write or flush failed.
    #[error("cannot {action} {}: {source}; the card may be failing, or is too small", path.display())]
    Io {
        /// The disk.
        path: PathBuf,
        /// The failed action, with its place.
        action: String,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// A disk with slots. Tests use one that loses power.
pub trait RawDisk {
    /// Fills `buffer` with the bytes at `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SlotDiskError>;
    /// Writes `bytes` at `offset`. They are durable only after [`sync`](Self::sync).
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SlotDiskError>;
    /// Makes all earlier writes durable on the disk, past its own cache.
    fn sync(&self) -> Result<(), SlotDiskError>;
    /// Drops the cached bytes of a range, so that the next read returns what the disk has. The range must be synced.
    fn drop_cache(&self, offset: u64, length: u64) -> Result<(), SlotDiskError>;
}

/// The disk as a device, or as an image file. Locked until it is dropped.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
}

impl DiskFile {
    /// Opens a disk for reading only, without a lock: a state is read in one piece, and is checked.
    pub fn open_for_reading(path: &Path) -> Result<Self, SlotDiskError> {
        let file = File::open(path).map_err(|source| SlotDiskError::Open { path: path.into(), source })?;
        Ok(Self { file, path: path.into() })
    }

    /// Opens a disk for writing, and locks it against other commands.
    ///
    /// udev skips a disk that is locked in this way, so it does not read a slot that is half written.
    pub fn open(path: &Path) -> Result<Self, SlotDiskError> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.map_err(|source| SlotDiskError::Open { path: path.into(), source })?;
        let disk = Self { file, path: path.into() };
        let start = Instant::now();
        loop {
            match flock(&disk.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(disk),
                Err(Errno::WOULDBLOCK) if start.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOCK_RETRY),
                Err(Errno::WOULDBLOCK) => return Err(SlotDiskError::Locked { path: disk.path }),
                Err(errno) => return Err(disk.error("lock".to_owned(), errno.into())),
            }
        }
    }

    fn error(&self, action: String, source: io::Error) -> SlotDiskError {
        SlotDiskError::Io { path: self.path.clone(), action, source }
    }
}

impl RawDisk for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SlotDiskError> {
        let length = buffer.len();
        let result = self.file.read_exact_at(buffer, offset);
        result.map_err(|source| self.error(format!("read {length} bytes at {offset} of"), source))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SlotDiskError> {
        let result = self.file.write_all_at(bytes, offset);
        result.map_err(|source| self.error(format!("write {} bytes at {offset} of", bytes.len()), source))
    }

    fn sync(&self) -> Result<(), SlotDiskError> {
        self.file.sync_data().map_err(|source| self.error("flush".to_owned(), source))
    }

    fn drop_cache(&self, offset: u64, length: u64) -> Result<(), SlotDiskError> {
        let dropped = fadvise(&self.file, offset, NonZeroU64::new(length), Advice::DontNeed);
        dropped.map_err(|errno| self.error("drop the cache of".to_owned(), errno.into()))
    }
}
