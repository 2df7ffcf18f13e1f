//! The slot that the machine was started from, and the disk that it is on.

use super::Slot;
use super::disk::{DiskFile, SlotDiskError};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The kernel's command line, which U-Boot's `slot.cmd` wrote.
const COMMAND_LINE: &str = "/proc/cmdline";
/// Mount point of the partition that the root was started from; the initrd mounts it.
const SLOT_MOUNT: &str = "/run/slot";
/// File with the facts about the root before a trial, on the partition that both roots share.
const TRIAL_FILE: &str = "/var/lib/herdlinx-card/before-trial.json";
/// Maximum size of the files that are read here. The kernel's command line has 4 KiB at most.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reason why the booted slot is unknown.
#[derive(Debug, thiserror::Error)]
pub enum BootedError {
    /// U-Boot did not start this machine from a slot.
    #[error(
        "this machine was not started from a HerdLinx card, so it has no slots; with Debian packages, upgrade with \
         `apt upgrade`"
    )]
    NoCard,
    /// The partition of the slot is not mounted.
    #[error("no partition is mounted at {SLOT_MOUNT}, so the disk of the slots is unknown; name it with --disk")]
    NotMounted,
    /// A file of the kernel could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The disk could not be opened.
    #[error(transparent)]
    Disk(#[from] SlotDiskError),
}

/// The slot that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootedSlot {
    /// The slot.
    pub slot: Slot,
    /// True if U-Boot started it as a trial.
    pub is_trial: bool,
}

impl BootedSlot {
    /// Returns the slot that the kernel's command line names, or `None` if it names none. The last parameter of a name
    /// counts, as for the kernel.
    pub fn from_command_line(text: &str) -> Option<Self> {
        let value = |key: &str| text.split_whitespace().filter_map(|word| word.strip_prefix(key)).next_back();
        let slot = Slot::from_name(value("herd.slot=")?)?;
        Some(Self { slot, is_trial: value("herd.trial=") == Some("1") })
    }
}

/// Arguments that find the slots. The defaults are right on a card; tests use others on an image file.
#[derive(Clone, Debug, clap::Args)]
pub struct BootedArgs {
    /// Use the slots of this disk or image file [default: the disk that holds the running slot]
    #[arg(long, value_name = "FILE", hide = true)]
    disk: Option<PathBuf>,
    /// Read the running slot from this file [default: /proc/cmdline]
    #[arg(long, value_name = "FILE", hide = true)]
    kernel_command_line: Option<PathBuf>,
    /// Keep the facts about the root before a trial in this file
    #[arg(long, value_name = "FILE", default_value = TRIAL_FILE, hide = true)]
    trial_file: PathBuf,
}

impl BootedArgs {
    /// Returns the running slot.
    pub fn booted(&self) -> Result<BootedSlot, BootedError> {
        let path = self.kernel_command_line.as_deref().unwrap_or(Path::new(COMMAND_LINE));
        BootedSlot::from_command_line(&read_text(path)?).ok_or(BootedError::NoCard)
    }

    /// Returns the file with the facts about the root before a trial.
    pub fn trial_file(&self) -> &Path {
        &self.trial_file
    }

    /// Opens the disk for reading.
    pub fn open_for_reading(&self) -> Result<DiskFile, BootedError> {
        Ok(DiskFile::open_for_reading(&self.disk_path()?)?)
    }

    /// Opens the disk for writing, and locks it.
    pub fn open(&self) -> Result<DiskFile, BootedError> {
        Ok(DiskFile::open(&self.disk_path()?)?)
    }

    fn disk_path(&self) -> Result<PathBuf, BootedError> {
        match &self.disk {
            Some(path) => Ok(path.clone()),
            None => disk_of_running_slot(),
        }
    }
}

fn read_text(path: &Path) -> Result<String, BootedError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_err(|source| BootedError::Read { path: path.into(), source })
}

/// Returns the disk whose partition is mounted as the running slot. The kernel names the partition by its device number,
/// because the name in the list of mounts may be one of the initrd's.
fn disk_of_running_slot() -> Result<PathBuf, BootedError> {
    let mounts = read_text(Path::new("/proc/self/mountinfo"))?;
    let number = device_of_mount(&mounts, SLOT_MOUNT).ok_or(BootedError::NotMounted)?;
    let link = Path::new("/sys/dev/block").join(number);
    let partition = fs::canonicalize(&link).map_err(|source| BootedError::Read { path: link, source })?;
    // The directory of a partition lies in that of its disk.
    let disk = partition.parent().and_then(Path::file_name).ok_or(BootedError::NotMounted)?;
    Ok(Path::new("/dev").join(disk))
}

/// Returns the device number (`179:2`) of the file system that is mounted at `place`. The last mount there is the
/// visible one.
fn device_of_mount<'a>(mounts: &'a str, place: &str) -> Option<&'a str> {
    let mut devices = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(2);
        let device = words.next()?;
        (words.nth(1)? == place).then_some(device)
    });
    devices.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches an ordinary machine that is taken for a card, and a trial that is taken for a confirmed root.
    #[test]
    fn the_kernel_command_line_names_the_slot_and_the_trial() {
        let booted = |text| BootedSlot::from_command_line(text).map(|booted| (booted.slot, booted.is_trial));
        assert_eq!(booted("console=tty0 root=PARTUUID=1-03 ro herd.slot=b herd.trial=1 \n"), Some((Slot::B, true)));
        assert_eq!(booted("herd.slot=a herd.trial=0 quiet"), Some((Slot::A, false)));
        assert_eq!(booted("herd.slot=a herd.slot=b"), Some((Slot::B, false)));
        for other in ["", "quiet root=/dev/sda1", "herd.slot=c", "herd.slot=", "xherd.slot=a", "herd.trial=1"] {
            assert_eq!(booted(other), None, "{other}");
        }
    }

    /// Catches a slot that is looked for on the disk of another mount.
    #[test]
    fn the_device_of_a_mount_is_found_by_its_place() {
        let mounts = "22 1 7:0 / / ro - squashfs /dev/loop0 ro\n\
                      23 22 179:2 / /run/slot ro,relatime - ext4 /dev/root ro\n\
                      24 22 179:4 / /var rw - ext4 /dev/mmcblk0p4 rw\n";
        assert_eq!(device_of_mount(mounts, "/run/slot"), Some("179:2"));
        assert_eq!(device_of_mount(mounts, "/run"), None);
        assert_eq!(device_of_mount("short\n\n1 2\n", "/run/slot"), None);
    }
}
