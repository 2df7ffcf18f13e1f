//! For a log that shows people one field alone: the message says what the other fields hold, as a line on stderr does.
//!
//! The journal keeps each field, and `journalctl` prints MESSAGE. Without this a line there would read "the radio does
//! not hear" and hold back why.

use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber, Value};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// An event has no more fields than this; `tracing` itself sees to that.
const MOST_FIELDS: usize = 32;

/// Hands events on to a layer with all that they hold in the message, and as fields besides.
pub(super) struct Spoken<L>(pub(super) L);

/// What the fields of a span say, behind each message in it.
struct SpanWords(String);

impl<S, L> Layer<S> for Spoken<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut values = Values::default();
        attributes.record(&mut values);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanWords(values.words()));
        }
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, record, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let mut words = values.words();
        for span in context.lookup_current().into_iter().flat_map(|span| span.scope()) {
            words.extend(span.extensions().get::<SpanWords>().map(|span| span.0.clone()));
        }
        values.append_to_message(&words);
        let Some((any, _)) = values.0.first() else { return self.0.on_event(event, context) };
        let mut spoken: [(&Field, Option<&dyn Value>); MOST_FIELDS] = [(any, None); MOST_FIELDS];
        for (place, (field, value)) in spoken.iter_mut().zip(&values.0) {
            *place = (field, Some(value));
        }
        let fields = event.metadata().fields();
        self.0.on_event(&Event::new(event.metadata(), &fields.value_set(&spoken)), context);
    }
}

/// Fields and what they hold, as text.
#[derive(Default)]
struct Values(Vec<(Field, String)>);

impl Values {
    /// All but the message.
    fn words(&self) -> String {
        self.0.iter().filter(|(field, _)| field.name() != MESSAGE).fold(String::new(), |mut words, (field, value)| {
            // Writing to a String does not fail.
            let _ = write!(words, " {field}={value}");
            words
        })
    }

    fn append_to_message(&mut self, words: &str) {
        if let Some((_, message)) = self.0.iter_mut().find(|(field, _)| field.name() == MESSAGE) {
            message.push_str(words);
        }
    }
}

/// The field that holds the text of an event.
const MESSAGE: &str = "message";

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.clone(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.clone(), format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    /// A layer as that of the journal: it sees fields.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut values = Values::default();
            event.record(&mut values);
            let fields: Vec<_> = values.0.iter().map(|(field, value)| format!("{field}: {value}")).collect();
            self.0.lock().unwrap().push(fields.join("; "));
        }
    }

    fn seen(events: impl FnOnce()) -> Vec<String> {
        let seen = Seen::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Spoken(seen.clone())), events);
        seen.0.lock().unwrap().clone()
    }

    /// Catches a message that holds back the reason, and a field that the journal can no longer be asked for.
    #[test]
    fn the_message_says_what_the_fields_hold_and_the_fields_stay() {
        let told = seen(|| {
            let (rssi_dbm, none) = (Some(-80_i16), None::<u64>);
            tracing::warn!(channel = "chute", rssi_dbm, none, error = %"no answer", "the radio does not {}", "hear");
        });
        let message = "message: the radio does not hear channel=chute rssi_dbm=-80 error=no answer";
        assert_eq!(told, [format!("{message}; channel: chute; rssi_dbm: -80; error: no answer")]);
    }

    #[test]
    fn what_a_span_holds_stands_behind_its_messages_and_nobody_elses() {
        let told = seen(|| {
            tracing::info_span!("site", site = "north").in_scope(|| tracing::info!("the copy is whole"));
            tracing::info!("the office is open");
        });
        assert_eq!(told, ["message: the copy is whole site=north", "message: the office is open"]);
    }

    #[test]
    fn an_event_without_a_message_is_handed_on_as_it_is() {
        assert_eq!(seen(|| tracing::info!(n = 7)), ["n: 7"]);
    }
}
