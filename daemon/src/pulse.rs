//! Whether the process lives: a question that travels through each radio's loop, and through the recorder's queue to the
//! writer and back.
//!
//! Alive are a quiet night, a full disk, a radio that is dead, set up again or at the end of its script, a queue full of
//! payloads that the writer works off, and a commit that a slow card holds up for seconds. A writer whose commit never
//! returns is not, nor a loop that went to sleep where it does not wait.

use crate::receive::ListenedRadio;
use crate::recorder::Recorder;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use std::time::Duration;
use tokio::time::timeout;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Pulse {
    recorder: Recorder,
    radios: Vec<ListenedRadio>,
}

impl Pulse {
    /// Of these parts.
    pub fn new(recorder: Recorder, radios: Vec<ListenedRadio>) -> Self {
        Self { recorder, radios }
    }

    /// Asks all of them, and names those that have not answered in time.
    pub async fn silent(self, within: Duration) -> Vec<String> {
        let writer = ("the writer".to_owned(), self.recorder.probe().boxed());
        let loops =
            self.radios.iter().map(|radio| (format!("the loop of `{}`", radio.name), radio.asker.ask().boxed()));
        let parts = [writer].into_iter().chain(loops).map(|(name, answer)| named_if_silent(name, answer, within));
        join_all(parts).await.into_iter().flatten().collect()
    }
}

async fn named_if_silent(name: String, answer: BoxFuture<'_, ()>, within: Duration) -> Option<String> {
    timeout(within, answer).await.is_err().then_some(name)
}

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
