//! Tells whether two places die together.

use rustix::fs::{major, minor};
use std::fs::metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The kernel's list of block devices by number.
const BLOCK_DEVICES: &str = "/sys/dev/block";

/// Returns whether two paths are on one disk or card, perhaps in two partitions of it. `false` if that is unknown.
pub fn are_on_one_disk(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (metadata(one), metadata(other)) else { return false };
    one.dev() == other.dev() || disk_of(one.dev()).is_some_and(|disk| Some(disk) == disk_of(other.dev()))
}

/// Returns the disk that a file system's device is on: itself, or the disk of the partition. `None` if there is no such
/// device, as below a file system in memory or over the network.
fn disk_of(device: u64) -> Option<PathBuf> {
    let entry = Path::new(BLOCK_DEVICES).join(format!("{}:{}", major(device), minor(device)));
    let found = entry.canonicalize().ok()?;
    let is_partition = found.join("partition").exists();
    if is_partition { found.parent().map(Path::to_owned) } else { Some(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_on_one_disk_with_itself_and_not_with_memory() {
        let directory = tempfile::tempdir().unwrap();
        assert!(are_on_one_disk(directory.path(), directory.path()));
        assert!(!are_on_one_disk(directory.path(), Path::new("/proc")));
        assert!(!are_on_one_disk(directory.path(), Path::new("/nowhere")));
    }
}
