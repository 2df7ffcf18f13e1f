//! A layer that appends the other fields of an event to its message, as a line on stderr has them.
//!
//! The journal stores each field, but `journalctl` prints only MESSAGE. Without this layer it would print that a radio is
//! not listening and withhold the reason.

use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber, Value};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Maximum number of fields of an event, as `tracing` enforces it.
const MAX_FIELDS: usize = 32;

/// Passes events on to a layer with all fields in the message, and as separate fields too.
pub(super) struct FullMessage<L>(pub(super) L);

/// Fields of a span as text, to append to each message in the span.
struct SpanText(String);

impl<S, L> Layer<S> for FullMessage<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut values = Values::default();
        attributes.record(&mut values);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanText(values.to_text()));
        }
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, record, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let mut text = values.to_text();
        for span in context.lookup_current().into_iter().flat_map(|span| span.scope()) {
            text.extend(span.extensions().get::<SpanText>().map(|span| span.0.clone()));
        }
        values.append_to_message(&text);
        let Some((any, _)) = values.0.first() else { return self.0.on_event(event, context) };
        let mut fields: [(&Field, Option<&dyn Value>); MAX_FIELDS] = [(any, None); MAX_FIELDS];
        for (place, (field, value)) in fields.iter_mut().zip(&values.0) {
            *place = (field, Some(value));
        }
        let field_set = event.metadata().fields();
        self.0.on_event(&Event::new(event.metadata(), &field_set.value_set(&fields)), context);
    }
}

/// Fields and their values, as text.
#[derive(Default)]
struct Values(Vec<(Field, String)>);

impl Values {
    /// Returns all fields but the message.
    fn to_text(&self) -> String {
        self.0.iter().filter(|(field, _)| field.name() != MESSAGE).fold(String::new(), |mut text, (field, value)| {
            // Writing to a `String` does not fail.
            let _ = write!(text, " {field}={value}");
            text
        })
    }

    fn append_to_message(&mut self, text: &str) {
        if let Some((_, message)) = self.0.iter_mut().find(|(field, _)| field.name() == MESSAGE) {
            message.push_str(text);
        }
    }
}

/// Name of the field with the text of an event.
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

    /// A layer that records the fields it receives, as the journal does.
    #[derive(Clone, Default)]
    struct FieldRecorder(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for FieldRecorder {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut values = Values::default();
            event.record(&mut values);
            let fields: Vec<_> = values.0.iter().map(|(field, value)| format!("{field}: {value}")).collect();
            self.0.lock().unwrap().push(fields.join("; "));
        }

        fn on_record(&self, _: &Id, record: &Record<'_>, _: Context<'_, S>) {
            let mut values = Values::default();
            record.record(&mut values);
            self.0.lock().unwrap().push(format!("later:{}", values.to_text()));
        }
    }

    fn record(events: impl FnOnce()) -> Vec<String> {
        let recorder = FieldRecorder::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(FullMessage(recorder.clone())), events);
        recorder.0.lock().unwrap().clone()
    }

    /// Catches a message without its reason, and a field that the journal can no longer be searched for.
    #[test]
    fn the_message_contains_the_fields_and_the_fields_remain() {
        let entries = record(|| {
            let (rssi_dbm, none) = (Some(-80_i16), None::<u64>);
            tracing::warn!(channel = "chute", rssi_dbm, none, error = %"no answer", "the radio is not {}", "listening");
        });
        let message = "message: the radio is not listening channel=chute rssi_dbm=-80 error=no answer";
        assert_eq!(entries, [format!("{message}; channel: chute; rssi_dbm: -80; error: no answer")]);
    }

    /// Catches the site of one message in the messages of another.
    #[test]
    fn fields_of_a_span_are_appended_to_its_messages_only() {
        let entries = record(|| {
            tracing::info_span!("site", site = "north").in_scope(|| tracing::info!("copy complete"));
            tracing::info!("office ready");
        });
        assert_eq!(entries, ["message: copy complete site=north", "message: office ready"]);
    }

    /// Catches a field of a span that the journal never gets, because its value was known only later.
    #[test]
    fn a_field_that_is_recorded_later_is_passed_on() {
        let entries = record(|| {
            let span = tracing::info_span!("site", site = tracing::field::Empty);
            span.record("site", "north");
        });
        assert_eq!(entries, ["later: site=north"]);
    }

    /// Catches an event that is lost because it has no message to append to.
    #[test]
    fn an_event_without_a_message_is_passed_on_unchanged() {
        assert_eq!(record(|| tracing::info!(n = 7)), ["n: 7"]);
    }
}
