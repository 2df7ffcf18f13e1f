//! File descriptors in reserve, so that a command gets through while connections hold all others.
//!
//! An operator looks at a process just when it is short of something. The limit of the units is far above what the process
//! may open; that of a shell may be 256.

use rustix::io::Errno;
use std::fs::File;
use std::io;

/// Number of descriptors: one for a connection, and others because the server may take one as soon as it is free.
const RESERVED: usize = 4;

/// Descriptors that are open and used for nothing.
#[derive(Debug, Default)]
pub(super) struct ReservedDescriptors(Vec<File>);

impl ReservedDescriptors {
    /// Opens the descriptors that are missing, as far as there are any.
    pub(super) fn fill(&mut self) {
        while self.0.len() < RESERVED
            && let Ok(file) = File::open("/dev/null")
        {
            self.0.push(file);
        }
    }

    /// Closes them after an error that says that there is no descriptor left. Returns whether it is worth trying again.
    pub(super) fn release_after(&mut self, error: &io::Error) -> bool {
        let is_exhausted = matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
        is_exhausted && !std::mem::take(&mut self.0).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a reserve that is spent on another error, and an accept that spins because nothing was released.
    #[test]
    fn the_reserve_is_released_once_and_only_if_there_are_no_descriptors_left() {
        let mut reserved = ReservedDescriptors::default();
        let exhausted = io::Error::from(Errno::MFILE);
        assert!(!reserved.release_after(&exhausted), "there is nothing to release");
        reserved.fill();
        reserved.fill();
        assert_eq!(reserved.0.len(), RESERVED);
        assert!(!reserved.release_after(&io::Error::from(Errno::CONNABORTED)));
        assert!(reserved.release_after(&exhausted));
        assert!(!reserved.release_after(&exhausted));
    }
}
