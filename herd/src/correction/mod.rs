//! Corrections as people and programs write them, in JSON.
//!
//! Texts are trimmed and their lengths checked here, before the correction is decided.
//! [`decide_correction`](crate::decide::decide_correction) then checks that the animals, batches and payloads exist.

use crate::change::{Acceptance, AnimalId, BatchId, Correction, TagKind, WeighingTime};
use crate::clock::iso_utc;
use crate::decide::CorrectionRequest;
use crate::payload::{Grams, MAX_FIELD_CHARS, RoundedTagError, Tag, Weight, WeightUnit};
use crate::position::Sequence;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Maximum length of an author or idempotency key, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Maximum length of a reason, in characters.
pub const MAX_REASON_CHARS: usize = 200;
/// Maximum length of the notes of a batch, in characters.
pub const MAX_NOTES_CHARS: usize = 1_000;

/// Maximum length of an order as JSON. Texts of maximum length take about 5 kB.
pub const MAX_ORDER_BYTES: usize = 16 * 1024;

/// A correction and its author: the body of `POST /api/corrections`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionOrder {
    /// Name of the author, 1 to [`MAX_NAME_CHARS`] characters.
    pub author: String,
    /// Reason for the correction, 1 to [`MAX_REASON_CHARS`] characters.
    pub reason: String,
    /// Key of 1 to [`MAX_NAME_CHARS`] characters. Retrying with the same key applies the correction once.
    pub idempotency_key: String,
    /// The correction.
    pub correction: CorrectionForm,
}

/// A correction in its JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CorrectionForm {
    /// Voids an event: its animals are recomputed without it.
    Void {
        /// Id of the payload.
        payload: u64,
    },
    /// Merges two animals; on a conflict the first one's tag wins.
    Merge {
        /// Animal that remains.
        animal: u64,
        /// Animal that is merged into it.
        absorbed: u64,
    },
    /// Replaces or removes a tag of an animal.
    Retag {
        /// Id of the animal.
        animal: u64,
        /// Kind of the tag.
        tag_kind: TagKind,
        /// New tag; `None` removes the tag.
        #[serde(default)]
        tag: Option<String>,
    },
    /// Moves an animal to another pen.
    MovePen {
        /// Id of the animal.
        animal: u64,
        /// Name of the pen.
        pen: String,
    },
    /// Moves an animal to another barn batch, which is created if no batch of that number is open.
    MoveBatch {
        /// Id of the animal.
        animal: u64,
        /// Number of the batch.
        batch_number: String,
    },
    /// Records a weight.
    Weigh {
        /// Id of the animal.
        animal: u64,
        /// Decimal kilograms, up to 2,000.
        weight_kg: Kilograms,
        /// Change of the weighing that this one replaces, at its time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<u64>,
        /// Time of the weighing after RFC 3339, such as `2026-05-04T08:30:00Z`; by default the time of the correction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weighed_at: Option<String>,
    },
    /// Records the death of an animal.
    Died {
        /// Id of the animal.
        animal: u64,
    },
    /// Closes a batch: new reads no longer join it.
    CloseBatch {
        /// Id of the batch, which is not its number.
        batch: u64,
    },
    /// Replaces or removes the notes of a batch.
    EditBatch {
        /// Id of the batch, which is not its number.
        batch: u64,
        /// New notes; `None` removes them.
        #[serde(default)]
        notes: Option<String>,
    },
    /// Accepts a rejected or voided payload as an event.
    AcceptRejected {
        /// Id of the payload.
        payload: u64,
        /// Animal of the event, if lid and tags disagree or are missing.
        #[serde(default)]
        animal: Option<u64>,
        /// Number of the batch of the event, if the payload's own is missing or wrong.
        #[serde(default)]
        batch_number: Option<String>,
    },
    /// Starts a new reader era after readers were replaced or reset.
    NewReaderEra {
        /// Name of the group, as in the `reader_group` setting.
        reader_group: String,
        /// Id of the first payload of the era; `None` if only payloads after the correction belong to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u64>,
    },
}

/// A weight as written. In JSON it is a number or a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Kilograms(pub String);

impl Kilograms {
    /// Returns the weight in a unit; what is no weight, as it is written.
    pub fn in_unit(&self, unit: WeightUnit) -> String {
        let weight = Weight::parse(&self.0, WeightUnit::Kg);
        weight.grams().map_or_else(|| self.0.clone(), |weight_g| Grams(weight_g).in_unit(unit))
    }
}

impl<'de> Deserialize<'de> for Kilograms {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Kilograms;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("decimal kilograms, as a number or a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Kilograms, E> {
                Ok(Kilograms(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Kilograms, E> {
                Ok(Kilograms(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Kilograms, E> {
                Ok(Kilograms(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Kilograms, E> {
                Ok(Kilograms(number.to_string()))
            }
        }
        from.deserialize_any(NumberOrText)
    }
}

/// An invalid correction form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionFormError {
    /// A required text is empty.
    #[error("`{0}` is empty; a correction needs an author, a reason and an idempotency key")]
    Empty(&'static str),
    /// A text is too long.
    #[error("`{field}` has {chars} characters; the limit is {limit}")]
    TooLong {
        /// Name of the field.
        field: &'static str,
        /// Its length.
        chars: usize,
        /// Maximum length.
        limit: usize,
    },
    /// A text contains a control character.
    #[error("`{0}` contains a control character")]
    ControlCharacter(&'static str),
    /// The tag says nothing.
    #[error("`tag` is {0:?}, which readers send if they have read no tag; leave `tag` out to remove one")]
    Tag(String),
    /// The tag is in scientific notation.
    #[error("`tag` is {0:?}: a spreadsheet has rounded it; take the number from the reader or the tag itself")]
    RoundedTag(String),
    /// Both a weighing and a time are given.
    #[error("`replaces` and `weighed_at` are both given; the new weighing takes the time of the one that it replaces")]
    TwoTimes,
    /// The time of a weighing cannot be read.
    #[error(
        "`weighed_at` is {0:?}; write date, time and zone, such as 2026-05-04T08:30:00Z or 2026-05-04T08:30:00-06:00"
    )]
    Time(String),
    /// The weight is not a number in the allowed range.
    #[error("`weight_kg` is {0:?}; a weight is a decimal number of kilograms above 0 and up to 2000")]
    Weight(String),
}

impl CorrectionOrder {
    /// Trims and checks the texts. `channel` is the HTTP key or socket that the order came through.
    pub fn checked(self, channel: &str) -> Result<CorrectionRequest, CorrectionFormError> {
        Ok(CorrectionRequest {
            author: text("author", &self.author, MAX_NAME_CHARS)?,
            reason: text("reason", &self.reason, MAX_REASON_CHARS)?,
            idempotency_key: text("idempotency_key", &self.idempotency_key, MAX_NAME_CHARS)?,
            channel: channel.to_owned(),
            correction: self.correction.checked()?,
        })
    }
}

impl Acceptance {
    /// Trims and checks the texts, as those of a correction.
    pub fn checked(author: &str, reason: &str) -> Result<Self, CorrectionFormError> {
        let author = text("author", author, MAX_NAME_CHARS)?;
        Ok(Self { author, reason: text("reason", reason, MAX_REASON_CHARS)? })
    }
}

impl CorrectionForm {
    fn checked(self) -> Result<Correction, CorrectionFormError> {
        Ok(match self {
            Self::Void { payload } => Correction::Void { sequence: Sequence(payload) },
            Self::Merge { animal, absorbed } => {
                Correction::Merge { animal: AnimalId(animal), absorbed: AnimalId(absorbed) }
            }
            Self::Retag { animal, tag_kind, tag } => {
                let tag = tag.map(|tag| text("tag", &tag, MAX_FIELD_CHARS)).transpose()?;
                let tag = tag.map(|tag| read_tag(tag_kind, &tag)).transpose()?;
                Correction::Retag { animal: AnimalId(animal), kind: tag_kind, tag }
            }
            Self::MovePen { animal, pen } => {
                Correction::MovePen { animal: AnimalId(animal), pen: text("pen", &pen, MAX_FIELD_CHARS)? }
            }
            Self::MoveBatch { animal, batch_number } => Correction::MoveBatch {
                animal: AnimalId(animal),
                batch_number: text("batch_number", &batch_number, MAX_FIELD_CHARS)?,
            },
            Self::Weigh { animal, weight_kg, replaces, weighed_at } => Correction::Weigh {
                animal: AnimalId(animal),
                weight_g: grams(&weight_kg)?,
                when: weighing_time(replaces, weighed_at.as_deref())?,
            },
            Self::Died { animal } => Correction::Died { animal: AnimalId(animal) },
            Self::CloseBatch { batch } => Correction::CloseBatch { batch: BatchId(batch) },
            Self::EditBatch { batch, notes } => {
                Correction::EditBatch { batch: BatchId(batch), notes: notes.as_deref().map(checked_notes).transpose()? }
            }
            Self::AcceptRejected { payload, animal, batch_number } => Correction::AcceptRejected {
                sequence: Sequence(payload),
                animal: animal.map(AnimalId),
                batch_number: batch_number.map(|number| text("batch_number", &number, MAX_FIELD_CHARS)).transpose()?,
            },
            Self::NewReaderEra { reader_group, from } => Correction::NewReaderEra {
                reader_group: text("reader_group", &reader_group, MAX_FIELD_CHARS)?,
                from: from.map(Sequence),
            },
        })
    }
}

fn weighing_time(replaces: Option<u64>, weighed_at: Option<&str>) -> Result<WeighingTime, CorrectionFormError> {
    let text = match (replaces, weighed_at) {
        (Some(_), Some(_)) => return Err(CorrectionFormError::TwoTimes),
        (Some(weighing), None) => return Ok(WeighingTime::InsteadOf(Sequence(weighing))),
        (None, None) => return Ok(WeighingTime::Now),
        (None, Some(text)) => text.trim(),
    };
    let at = OffsetDateTime::parse(text, &Rfc3339).ok();
    // To the millisecond, as times are shown.
    let at_us = at.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000 * 1_000).ok());
    at_us.map(WeighingTime::At).ok_or_else(|| CorrectionFormError::Time(text.chars().take(MAX_FIELD_CHARS).collect()))
}

fn read_tag(kind: TagKind, text: &str) -> Result<Tag, CorrectionFormError> {
    match Tag::read(kind, text) {
        Ok(Some(tag)) => Ok(tag),
        Ok(None) => Err(CorrectionFormError::Tag(text.to_owned())),
        Err(RoundedTagError) => Err(CorrectionFormError::RoundedTag(text.to_owned())),
    }
}

fn grams(weight_kg: &Kilograms) -> Result<u32, CorrectionFormError> {
    Weight::parse(&weight_kg.0, WeightUnit::Kg)
        .grams()
        .ok_or_else(|| CorrectionFormError::Weight(weight_kg.0.chars().take(64).collect()))
}

fn text(field: &'static str, text: &str, limit: usize) -> Result<String, CorrectionFormError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CorrectionFormError::Empty(field));
    }
    if text.chars().any(char::is_control) {
        return Err(CorrectionFormError::ControlCharacter(field));
    }
    bounded(field, text, limit)
}

/// Checks notes, which may have several lines.
fn checked_notes(notes: &str) -> Result<String, CorrectionFormError> {
    let notes = notes.replace("\r\n", "\n");
    if notes.chars().any(|c| c.is_control() && c != '\n') {
        return Err(CorrectionFormError::ControlCharacter("notes"));
    }
    bounded("notes", notes.trim(), MAX_NOTES_CHARS)
}

fn bounded(field: &'static str, text: &str, limit: usize) -> Result<String, CorrectionFormError> {
    let chars = text.chars().count();
    if chars > limit {
        return Err(CorrectionFormError::TooLong { field, chars, limit });
    }
    Ok(text.to_owned())
}

impl From<&Correction> for CorrectionForm {
    fn from(correction: &Correction) -> Self {
        match correction {
            Correction::Void { sequence } => Self::Void { payload: sequence.0 },
            Correction::Merge { animal, absorbed } => Self::Merge { animal: animal.0, absorbed: absorbed.0 },
            Correction::Retag { animal, kind, tag } => {
                Self::Retag { animal: animal.0, tag_kind: *kind, tag: tag.as_ref().map(|tag| tag.text().to_owned()) }
            }
            Correction::MovePen { animal, pen } => Self::MovePen { animal: animal.0, pen: pen.clone() },
            Correction::MoveBatch { animal, batch_number } => {
                Self::MoveBatch { animal: animal.0, batch_number: batch_number.clone() }
            }
            Correction::Weigh { animal, weight_g, when } => {
                let (replaces, weighed_at) = match when {
                    WeighingTime::Now => (None, None),
                    WeighingTime::At(at_us) => (None, Some(iso_utc(*at_us))),
                    WeighingTime::InsteadOf(weighing) => (Some(weighing.0), None),
                };
                Self::Weigh {
                    animal: animal.0,
                    weight_kg: Kilograms(Grams(*weight_g).to_string()),
                    replaces,
                    weighed_at,
                }
            }
            Correction::Died { animal } => Self::Died { animal: animal.0 },
            Correction::CloseBatch { batch } => Self::CloseBatch { batch: batch.0 },
            Correction::EditBatch { batch, notes } => Self::EditBatch { batch: batch.0, notes: notes.clone() },
            Correction::AcceptRejected { sequence, animal, batch_number } => Self::AcceptRejected {
                payload: sequence.0,
                animal: animal.map(|animal| animal.0),
                batch_number: batch_number.clone(),
            },
            Correction::NewReaderEra { reader_group, from } => {
                Self::NewReaderEra { reader_group: reader_group.clone(), from: from.map(|from| from.0) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
