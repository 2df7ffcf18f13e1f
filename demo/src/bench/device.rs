//! Bytes written to a block device, counted by the kernel. They are the wear that a commit causes on an SD card.

use std::path::{Path, PathBuf};

/// Size of a sector in `/sys/block/*/stat`, independent of the device (kernel, Documentation/block/stat.rst).
const SECTOR_BYTES: u64 = 512;

/// The block device of a directory.
#[derive(Clone, Debug)]
pub struct Device {
    stat: PathBuf,
}

impl Device {
    /// Returns the device of `path`, or `None` on a file system without one (tmpfs, overlay).
    pub fn of_path(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let line = mounts
            .lines()
            .filter(|line| line.split(' ').nth(4).is_some_and(|point| path.starts_with(point)))
            .max_by_key(|line| line.split(' ').nth(4).map_or(0, str::len))?;
        let stat = Path::new("/sys/dev/block").join(line.split(' ').nth(2)?).join("stat");
        stat.exists().then_some(Self { stat })
    }

    /// Returns the bytes that all processes have written to the device since the boot.
    pub fn written_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(&self.stat).unwrap_or_default();
        // The seventh field is the number of sectors written.
        text.split_whitespace().nth(6).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * SECTOR_BYTES
    }
}
