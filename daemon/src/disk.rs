//! How much room the disk has left, asked at most once a second.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So long one answer of the file system is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// What a file system says about its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes free for an ordinary user (`f_bavail`).
    pub free_bytes: u64,
    /// Below this nothing more is taken in.
    pub needed_bytes: u64,
}

/// Why nothing can be taken in now. Both may pass: trying again can help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskTrouble {
    /// The bound is reached.
    #[error("the disk has {free_bytes} bytes free, and below {needed_bytes} nothing is taken in: make room")]
    Full {
        /// What is left.
        free_bytes: u64,
        /// What must be left.
        needed_bytes: u64,
    },
    /// The file system did not answer.
    #[error("the free room of the disk could not be asked for: {why}. Look at the disk and at `state_dir`")]
    Unknown {
        /// What it said.
        why: String,
    },
}

type Measure = Box<dyn Fn() -> io::Result<Room> + Send + Sync>;

struct Gauge {
    measure: Measure,
    last: Mutex<Option<(Instant, Result<Room, DiskTrouble>)>>,
}

/// A handle on the measure; clones share the last answer.
#[derive(Clone)]
pub struct DiskGauge(Arc<Gauge>);

impl std::fmt::Debug for DiskGauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskGauge").finish_non_exhaustive()
    }
}

impl DiskGauge {
    /// Asks `measure`. The seam through which simulated worlds fill their disk.
    pub fn new(measure: impl Fn() -> io::Result<Room> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Gauge { measure: Box::new(measure), last: Mutex::default() }))
    }

    /// Asks the file system that holds this directory.
    pub fn of_directory(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(move || {
            let disk = service::lifecycle::free_disk(&path).map_err(io::Error::other)?;
            let needed_bytes = service::lifecycle::min_free_bytes(disk.total_bytes);
            Ok(Room { free_bytes: disk.free_bytes, needed_bytes })
        })
    }

    /// A disk that never fills.
    pub fn plenty() -> Self {
        Self::new(|| Ok(Room { free_bytes: u64::MAX, needed_bytes: 0 }))
    }

    /// Whether payloads may be taken in.
    pub fn check(&self) -> Result<(), DiskTrouble> {
        match self.room()? {
            Room { free_bytes, needed_bytes } if free_bytes < needed_bytes => {
                Err(DiskTrouble::Full { free_bytes, needed_bytes })
            }
            _ => Ok(()),
        }
    }

    /// What is left, and what must be; only ever [`DiskTrouble::Unknown`] where that is not known.
    pub fn room(&self) -> Result<Room, DiskTrouble> {
        let now = Instant::now();
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, answer)) if now.duration_since(*at) < BELIEVED => answer.clone(),
            _ => last.insert((now, self.ask())).1.clone(),
        }
    }

    fn ask(&self) -> Result<Room, DiskTrouble> {
        (self.0.measure)().map_err(|error| DiskTrouble::Unknown { why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_believed_for_a_second_and_then_asked_for_again() {
        let free = Arc::new(AtomicU64::new(5));
        let seen = free.clone();
        let gauge = DiskGauge::new(move || Ok(Room { free_bytes: seen.load(Ordering::Relaxed), needed_bytes: 10 }));
        let full = Err(DiskTrouble::Full { free_bytes: 5, needed_bytes: 10 });
        assert_eq!(gauge.check(), full);
        free.store(10, Ordering::Relaxed);
        assert_eq!(gauge.check(), full);
        tokio::time::advance(BELIEVED).await;
        assert_eq!(gauge.check(), Ok(()));
    }

    #[test]
    fn a_disk_that_does_not_answer_takes_nothing_in() {
        let gauge = DiskGauge::new(|| Err(io::Error::other("gone")));
        assert!(matches!(gauge.check(), Err(DiskTrouble::Unknown { why }) if why == "gone"));
    }
}
