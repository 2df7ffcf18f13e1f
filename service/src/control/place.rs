//! Addresses of sockets in deep directories.
//!
//! A socket's path has at most 107 bytes (`unix(7)`). A longer one goes through `/proc/self/fd` of its directory.

use rustix::fs::{Mode, OFlags};
use rustix::net::SocketAddrUnix;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Length of `sun_path` without its final zero byte.
const MAX_PATH_BYTES: usize = 107;

/// Address of a socket. Keeps the directory open while a short name through it is in use.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) address: SocketAddrUnix,
    _directory: Option<OwnedFd>,
}

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let (short, directory) = if path.as_os_str().len() <= MAX_PATH_BYTES {
            (path.to_path_buf(), None)
        } else {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = rustix::fs::open(parent, flags, Mode::empty())?;
            let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
            (short, Some(directory))
        };
        Ok(Self { path: path.to_path_buf(), address: SocketAddrUnix::new(&short)?, _directory: directory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a path that the kernel would take and that goes the long way, or the other way round.
    #[test]
    fn a_path_goes_through_its_directory_only_if_it_is_too_long_for_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let path_of = |bytes: usize| dir.path().join("s".repeat(bytes - dir.path().as_os_str().len() - 1));
        for (bytes, is_direct) in [(60, true), (107, true), (108, false)] {
            let (path, place) = (path_of(bytes), Place::of(&path_of(bytes)).unwrap());
            assert_eq!((place.path.as_path(), path.as_os_str().len()), (path.as_path(), bytes));
            let address = place.address.path_bytes().unwrap();
            assert_eq!(address.starts_with(b"/proc/self/fd/"), !is_direct, "{bytes}");
        }
    }
}
