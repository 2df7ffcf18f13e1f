//! The texts of a form, and the correction that they mean.

use super::action::{Action, Subject};
use super::page_position::PagePosition;
use crate::pages::Conventions;
use crate::people::UserName;
use crate::zone::Zone;
use herd::change::TagKind;
use herd::correction::{CorrectionForm, CorrectionOrder, Kilograms};
use herd::payload::{Grams, Weight, WeightUnit};
use std::collections::BTreeMap;

/// Name of the field with the position that the page of a form shows.
pub(super) const COPY: &str = "copy";
/// Name of the field with a change that was chosen on the page.
const CHOSEN: &str = "replaces";
/// Number of characters of a text that a message quotes.
const MAX_QUOTED_CHARS: usize = 64;
/// Fields that stay in a form while its user logs in again: all but the password and the text of the former session.
const KEPT: [&str; 14] = [
    "action",
    "key",
    COPY,
    "reason",
    "weight",
    "weighed_at",
    CHOSEN,
    "tag_kind",
    "tag",
    "pen",
    "batch_number",
    "absorbed",
    "notes",
    "animal",
];

/// Reason why a form means no correction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormTextError {
    /// The form of another page, or none.
    #[error("this form has no correction of {0}; open the page again")]
    Action(String),
    /// An id that is none.
    #[error("{0:?} is not an id: write the number that stands on its page")]
    Id(String),
    /// A kind of tag that does not exist.
    #[error("choose the kind of tag: LF or UHF")]
    TagKind,
    /// A text that is no weight.
    #[error("{text:?} is not a weight: write a number of {unit}, such as 245.5")]
    Weight {
        /// The text.
        text: String,
        /// The unit of the pages.
        unit: &'static str,
    },
}

/// The texts of a form, by the names of their fields.
#[derive(Clone, Debug, Default)]
pub(super) struct FormTexts(BTreeMap<String, String>);

impl FormTexts {
    pub(super) fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// Returns the text of a field; empty if the form has no such field.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Returns the texts as those of a page that shows this position. What was chosen on the page is left out: a choice is a
    /// number of the copy that it was of.
    pub(super) fn rebound(mut self, copy: &PagePosition) -> Self {
        self.0.remove(CHOSEN);
        self.0.insert(COPY.to_owned(), copy.to_string());
        self
    }

    /// Yields what has to survive a log-in.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KEPT.into_iter().filter_map(|name| Some((name, self.0.get(name)?.as_str())))
    }

    /// Returns the action of the form.
    pub(super) fn action(&self, of: Subject) -> Result<Action, FormTextError> {
        let named = of.actions().iter().find(|action| action.as_str() == self.get("action"));
        named.copied().ok_or_else(|| FormTextError::Action(of.name()))
    }

    /// Returns the order that the form means, by this user.
    pub(super) fn order(
        &self,
        of: Subject,
        user: &UserName,
        conventions: &Conventions,
    ) -> Result<CorrectionOrder, FormTextError> {
        Ok(CorrectionOrder {
            author: user.as_str().to_owned(),
            reason: self.get("reason").to_owned(),
            idempotency_key: self.get("key").to_owned(),
            correction: self.correction(of, conventions)?,
        })
    }

    fn correction(&self, of: Subject, conventions: &Conventions) -> Result<CorrectionForm, FormTextError> {
        let action = self.action(of)?;
        let Conventions { weight_unit: unit, zone } = conventions;
        // The action is one of the subject's own.
        let (Subject::Animal(animal) | Subject::Batch(animal) | Subject::Payload(animal)) = of;
        let (batch, payload) = (animal, animal);
        let text = |name| self.get(name).to_owned();
        Ok(match action {
            Action::Weigh => {
                let weight_kg = self.weight(*unit)?;
                CorrectionForm::Weigh { animal, weight_kg, replaces: None, weighed_at: self.moment("weighed_at", zone) }
            }
            Action::Reweigh => {
                let (weight_kg, replaces) = (self.weight(*unit)?, Some(self.id("replaces")?));
                CorrectionForm::Weigh { animal, weight_kg, replaces, weighed_at: None }
            }
            Action::Retag => CorrectionForm::Retag { animal, tag_kind: self.tag_kind()?, tag: self.optional("tag") },
            Action::MovePen => CorrectionForm::MovePen { animal, pen: text("pen") },
            Action::MoveBatch => CorrectionForm::MoveBatch { animal, batch_number: text("batch_number") },
            Action::Died => CorrectionForm::Died { animal },
            Action::Merge => CorrectionForm::Merge { animal, absorbed: self.id("absorbed")? },
            Action::EditBatch => CorrectionForm::EditBatch { batch, notes: self.optional("notes") },
            Action::CloseBatch => CorrectionForm::CloseBatch { batch },
            Action::Void => CorrectionForm::Void { payload },
            Action::Accept => {
                let animal = self.optional("animal").map(|_| self.id("animal")).transpose()?;
                CorrectionForm::AcceptRejected { payload, animal, batch_number: self.optional("batch_number") }
            }
        })
    }

    fn optional(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }

    fn id(&self, name: &str) -> Result<u64, FormTextError> {
        let text = self.get(name).trim();
        text.parse().map_err(|_| FormTextError::Id(quoted(text)))
    }

    fn tag_kind(&self) -> Result<TagKind, FormTextError> {
        match self.get("tag_kind") {
            "lf" => Ok(TagKind::Lf),
            "epc" => Ok(TagKind::Epc),
            _ => Err(FormTextError::TagKind),
        }
    }

    /// Returns the weight, which is in the unit of the pages unless it names another one.
    fn weight(&self, unit: WeightUnit) -> Result<Kilograms, FormTextError> {
        let text = self.get("weight");
        let grams = Weight::parse(text, unit).grams();
        let kilograms = grams.map(|weight_g| Kilograms(Grams(weight_g).to_string()));
        kilograms.ok_or_else(|| FormTextError::Weight { text: quoted(text), unit: unit.as_str() })
    }

    /// Returns a time as the barn reads it. Browsers send `2026-05-04T08:30`, which is of the office's zone like every time on
    /// the pages. Any other text is left to the barn to refuse.
    fn moment(&self, name: &str, zone: &Zone) -> Option<String> {
        let text = self.optional(name)?.trim().to_owned();
        Some(zone.written(&text).unwrap_or(text))
    }
}

fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> FormTexts {
        FormTexts::new(fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn correction(of: Subject, fields: &[(&str, &str)]) -> Result<String, String> {
        let conventions = Conventions { weight_unit: WeightUnit::Lb, zone: denver() };
        let form = typed(fields).correction(of, &conventions);
        form.map(|form| serde_json::to_string(&form).unwrap()).map_err(|error| error.to_string())
    }

    /// Catches a form whose texts mean another correction than its labels say.
    #[test]
    fn each_form_means_the_correction_that_it_names() {
        let (animal, batch, payload) = (Subject::Animal(3), Subject::Batch(2), Subject::Payload(9));
        for (of, fields, json) in [
            (
                animal,
                &[("action", "weigh"), ("weight", "550"), ("weighed_at", "")][..],
                r#"{"kind":"weigh","animal":3,"weight_kg":"249.476"}"#,
            ),
            (
                animal,
                &[("action", "weigh"), ("weight", "245,5 kg"), ("weighed_at", "2026-05-04T08:30")],
                r#"{"kind":"weigh","animal":3,"weight_kg":"245.5","weighed_at":"2026-05-04T08:30:00-06:00"}"#,
            ),
            (
                animal,
                &[("action", "reweigh"), ("weight", "550"), ("replaces", "7")],
                r#"{"kind":"weigh","animal":3,"weight_kg":"249.476","replaces":7}"#,
            ),
            (
                animal,
                &[("action", "retag"), ("tag_kind", "lf"), ("tag", "A1")],
                r#"{"kind":"retag","animal":3,"tag_kind":"lf","tag":"A1"}"#,
            ),
            (
                animal,
                &[("action", "retag"), ("tag_kind", "epc"), ("tag", " ")],
                r#"{"kind":"retag","animal":3,"tag_kind":"epc","tag":null}"#,
            ),
            (animal, &[("action", "move_pen"), ("pen", "P2")], r#"{"kind":"move_pen","animal":3,"pen":"P2"}"#),
            (
                animal,
                &[("action", "move_batch"), ("batch_number", "L2")],
                r#"{"kind":"move_batch","animal":3,"batch_number":"L2"}"#,
            ),
            (animal, &[("action", "died")], r#"{"kind":"died","animal":3}"#),
            (animal, &[("action", "merge"), ("absorbed", " 5 ")], r#"{"kind":"merge","animal":3,"absorbed":5}"#),
            (
                batch,
                &[("action", "edit_batch"), ("notes", "a\nb")],
                r#"{"kind":"edit_batch","batch":2,"notes":"a\nb"}"#,
            ),
            (batch, &[("action", "close_batch")], r#"{"kind":"close_batch","batch":2}"#),
            (payload, &[("action", "void")], r#"{"kind":"void","payload":9}"#),
            (
                payload,
                &[("action", "accept"), ("animal", "3"), ("batch_number", "")],
                r#"{"kind":"accept_rejected","payload":9,"animal":3,"batch_number":null}"#,
            ),
        ] {
            assert_eq!(correction(of, fields).as_deref(), Ok(json), "{fields:?}");
        }
    }

    #[test]
    fn a_form_that_means_nothing_says_what_to_do() {
        let animal = Subject::Animal(3);
        for (fields, why) in [
            (&[("action", "void")][..], "no correction of animal 3"),
            (&[], "open the page again"),
            (&[("action", "weigh"), ("weight", "heavy")], "\"heavy\" is not a weight: write a number of lb"),
            (&[("action", "reweigh"), ("weight", "550")], "not an id"),
            (&[("action", "merge"), ("absorbed", "-5")], "\"-5\" is not an id"),
            (&[("action", "retag"), ("tag_kind", "<script>")], "LF or UHF"),
        ] {
            let error = correction(animal, fields).unwrap_err();
            assert!(error.contains(why), "{fields:?}: {error}");
        }
    }

    fn denver() -> Zone {
        Zone::named("America/Denver").unwrap()
    }

    /// Catches a time of day that is taken for one of another zone, or a text that is changed before the barn refuses it.
    #[test]
    fn a_time_without_a_zone_is_of_the_office() {
        for (text, read) in [
            ("2026-05-04T08:30", "2026-05-04T08:30:00-06:00"),
            ("2026-05-04 08:30:15", "2026-05-04T08:30:15-06:00"),
            ("2026-05-04T08:30:00-05:00", "2026-05-04T08:30:00-05:00"),
            ("2026-05-04T08:30:00Z", "2026-05-04T08:30:00Z"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(typed(&[("at", text)]).moment("at", &denver()).as_deref(), Some(read));
        }
    }

    #[test]
    fn a_log_in_keeps_what_was_typed_and_no_secret() {
        let form = typed(&[("action", "died"), ("reason", "r"), ("form_token", "t"), ("password", "p"), ("name", "n")]);
        assert_eq!(form.kept().collect::<Vec<_>>(), [("action", "died"), ("reason", "r")]);
    }
}
