//! Reading and writing the card's boot partition.
//!
//! The partition is mounted read-only, because a FAT has no journal. It is writable only while something is written,
//! and only if there is something to write. The remount is a system call: no other program is needed.

use super::FirstBootError;
use super::durable::{Steps, read, replace, replace_and_overwrite};
use super::imager::{NETWORK_CONFIG, USER_DATA};
use super::judge::Snapshot;
use super::report::RESULT_FILE;
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::mount::{MountFlags, mount_remount};
use service::card::{CARD_FILE, MAX_CARD_FILE_BYTES};
use std::io;
use std::path::{Path, PathBuf};

/// Names that Windows and phones give the file behind a person's back.
const MISNAMED: [&str; 3] = ["herdlinx.toml.txt", "herdlinx.txt", "herdlinx (1).toml"];

/// Content for files of the card; `None` leaves a file as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct CardWrites<'a> {
    pub(super) result: Option<String>,
    pub(super) file: Option<&'a [u8]>,
    pub(super) network_config: Option<&'a [u8]>,
}

/// The directory of the card's boot partition.
#[derive(Clone, Debug)]
pub(super) struct Card {
    path: PathBuf,
}

impl Card {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FirstBootError> {
        let path = self.path.join(name);
        read(&path, MAX_CARD_FILE_BYTES).map_err(|source| FirstBootError::read(&path, source))
    }

    /// Reads the files that people and Raspberry Pi Imager write.
    pub(super) fn snapshot(&self) -> Result<Snapshot, FirstBootError> {
        let file = self.read(CARD_FILE)?;
        let misnamed = MISNAMED.into_iter().find(|name| file.is_none() && self.path.join(name).exists());
        Ok(Snapshot { file, misnamed, user_data: self.read(USER_DATA)?, network_config: self.read(NETWORK_CONFIG)? })
    }

    /// Returns the text of the result file; empty if there is none.
    pub(super) fn result(&self) -> Result<String, FirstBootError> {
        Ok(self.read(RESULT_FILE)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }

    /// Writes the result, and blanks the secrets last: until then the next boot finds them again.
    pub(super) fn write(&self, writes: &CardWrites<'_>, steps: &dyn Steps) -> Result<(), FirstBootError> {
        let CardWrites { result, file, network_config } = writes;
        if result.is_none() && file.is_none() && network_config.is_none() {
            return Ok(());
        }
        self.writable(|| {
            if let Some(text) = result {
                self.replace(RESULT_FILE, |path| replace(steps, path, text.as_bytes(), None))?;
            }
            for (name, content) in [(NETWORK_CONFIG, network_config), (CARD_FILE, file)] {
                if let Some(content) = content {
                    self.replace(name, |path| replace_and_overwrite(steps, path, content))?;
                }
            }
            Ok(())
        })
    }

    fn replace(&self, name: &str, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), FirstBootError> {
        let path = self.path.join(name);
        write(&path).map_err(|source| FirstBootError::write(&path, source))
    }

    /// Makes the partition writable while `work` runs, if it is not.
    fn writable(&self, work: impl FnOnce() -> Result<(), FirstBootError>) -> Result<(), FirstBootError> {
        let failed =
            |source: rustix::io::Errno| FirstBootError::Remount { path: self.path.clone(), source: source.into() };
        let flags = statvfs(&self.path).map_err(failed)?.f_flag;
        if !flags.contains(StatVfsMountFlags::RDONLY) {
            return work();
        }
        // A remount sets all flags anew, so the others are repeated.
        let kept = mount_flags(flags);
        mount_remount(&self.path, kept, "").map_err(failed)?;
        let done = work();
        let closed = mount_remount(&self.path, kept | MountFlags::RDONLY, "").map_err(failed);
        done.and(closed)
    }
}

fn mount_flags(flags: StatVfsMountFlags) -> MountFlags {
    let known = [
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::SYNCHRONOUS, MountFlags::SYNCHRONOUS),
    ];
    known.into_iter().filter(|(found, _)| flags.contains(*found)).map(|(_, flag)| flag).collect()
}
