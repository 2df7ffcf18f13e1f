//! How a radio is, as it says itself.

use tokio::sync::watch;

/// How a radio is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It hears, or would if there were anything.
    #[default]
    Listening,
    /// It does not hear now and sets itself up again; what is wrong and what to do, as a sentence.
    Failing(String),
}

/// The radio's own end: what it reports is seen by every receiver.
#[derive(Clone, Debug, Default)]
pub struct HealthReporter(watch::Sender<Health>);

impl HealthReporter {
    /// Another one who looks.
    pub fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// Says how the radio is; whoever waits wakes only where that is new.
    pub fn report(&self, health: Health) {
        self.0.send_if_modified(|known| {
            let news = *known != health;
            *known = health;
            news
        });
    }
}
