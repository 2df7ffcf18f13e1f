//! While the process runs: feeding the supervisor's watchdog, and refreshing the status.

use super::{Supervisor, Word};
use crate::lifecycle::Shutdown;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// So often the status is looked at; it is told where it is another one.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How long the supervisor waits for a sign of life before it ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Longer silence than this ends the process.
    pub period: Duration,
}

impl Watchdog {
    /// The one that was set for this process (`WATCHDOG_USEC`, `WATCHDOG_PID`), if there is one.
    pub fn of_process() -> Option<Self> {
        sd_notify::watchdog_enabled().filter(|period| !period.is_zero()).map(|period| Self { period })
    }

    /// A probe begins so long after the one before it, if that is answered.
    pub fn every(self) -> Duration {
        self.period / 3
    }

    /// So long it may take: with [`every`](Self::every) before it, this is the period.
    pub fn within(self) -> Duration {
        self.period.saturating_sub(self.every())
    }
}

/// Tells the supervisor that the process serves; from then on how it is, and that it lives; and at last that it stops,
/// which ends this. `status` and `silent` are those of [`report`] and [`feed`].
pub async fn attend<F: Future<Output = Vec<String>>>(
    supervisor: Supervisor,
    watchdog: Option<Watchdog>,
    status: impl Fn() -> String,
    silent: impl Fn(Duration) -> F,
    stopping: Shutdown,
) {
    if !supervisor.is_there() {
        return stopping.requested().await;
    }
    let now = status();
    supervisor.tell(Word::Ready { status: now.clone() });
    let feeding = async {
        match watchdog {
            Some(watchdog) => feed(supervisor.clone(), watchdog, silent).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = stopping.requested() => supervisor.tell(Word::Stopping),
        never = feeding => match never {},
        never = report(supervisor.clone(), now, status) => match never {},
    }
}

/// Probes the process every third of the period, and tells the supervisor that it lives each time that all parts have
/// answered. `silent` asks them all and gives the names of those that have not answered within the time it is given.
pub async fn feed<F: Future<Output = Vec<String>>>(
    supervisor: Supervisor,
    watchdog: Watchdog,
    silent: impl Fn(Duration) -> F,
) -> Infallible {
    loop {
        let began = Instant::now();
        let silent = silent(watchdog.within()).await;
        if silent.is_empty() {
            supervisor.tell(Word::Alive);
        } else {
            tracing::error!(
                silent = silent.join(", "),
                "a part of the program does not answer: the supervisor ends it, and starts it again"
            );
        }
        sleep_until(began + watchdog.every()).await;
    }
}

/// Tells how the process is, whenever it is another thing than was told last; `told` is that of the beginning.
pub async fn report(supervisor: Supervisor, mut told: String, status: impl Fn() -> String) -> Infallible {
    let mut ticks = interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = status();
        if now != told {
            supervisor.tell(Word::Status(now.clone()));
            told = now;
        }
    }
}
