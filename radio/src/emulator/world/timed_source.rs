//! A long or endless series of timed items, generated one at a time.

use std::fmt;
use std::time::Duration;

/// Boxed series of items, each with its time on the air's clock.
pub(in crate::emulator) type TimedItems<T> = Box<dyn Iterator<Item = (Duration, T)> + Send>;

/// A series of timed items that generates the next one only after the previous one was taken.
pub(super) struct TimedSource<T> {
    items: TimedItems<T>,
    upcoming: Option<T>,
}

impl<T> TimedSource<T> {
    pub(super) fn new(items: TimedItems<T>) -> Self {
        Self { items, upcoming: None }
    }

    /// Takes the item that the last [`prepare`](Self::prepare) generated.
    pub(super) fn take(&mut self) -> Option<T> {
        self.upcoming.take()
    }

    /// Generates the next item and returns its time, or `None` at the end of the series.
    pub(super) fn prepare(&mut self) -> Option<Duration> {
        let (at, next) = self.items.next()?;
        self.upcoming = Some(next);
        Some(at)
    }
}

impl<T> fmt::Debug for TimedSource<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TimedSource").finish_non_exhaustive()
    }
}
