//! Bytes at the block device, counted by the kernel: what a commit really costs an SD card.

use std::path::{Path, PathBuf};

/// Sector of `/sys/block/*/stat`, whatever the device's own (kernel, Documentation/block/stat.rst).
const SECTOR_BYTES: u64 = 512;

/// The counters of the device that holds a directory.
#[derive(Clone, Debug)]
pub struct Device {
    stat: PathBuf,
}

impl Device {
    /// The device that holds `path`; none where it lies on no block device of its own (tmpfs, overlay).
    pub fn holding(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let line = mounts
            .lines()
            .filter(|line| line.split(' ').nth(4).is_some_and(|point| path.starts_with(point)))
            .max_by_key(|line| line.split(' ').nth(4).map_or(0, str::len))?;
        let stat = Path::new("/sys/dev/block").join(line.split(' ').nth(2)?).join("stat");
        stat.exists().then_some(Self { stat })
    }

    /// Bytes written to it since the machine was started, by whomever.
    pub fn written_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(&self.stat).unwrap_or_default();
        // The seventh figure: sectors written.
        text.split_whitespace().nth(6).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * SECTOR_BYTES
    }
}
