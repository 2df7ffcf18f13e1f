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
