//! The form of one correction: what it asks, and what it shows of that at first.

use super::action::Action;
use super::form_texts::FormTexts;
use crate::pages::Conventions;
use askama::Template;
use herd::correction::{MAX_NOTES_CHARS, MAX_REASON_CHARS};
use herd::payload::{MAX_FIELD_CHARS, WeightUnit};

/// Maximum length of a weight, a time or an id, in characters.
const MAX_NUMBER_CHARS: usize = 32;

/// Returns the fields of the form, with what was typed, or else what the page has.
fn fields(action: Action, typed: &FormTexts, facts: &PageFacts) -> Vec<Field> {
    let unit = facts.unit.as_str();
    let field = |name, label: &str, input| Field::new(name, label, input, typed);
    let weight = || field("weight", &format!("Weight in {unit}"), Input::Line { mode: "decimal" }).required();
    let batch_number = |label| field("batch_number", label, Input::Line { mode: "text" });
    match action {
        Action::Weigh => {
            let when = format!("Day and time ({})", facts.zone);
            vec![weight(), field("weighed_at", &when, Input::Moment).note("Empty if it was weighed just now.")]
        }
        Action::Reweigh => {
            vec![field("replaces", "Wrong weight", Input::Choice(facts.weighings(typed))).required(), weight()]
        }
        Action::Retag => vec![
            field("tag_kind", "Kind of tag", Input::Choice(kinds_of_tags())).required(),
            field("tag", "New tag", Input::Line { mode: "text" }).note("Empty if it wears none any more."),
        ],
        Action::MovePen => vec![field("pen", "Pen", Input::Line { mode: "text" }).required()],
        Action::MoveBatch => vec![batch_number("Number of the batch").required()],
        Action::Merge => {
            vec![field("absorbed", "Id of the other animal", Input::Line { mode: "numeric" }).required()]
        }
        Action::EditBatch => {
            let notes = field("notes", "Notes", Input::Lines).note("Empty removes them.");
            vec![notes.or(facts.notes.as_deref())]
        }
        Action::Accept => vec![
            field("animal", "Id of its animal", Input::Line { mode: "numeric" })
                .note("Empty if lid and tags name the right one."),
            batch_number("Number of its batch").note("Empty if the payload names the right one."),
        ],
        Action::Died | Action::CloseBatch | Action::Void => Vec::new(),
    }
}

fn kinds_of_tags() -> Vec<Choice> {
    [("lf", "LF"), ("epc", "UHF")].map(|(value, label)| Choice { value: value.into(), label: label.into() }).into()
}

/// Facts of the page that its forms show.
#[derive(Clone, Debug, Default)]
pub(in crate::pages) struct PageFacts {
    pub(in crate::pages) unit: WeightUnit,
    /// Name of the time zone.
    pub(in crate::pages) zone: String,
    /// The weighings of an animal, by their changes.
    pub(in crate::pages) weighings: Vec<Choice>,
    /// The notes of a batch.
    pub(in crate::pages) notes: Option<String>,
}

impl PageFacts {
    /// Returns what is the same on all pages.
    pub(in crate::pages) fn new(conventions: &Conventions) -> Self {
        Self { unit: conventions.weight_unit, zone: conventions.zone.name().to_owned(), ..Self::default() }
    }

    /// Returns the weighings; beside the page, the one that was chosen there.
    fn weighings(&self, typed: &FormTexts) -> Vec<Choice> {
        match typed.get("replaces") {
            chosen if self.weighings.is_empty() && !chosen.is_empty() => {
                vec![Choice { value: chosen.to_owned(), label: format!("that of change {chosen}") }]
            }
            _ => self.weighings.clone(),
        }
    }
}

/// One of several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pages) struct Choice {
    pub(in crate::pages) value: String,
    pub(in crate::pages) label: String,
}

/// An element of a form in which something is typed or chosen.
#[derive(Clone, Debug)]
enum Input {
    /// One line; `mode` is that of the keyboard of a phone.
    Line {
        mode: &'static str,
    },
    Lines,
    /// Day and time.
    Moment,
    Choice(Vec<Choice>),
}

/// A labeled element of a form.
#[derive(Clone, Debug)]
struct Field {
    name: &'static str,
    label: String,
    input: Input,
    value: String,
    note: &'static str,
    is_required: bool,
}

impl Field {
    fn new(name: &'static str, label: &str, input: Input, typed: &FormTexts) -> Self {
        let value = typed.get(name).to_owned();
        Self { name, label: label.to_owned(), input, value, note: "", is_required: false }
    }

    fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// Shows a value if nothing was typed.
    fn or(self, value: Option<&str>) -> Self {
        if self.value.is_empty() { Self { value: value.unwrap_or_default().to_owned(), ..self } } else { self }
    }

    fn max_chars(&self) -> usize {
        match self.input {
            Input::Line { mode: "text" } => MAX_FIELD_CHARS,
            _ => MAX_NUMBER_CHARS,
        }
    }
}

/// The form of one correction.
#[derive(Debug, Template)]
#[template(path = "form.html")]
pub(super) struct ActionForm {
    /// Path to which the form is sent.
    path: String,
    action: Action,
    fields: Vec<Field>,
    reason: String,
    hidden: HiddenFields,
}

/// Hidden fields of a form.
#[derive(Clone, Debug)]
pub(super) struct HiddenFields {
    pub(super) form_token: String,
    /// Idempotency key: the same form that is sent twice is one correction.
    pub(super) key: String,
    /// Position that the page shows, as text. See [`PagePosition`](super::page_position::PagePosition).
    pub(super) copy: String,
}

impl ActionForm {
    /// Makes the form with what was typed. `path` is that of the subject's page.
    pub(super) fn new(path: &str, action: Action, typed: &FormTexts, facts: &PageFacts, hidden: HiddenFields) -> Self {
        let (fields, reason) = (fields(action, typed, facts), typed.get("reason").to_owned());
        Self { path: format!("{path}/correct"), action, fields, reason, hidden }
    }

    /// Returns the id of a field, which is unique among all forms of a page.
    fn id(&self, field: &str) -> String {
        format!("{}-{field}", self.action.as_str())
    }

    /// Returns the heading of the form.
    pub(super) fn label(&self) -> &'static str {
        self.action.label()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::*;

    /// Catches a field that a log-in takes away, because nobody has named it among those that are kept.
    #[test]
    fn a_log_in_keeps_every_field_of_every_action() {
        for of in [Subject::Animal(1), Subject::Batch(1), Subject::Payload(1)] {
            for action in of.actions() {
                let asked = fields(*action, &FormTexts::default(), &PageFacts::default());
                let names = asked.into_iter().map(|field| field.name).chain(["action", "key", "copy", "reason"]);
                for name in names {
                    let typed = FormTexts::new(vec![(name.to_owned(), "text".to_owned())]);
                    assert_eq!(typed.kept().collect::<Vec<_>>(), [(name, "text")], "{action:?}");
                }
            }
        }
    }
}
