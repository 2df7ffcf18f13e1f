//! Reasons why a payload is not an event.

use super::{MAX_FIELD_CHARS, MAX_PAYLOAD_BYTES};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The reason why a payload is not an event. It is data, not a failure, and is stored in the payload's change.
///
/// The order of the variants and of their fields is frozen in stored changes, so new reasons go to the end. Texts are
/// bounded: the grammar puts at most 64 characters into each. `Display` gives one sentence for a person at the office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// Empty, or only whitespace.
    Empty,
    /// More than [`MAX_PAYLOAD_BYTES`](super::MAX_PAYLOAD_BYTES) after trimming.
    TooLong {
        /// Bytes of the trimmed payload.
        bytes: u32,
    },
    /// Invalid UTF-8.
    NotText,
    /// Bytes that are no text and have the first byte and the length of a sealed frame.
    SealedFrame,
    /// A control character (`char::is_control`) inside the trimmed text.
    ControlCharacter {
        /// Number of characters before it in the trimmed text.
        at: u32,
    },
    /// Neither a short form nor an event.
    UnknownPrefix {
        /// Text before the first `:` or `|`.
        prefix: String,
    },
    /// A short form without exactly four fields.
    FieldCount {
        /// Number of fields, including the prefix.
        found: u32,
    },
    /// A field that must say something and is blank or a filler, or a field with nothing before its `:` (`field` is empty
    /// then).
    EmptyField {
        /// The key; in a short form `batch`.
        field: String,
    },
    /// A key or value of more than [`MAX_FIELD_CHARS`](super::MAX_FIELD_CHARS).
    FieldTooLong {
        /// The key, or in a short form `batch`, `lf` or `epc`. A key that is too long is truncated.
        field: String,
        /// Number of characters of the key or value.
        chars: u32,
    },
    /// A field of an event without a `:`.
    FieldWithoutValue {
        /// The field, truncated to 64 characters.
        field: String,
    },
    /// Two fields with the same meaning.
    RepeatedKey {
        /// The key; `batch or lot` if an export names its batch by both.
        key: String,
    },
    /// An event id that is not `hxb` or `hxe`, letters, and a counter of digits that fits in 64 bits.
    BadEventId {
        /// The id as received.
        id: String,
    },
    /// An event id of a kind that this grammar does not know.
    UnknownEventKind {
        /// The letters between `hxb` or `hxe` and the counter.
        kind: String,
    },
    /// An event with neither lid nor tag, or with fillers in their place.
    NoAnimalNamed,
    /// An event without a field that its kind needs.
    MissingField {
        /// The key, or the keys one of which is needed.
        field: String,
    },
    /// A tag in scientific notation, such as `9.82E+14`.
    RoundedTag {
        /// The key, or in a short form `lf` or `epc`.
        field: String,
        /// The text of the tag.
        text: String,
    },
    /// Decided with the tables: the id belongs to another content in this reader group and era.
    EventIdReused {
        /// Sequence of the change that has the id.
        of: u64,
    },
    /// Decided with the tables: the payload's tags lead to two animals.
    TagsOfTwoAnimals {
        /// The animal that has the first tag.
        first: u64,
        /// The animal that has the other.
        second: u64,
    },
    /// Decided with the tables: the tag leads to an animal with another lid.
    LidOfAnother {
        /// The lid that the event names.
        lid: String,
        /// The animal that has the tag.
        tag_animal: u64,
        /// The lid of that animal.
        tag_lid: String,
    },
    /// Decided with the tables: the tag that a repair takes off belongs to another animal.
    OldTagOfAnother {
        /// The old tag as received.
        tag: String,
        /// The animal that the repair names.
        named: u64,
        /// The animal that has the tag.
        owner: u64,
    },
    /// Text of a known form behind a few bytes that are no text.
    TextBehindHeader,
    /// Decided with the tables: the tag that a repair takes off is not the one that the animal wears.
    OldTagNotWorn {
        /// The old tag as received.
        tag: String,
        /// The animal that the repair names.
        animal: u64,
        /// The tag of that kind that the animal wears.
        worn: String,
    },
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("The payload is empty."),
            Self::TooLong { bytes } => {
                write!(f, "The payload has {bytes} bytes, and at most {MAX_PAYLOAD_BYTES} are allowed.")
            }
            Self::NotText => {
                f.write_str("The payload is not text (invalid UTF-8), so it was damaged or is of another device.")
            }
            Self::SealedFrame => f.write_str("The payload is a sealed binary frame, which this version cannot open."),
            Self::ControlCharacter { at } => {
                write!(f, "The payload has a control character after its first {at} characters.")
            }
            Self::UnknownPrefix { prefix } => {
                write!(f, "The payload begins with {prefix:?}, and only hxb, hxe and event are known.")
            }
            Self::FieldCount { found } => {
                write!(f, "A payload of the form hxb:BATCH:LF:UHF has four fields, and this one has {found}.")
            }
            Self::EmptyField { field } => f.write_str(&empty_field(field)),
            Self::FieldTooLong { field, chars } => {
                write!(f, "The field {field:?} has {chars} characters, and at most {MAX_FIELD_CHARS} are allowed.")
            }
            Self::FieldWithoutValue { field } => write!(f, "The field {field:?} has no colon, so it has no value."),
            Self::RepeatedKey { key } => write!(f, "The field {key:?} is given more than once."),
            Self::BadEventId { id } => write!(f, "The event id {id:?} is not of the form hxbind000001."),
            Self::UnknownEventKind { kind } => {
                write!(f, "The event is of the kind {kind:?}, and only ind, pai, chi, rep and exp are known.")
            }
            Self::NoAnimalNamed => f.write_str("The event names no animal: it has neither a lid nor a tag."),
            Self::MissingField { field } => write!(f, "The event has no {field}, which its kind needs."),
            Self::RoundedTag { field, text } => write!(
                f,
                "The tag {text:?} in the field {field:?} was rounded, as a spreadsheet does with long numbers: its last \
                 digits are lost, so take it from the reader again."
            ),
            Self::EventIdReused { of } => write!(
                f,
                "Payload {of} came with the same event id and another content: accept this one by a correction, or start \
                 a new reader era if the reader was replaced."
            ),
            Self::TagsOfTwoAnimals { first, second } => {
                write!(f, "The tags are of two animals, {first} and {second}: merge them if they are one.")
            }
            Self::LidOfAnother { lid, tag_animal, tag_lid } => write!(
                f,
                "The event names lid {lid:?}, and its tag is of animal {tag_animal}, which has lid {tag_lid:?}."
            ),
            Self::OldTagOfAnother { tag, named, owner } => {
                write!(f, "The repair takes tag {tag:?} off animal {named}, and that tag is of animal {owner}.")
            }
            Self::TextBehindHeader => f.write_str(
                "The payload is text behind a few bytes that are no text, such as the four bytes of RadioHead: set \
                 strip_bytes = 4 for the radio.",
            ),
            Self::OldTagNotWorn { tag, animal, worn } => write!(
                f,
                "The repair takes tag {tag:?} off animal {animal}, which wears {worn:?}: correct the tag of the animal, \
                 then accept this payload."
            ),
        }
    }
}

impl Rejection {
    /// Returns the code in JSON and metrics. Stable.
    pub const fn code(&self) -> &'static str {
        self.number_and_code().1
    }

    /// Returns the number in stored changes and in the tables. Stable.
    pub const fn number(&self) -> u8 {
        self.number_and_code().0
    }

    const fn number_and_code(&self) -> (u8, &'static str) {
        match self {
            Self::Empty => (0, "empty"),
            Self::TooLong { .. } => (1, "too_long"),
            Self::NotText => (2, "not_text"),
            Self::SealedFrame => (3, "sealed_frame"),
            Self::ControlCharacter { .. } => (4, "control_character"),
            Self::UnknownPrefix { .. } => (5, "unknown_prefix"),
            Self::FieldCount { .. } => (6, "field_count"),
            Self::EmptyField { .. } => (7, "empty_field"),
            Self::FieldTooLong { .. } => (8, "field_too_long"),
            Self::FieldWithoutValue { .. } => (9, "field_without_value"),
            Self::RepeatedKey { .. } => (10, "repeated_key"),
            Self::BadEventId { .. } => (11, "bad_event_id"),
            Self::UnknownEventKind { .. } => (12, "unknown_event_kind"),
            Self::NoAnimalNamed => (13, "no_animal_named"),
            Self::MissingField { .. } => (14, "missing_field"),
            Self::RoundedTag { .. } => (15, "rounded_tag"),
            Self::EventIdReused { .. } => (16, "event_id_reused"),
            Self::TagsOfTwoAnimals { .. } => (17, "tags_of_two_animals"),
            Self::LidOfAnother { .. } => (18, "lid_of_another"),
            Self::OldTagOfAnother { .. } => (19, "old_tag_of_another"),
            Self::TextBehindHeader => (20, "text_behind_header"),
            Self::OldTagNotWorn { .. } => (21, "old_tag_not_worn"),
        }
    }
}

fn empty_field(field: &str) -> String {
    if field.is_empty() {
        "A field has no name before its colon.".to_owned()
    } else {
        format!("The field {field:?} says nothing, and the event needs it: accept the payload with what was meant.")
    }
}
