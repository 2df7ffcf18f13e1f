//! Contact with the barn, as the log tells it: one line when it is lost and one when it is back, each beginning with
//! `sync:`, with the cause and the duration. The retries between them are no news.

use std::time::Duration;
use tokio::time::Instant;

/// The contact with the barn.
#[derive(Debug)]
pub(super) struct Contact {
    /// Start of the present state.
    since: Instant,
    state: ContactState,
}

#[derive(Debug, PartialEq, Eq)]
enum ContactState {
    /// There was no contact since the follower started, and no failure.
    New,
    Present,
    /// The barn is away for this reason.
    Away(String),
}

impl Default for Contact {
    fn default() -> Self {
        Self { since: Instant::now(), state: ContactState::New }
    }
}

impl Contact {
    /// Notes a verified sign of life.
    pub(super) fn note_sign_of_life(&mut self) {
        if let ContactState::Away(cause) = &self.state {
            tracing::info!(%cause, away_s = self.since.elapsed().as_secs(), "sync: connected to the barn again");
        }
        self.enter(ContactState::Present);
    }

    /// Notes a lost connection, or one that did not come about. The next attempt follows after `wait`.
    pub(super) fn note_loss(&mut self, cause: &str, wait: Duration) {
        let wait_ms = wait.as_millis();
        match self.state {
            ContactState::Away(_) => tracing::debug!(cause, wait_ms, "sync: still no connection to the barn"),
            ContactState::New => tracing::warn!(cause, "sync: cannot connect to the barn yet; retrying"),
            ContactState::Present => {
                let present_s = self.since.elapsed().as_secs();
                tracing::warn!(cause, present_s, "sync: lost the connection to the barn; retrying");
            }
        }
        self.enter(ContactState::Away(cause.to_owned()));
    }

    /// A state that goes on keeps its start, and its first cause.
    fn enter(&mut self, state: ContactState) {
        if std::mem::discriminant(&state) != std::mem::discriminant(&self.state) {
            *self = Self { since: Instant::now(), state };
        }
    }
}
