//! Things that come one after the other, made only when the one before has come.

use std::fmt;
use std::time::Duration;

use super::chance;

type Source<T> = Box<dyn Iterator<Item = (Duration, T)> + Send>;

/// An endless or long source, of which only the next thing is held.
pub(super) struct Feed<T> {
    source: Source<T>,
    upcoming: Option<T>,
}

impl<T> Feed<T> {
    pub(super) fn new(source: Source<T>) -> Self {
        Self { source, upcoming: None }
    }

    /// Takes what has come.
    pub(super) fn take(&mut self) -> Option<T> {
        self.upcoming.take()
    }

    /// Makes the next one, and says when it comes.
    pub(super) fn prepare(&mut self) -> Option<Duration> {
        let (at, next) = self.source.next()?;
        self.upcoming = Some(next);
        Some(at)
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// Times at which independent things happen: a Poisson process out of a seed, endless.
#[derive(Debug, Clone)]
pub struct Poisson {
    state: u64,
    mean_s: f64,
    at_s: f64,
}

impl Poisson {
    /// So many in a second, in the mean: above 0.
    pub fn new(seed: u64, rate_per_s: f64) -> Self {
        Self { state: chance::next(seed), mean_s: 1.0 / rate_per_s, at_s: 0.0 }
    }
}

impl Iterator for Poisson {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.state = chance::next(self.state);
        self.at_s -= self.mean_s * (1.0 - chance::unit(self.state)).ln();
        Duration::try_from_secs_f64(self.at_s).ok()
    }
}
