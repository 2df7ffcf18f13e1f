//! Reports to the supervisor, systemd: readiness, status, signs of life, and the shutdown.
//!
//! - A report waits for at most 1 s and never fails its caller. A supervisor that hangs must not stop a barn. Without a
//!   supervisor nothing is reported, and the process is an ordinary foreground program.
//! - The watchdog is fed only after a [`Probe`] has passed through the loop of each radio, and through the writer's queue
//!   and back. A thread that merely reports that it is alive would do so while nothing is recorded.
//! - Probes have places of their own in the queues and are answered in turn. A probe that needed a place of a payload
//!   would take a flood for a stuck writer. One that overtook payloads would not notice a stuck writer.

mod failed_starts;
mod notifier;
mod opening;
mod probe;
#[cfg(test)]
mod tests;
mod watchdog;

pub use failed_starts::FailedStarts;
pub use opening::{OPENING_STEP_TIMEOUT, opening_reporter};
pub use probe::{Probe, ProbeTarget, probe};
pub use watchdog::{Watchdog, feed_watchdog, report_status, report_until_shutdown};

use notifier::Notifier;
use std::sync::Arc;
use std::time::Duration;

/// A report to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// The process is ready and serving.
    Ready {
        /// First status line.
        status: String,
    },
    /// Status line for people.
    Status(String),
    /// All parts respond, so the watchdog's period starts again.
    Alive,
    /// The start is under way and needs more time.
    Starting {
        /// Additional time, from now on.
        at_least: Duration,
        /// Progress of the start.
        status: String,
    },
    /// The process is shutting down.
    Stopping,
}

type Notify = dyn Fn(Notification) + Send + Sync;

/// Handle on the supervisor, if there is one; clones share it.
#[derive(Clone)]
pub struct Supervisor(Option<Arc<Notify>>);

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Supervisor").field(&self.0.is_some()).finish()
    }
}

impl Supervisor {
    /// Returns the supervisor that `NOTIFY_SOCKET` names, or none if it is not set or not usable.
    pub fn from_env() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self::none() };
        match Notifier::to(&name) {
            Ok(notifier) => {
                let failed_starts = FailedStarts::from_env();
                Self::from_fn(move |notification| {
                    if let (Notification::Ready { .. }, Some(failed_starts)) = (&notification, &failed_starts) {
                        failed_starts.forget();
                    }
                    notifier.send(&notification);
                })
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    "cannot write to NOTIFY_SOCKET; systemd will not see that the service is ready"
                );
                Self::none()
            }
        }
    }

    /// Creates a handle without a supervisor.
    pub fn none() -> Self {
        Self(None)
    }

    /// Creates a supervisor that passes each notification to `notify`, for simulated worlds and tests.
    pub fn from_fn(notify: impl Fn(Notification) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(notify)))
    }

    /// Returns true if there is a supervisor.
    pub fn is_present(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a notification, if there is a supervisor.
    pub fn notify(&self, notification: Notification) {
        if let Some(notify) = &self.0 {
            notify(notification);
        }
    }
}
