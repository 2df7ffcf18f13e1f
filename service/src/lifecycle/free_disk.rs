//! Room on the disk that a process writes to.

use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Largest reserve that is kept free.
const MAX_RESERVE_BYTES: u64 = 512 * 1024 * 1024;

/// Room on a file system, for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeDisk {
    /// Free bytes without root's reserve (`f_bavail`).
    pub free_bytes: u64,
    /// Size of the file system.
    pub total_bytes: u64,
}

/// The file system did not report its room.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read the free space at {}: {errno}", path.display())]
pub struct FreeDiskError {
    path: PathBuf,
    errno: Errno,
}

/// Returns the room on the file system of `path` (`statvfs(3)`).
pub fn free_disk(path: &Path) -> Result<FreeDisk, FreeDiskError> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| FreeDiskError { path: path.into(), errno })?;
    Ok(FreeDisk {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Returns the free bytes below which nothing new is recorded: the smaller of 512 MiB and 5 % of the file system.
///
/// The reserve lets everything that is recorded already be kept, folded and backed up.
pub fn min_free_bytes(total_bytes: u64) -> u64 {
    (total_bytes / 20).min(MAX_RESERVE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_reports_its_room_and_a_missing_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let disk = free_disk(dir.path()).unwrap();
        assert!(disk.total_bytes > 0 && disk.free_bytes <= disk.total_bytes, "{disk:?}");
        let error = free_disk(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
    }

    #[test]
    fn a_small_disk_keeps_a_twentieth_free_and_a_large_one_512_mib() {
        assert_eq!(min_free_bytes(2_000_000_000), 100_000_000);
        assert_eq!(min_free_bytes(1 << 40), 512 << 20);
        assert_eq!(min_free_bytes(0), 0);
    }
}
