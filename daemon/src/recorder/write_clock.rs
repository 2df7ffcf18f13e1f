//! Clock of the write under way, for health: a disk that hangs answers nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Tells how long the write under way has taken. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct WriteClock(Arc<Mutex<Option<Instant>>>);

impl WriteClock {
    /// Returns the time since the write under way began; `None` between writes.
    pub fn elapsed(&self) -> Option<Duration> {
        self.began().map(|began| began.elapsed())
    }

    /// Starts the clock, until the result is dropped.
    pub(crate) fn start(&self) -> RunningWrite {
        self.set(Some(Instant::now()));
        RunningWrite(self.clone())
    }

    fn began(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, began: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct RunningWrite(WriteClock);

impl Drop for RunningWrite {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
