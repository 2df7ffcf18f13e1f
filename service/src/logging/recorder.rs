//! A recorder of the messages that a test logs.

use super::full_message::FullMessage;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// The messages of a thread, as the journal gets them, each with its level.
#[derive(Clone, Debug, Default)]
pub struct LogRecorder(Arc<Mutex<Vec<String>>>);

impl LogRecorder {
    /// Begins to record what this thread logs, until the guard is dropped.
    pub fn start() -> (Self, DefaultGuard) {
        let recorder = Self::default();
        let subscriber = tracing_subscriber::registry().with(FullMessage(recorder.clone()));
        (recorder, tracing::subscriber::set_default(subscriber))
    }

    /// Returns the messages since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.messages())
    }

    fn messages(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LogRecorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = MessageText::default();
        event.record(&mut message);
        self.messages().push(format!("{} {}", event.metadata().level(), message.0));
    }
}

/// The text of the field `message`.
#[derive(Default)]
struct MessageText(String);

impl Visit for MessageText {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
