//! Reports of a running process: signs of life for the supervisor's watchdog, and the status.

use super::{Notification, Supervisor};
use crate::lifecycle::Shutdown;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Interval at which the status is checked; it is sent if it has changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The supervisor's watchdog, which ends a process that gives no sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Silence after which the supervisor ends the process.
    pub period: Duration,
}

impl Watchdog {
    /// Returns the watchdog that is set for this process (`WATCHDOG_USEC`, `WATCHDOG_PID`), or `None`.
    pub fn from_env() -> Option<Self> {
        sd_notify::watchdog_enabled().filter(|period| !period.is_zero()).map(|period| Self { period })
    }

    /// Returns the time from the start of one probe to the start of the next, if the first one is answered by then.
    pub fn probe_interval(self) -> Duration {
        self.period / 3
    }

    /// Returns the time that a probe may take. Together with one [`probe_interval`](Self::probe_interval) it is the period.
    pub fn probe_timeout(self) -> Duration {
        self.period.saturating_sub(self.probe_interval())
    }
}

/// Reports to the supervisor until `shutdown`: first that the process is ready, then its status and signs of life, and
/// at last that it is stopping.
///
/// `status` and `unresponsive` are those of [`report_status`] and [`feed_watchdog`].
pub async fn report_until_shutdown<F: Future<Output = Vec<String>>>(
    supervisor: Supervisor,
    watchdog: Option<Watchdog>,
    status: impl Fn() -> String,
    unresponsive: impl Fn(Duration) -> F,
    shutdown: Shutdown,
) {
    if !supervisor.is_present() {
        return shutdown.requested().await;
    }
    let first_status = status();
    supervisor.notify(Notification::Ready { status: first_status.clone() });
    let feeding = async {
        match watchdog {
            Some(watchdog) => feed_watchdog(supervisor.clone(), watchdog, unresponsive).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => supervisor.notify(Notification::Stopping),
        never = feeding => match never {},
        never = report_status(supervisor.clone(), first_status, status) => match never {},
    }
}

/// Probes the process every third of the period, and gives a sign of life each time that all parts have answered.
///
/// `unresponsive` probes all parts and returns the names of those that have not answered within the given time.
pub async fn feed_watchdog<F: Future<Output = Vec<String>>>(
    supervisor: Supervisor,
    watchdog: Watchdog,
    unresponsive: impl Fn(Duration) -> F,
) -> Infallible {
    loop {
        let start = Instant::now();
        let parts = unresponsive(watchdog.probe_timeout()).await;
        if parts.is_empty() {
            supervisor.notify(Notification::Alive);
        } else {
            let silent = parts.join(", ");
            tracing::error!(silent, "part of the process does not respond; the supervisor will restart the process");
        }
        sleep_until(start + watchdog.probe_interval()).await;
    }
}

/// Sends the status whenever it has changed; `sent` is the status that was sent last.
pub async fn report_status(supervisor: Supervisor, mut sent: String, status: impl Fn() -> String) -> Infallible {
    let mut ticks = interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let current = status();
        if current != sent {
            supervisor.notify(Notification::Status(current.clone()));
            sent = current;
        }
    }
}
