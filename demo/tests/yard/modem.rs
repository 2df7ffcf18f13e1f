//! The far end of a serial modem: a pseudo-terminal that a barn opens like a port.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Opens a pseudo-terminal, with a link at `port` to the end that the barn opens.
pub(crate) fn modem_at(port: &Path) -> File {
    let modem = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&modem).unwrap();
    unlockpt(&modem).unwrap();
    symlink(ptsname(&modem, Vec::new()).unwrap().to_str().unwrap(), port).unwrap();
    modem.into()
}
