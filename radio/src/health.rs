//! Health of a radio, as the radio reports it.
//!
//! Only the radio itself sets its health, even while it delivers packets that it received earlier. Inferring health
//! from packets was rejected: a chip that died a second ago may still have packets queued, and they would hide the
//! failure.

use tokio::sync::watch;

/// Health of a radio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// The radio receives, or would if anything were sent.
    #[default]
    Listening,
    /// The radio receives, but something costs packets or soon will. The sentence says what, and what to do.
    Degraded(String),
    /// The radio is being set up for the first time and does not receive yet. The sentence says what it waits for.
    Starting(String),
    /// The radio does not receive and sets itself up again. The sentence says what is wrong and what to do.
    Failing(String),
}

impl Health {
    /// Returns true if the radio receives.
    pub fn is_receiving(&self) -> bool {
        matches!(self, Self::Listening | Self::Degraded(_))
    }
}

/// The sending end of a radio's health. Every subscriber sees what it reports.
#[derive(Clone, Debug, Default)]
pub struct HealthReporter(watch::Sender<Health>);

impl HealthReporter {
    /// Returns a new receiver of the health.
    pub fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// Sets the health. Waiting receivers wake only if it has changed.
    pub fn report(&self, health: Health) {
        self.0.send_if_modified(|current| {
            let is_changed = *current != health;
            *current = health;
            is_changed
        });
    }
}
