//! Liveness of the process: a probe that travels through the loop of each radio, and through the recorder's queue to
//! the writer and back.
//!
//! The process counts as alive during a quiet night, on a full disk, and while a slow card delays a commit for seconds.
//! It is alive while a radio is dead, is being set up again or has played its script, and while the queue is full but
//! the writer keeps working. It is not alive if a commit never returns, or if a loop hangs anywhere but in its waits.
//!
//! Decision: the watchdog is fed only after such a probe returned. A thread that merely feeds it would report a live
//! process while nothing is recorded.

use crate::receive::RadioHandle;
use crate::recorder::Recorder;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use std::time::Duration;
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// Probes the writer and the loops of the radios.
#[derive(Clone, Debug)]
pub struct LivenessCheck {
    recorder: Recorder,
    radios: Vec<RadioHandle>,
}

impl LivenessCheck {
    /// Creates a check of these parts.
    pub fn new(recorder: Recorder, radios: Vec<RadioHandle>) -> Self {
        Self { recorder, radios }
    }

    /// Probes all parts at once, and returns the names of those that do not answer in time.
    pub async fn unresponsive(self, limit: Duration) -> Vec<String> {
        let writer = ("the writer".to_owned(), self.recorder.probe().boxed());
        let loops =
            self.radios.iter().map(|radio| (format!("the loop of `{}`", radio.name), radio.probe.ask().boxed()));
        let parts = [writer].into_iter().chain(loops).map(|(name, probe)| name_if_late(name, probe, limit));
        join_all(parts).await.into_iter().flatten().collect()
    }
}

async fn name_if_late(name: String, probe: BoxFuture<'_, ()>, limit: Duration) -> Option<String> {
    timeout(limit, probe).await.is_err().then_some(name)
}
