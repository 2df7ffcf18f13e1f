//! Room on the disk of a copy.
//!
//! A file system that is full fails writes in the middle, which costs a restart, and may refuse even to open a copy. So a
//! follower stops before that, and its copy stays as it is and is shown. It looks again every [`ROOM_INTERVAL`].

use service::lifecycle::{free_disk, min_free_bytes};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Interval at which a follower without room looks for room.
pub const ROOM_INTERVAL: Duration = Duration::from_secs(10);

/// Reason why nothing more is copied for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoomError {
    /// The free space is below the floor.
    #[error(
        "the disk of the copies has only {free_bytes} bytes free, and copying needs {needed_bytes}: make room, and it \
         continues by itself"
    )]
    Full {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that must be free.
        needed_bytes: u64,
    },
    /// The file system did not report its free space.
    #[error("{0}; check the disk and `state_dir`")]
    Unknown(String),
}

/// Tells whether there is room for more changes. Clones look at the same disk.
#[derive(Clone)]
pub struct Room(Arc<dyn Fn() -> Result<(), NoRoomError> + Send + Sync>);

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Room {
    /// Creates a room that `check` looks for. This is the seam by which tests fill a disk.
    pub fn new(check: impl Fn() -> Result<(), NoRoomError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Creates the room on a disk that never fills.
    pub fn plenty() -> Self {
        Self::new(|| Ok(()))
    }

    /// Creates the room on the file system of a directory, with the reserve that the barn keeps, too.
    pub fn of_directory(path: PathBuf) -> Self {
        Self::new(move || {
            let disk = free_disk(&path).map_err(|error| NoRoomError::Unknown(error.to_string()))?;
            require(min_free_bytes(disk.total_bytes), disk.free_bytes)
        })
    }

    /// Returns an error if there is no room now.
    pub fn check(&self) -> Result<(), NoRoomError> {
        (self.0)()
    }
}

fn require(needed_bytes: u64, free_bytes: u64) -> Result<(), NoRoomError> {
    if free_bytes < needed_bytes { Err(NoRoomError::Full { free_bytes, needed_bytes }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_gone_has_no_room_and_a_full_disk_names_what_it_needs() {
        let directory = tempfile::tempdir().unwrap();
        let gone = Room::of_directory(directory.path().join("gone")).check().unwrap_err();
        assert!(gone.to_string().contains("gone") && gone.to_string().contains("state_dir"), "{gone}");
        assert_eq!(require(7, 7), Ok(()));
        let full = require(7, 6).unwrap_err().to_string();
        assert!(full.contains("6 bytes free") && full.contains("needs 7"), "{full}");
    }
}
