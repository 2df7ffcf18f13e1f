//! The signal that shuts a process down, or a part of it.

use crate::logging::reopen_log_file;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells a part that it has to shut down; clones observe the same signal.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Requests a shutdown; clones request the same one.
///
/// Dropping the last trigger counts as a request for whoever waits: nobody is left who could send it.
#[derive(Clone, Debug, Default)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl Shutdown {
    /// Returns true once the shutdown has been requested. Unlike [`requested`](Self::requested), this does not count
    /// triggers that are gone.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the shutdown is requested, or every trigger is gone. Cancel-safe.
    pub async fn requested(&self) {
        // An error means that every trigger is gone.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }
}

impl ShutdownTrigger {
    /// Returns the signal that this trigger sends.
    pub fn signal(&self) -> Shutdown {
        Shutdown(self.0.subscribe())
    }

    /// Requests the shutdown. Further requests change nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Returns true once the shutdown has been requested, by this trigger or a clone of it.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Returns a trigger that SIGTERM and SIGINT fire too. Needs a tokio runtime.
pub fn shutdown_on_signals() -> io::Result<ShutdownTrigger> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let trigger = ShutdownTrigger::default();
    let fired = trigger.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{name}: shutting down");
        fired.request();
    });
    Ok(trigger)
}

/// Has SIGHUP reopen the log file, as after a rotation from outside, instead of ending the process. Needs a tokio runtime.
///
/// A replaced certificate needs no signal: its files are checked every few seconds.
pub fn reopen_log_on_hangup() -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reopen_log_file();
            tracing::info!("SIGHUP: the log file is opened again; a new certificate is noticed without a signal");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    /// Catches a process that a supervisor has to kill.
    #[tokio::test]
    async fn sigterm_requests_the_shutdown() {
        let trigger = shutdown_on_signals().unwrap();
        let shutdown = trigger.signal();
        assert!(!shutdown.is_requested());
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        timeout(Duration::from_secs(10), shutdown.requested()).await.unwrap();
        assert!(shutdown.is_requested() && trigger.is_requested());
    }

    /// Catches a part that waits for a request which nobody can send any more.
    #[tokio::test]
    async fn a_part_without_a_trigger_shuts_down() {
        let trigger = ShutdownTrigger::default();
        let (first, second) = (trigger.signal(), trigger.clone());
        drop(trigger);
        assert!(timeout(Duration::from_millis(20), first.requested()).await.is_err());
        drop(second);
        first.requested().await;
    }
}
