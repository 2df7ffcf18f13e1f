//! What a process tells its supervisor, systemd: that it is ready, how it is, that it lives, that it stops.
//!
//! Telling never waits for long and never fails the teller: a supervisor that does not listen is no reason to stop recording.
//! Where there is none, nothing is told, and the program is an ordinary one of the foreground.

mod notifier;
mod opening;
mod probe;
mod watchdog;

#[cfg(test)]
mod tests;

pub use opening::{STEP_WITHIN, tell_opening};
pub use probe::{Answerer, Asker, probe};
pub use watchdog::{Watchdog, attend, feed, report};

use notifier::Notifier;
use std::sync::Arc;
use std::time::Duration;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The process does what it is there for, and is so.
    Ready {
        /// How it is.
        status: String,
    },
    /// How it is, in a line for people.
    Status(String),
    /// Its parts answer: the watchdog begins anew.
    Alive,
    /// The start is under way and takes at least so much longer.
    Starting {
        /// From now on.
        at_least: Duration,
        /// How far it is.
        status: String,
    },
    /// It was told to stop, or ends.
    Stopping,
}

type Tell = dyn Fn(Word) + Send + Sync;

/// A handle on the supervisor; clones are the same one.
#[derive(Clone)]
pub struct Supervisor(Option<Arc<Tell>>);

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Supervisor").field(&self.0.is_some()).finish()
    }
}

impl Supervisor {
    /// The one that `NOTIFY_SOCKET` names; none where it names none.
    pub fn of_process() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self::none() };
        match Notifier::to(&name) {
            Ok(notifier) => Self::telling(move |word| notifier.send(&word)),
            Err(error) => {
                tracing::error!(%error, "NOTIFY_SOCKET is no socket that can be written to: nobody learns of the start");
                Self::none()
            }
        }
    }

    /// Nobody.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whoever a simulated world puts in its place.
    pub fn telling(tell: impl Fn(Word) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Tells it.
    pub fn tell(&self, word: Word) {
        if let Some(tell) = &self.0 {
            tell(word);
        }
    }
}
