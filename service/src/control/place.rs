//! Names for sockets in deep directories.
//!
//! The kernel takes at most 107 bytes of a socket's path (`unix(7)`); a longer one goes through the open directory's
//! name in `/proc/self/fd`.

use rustix::fs::{Mode, OFlags};
use rustix::net::SocketAddrUnix;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// `sun_path` less its final zero byte.
const MAX_PATH_BYTES: usize = 107;

/// A socket's address; keeps the directory open while a short name through it is in use.
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
