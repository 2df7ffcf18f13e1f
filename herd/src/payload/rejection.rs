//! Why a payload is no event.

use serde::{Deserialize, Serialize};

/// The reason why a payload is no event: data about the air, kept in its change.
///
/// The order of the variants and of their fields freezes in stored changes: new reasons go to the end. Texts in it are
/// bounded: the grammar puts at most 64 characters into each. Its `Display` is one sentence for a person at the office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// Nothing but blanks.
    #[error("The payload is empty.")]
    Empty,
    /// More than [`MAX_PAYLOAD_BYTES`](super::MAX_PAYLOAD_BYTES) after trimming.
    #[error("The payload has {bytes} bytes, and at most {} are allowed.", super::MAX_PAYLOAD_BYTES)]
    TooLong {
        /// Bytes of the trimmed payload.
        bytes: u32,
    },
    /// Invalid UTF-8.
    #[error("The payload is not text (invalid UTF-8), so it was damaged or is of another device.")]
    NotText,
    /// The first byte is 0x80 or above.
    #[error("The payload is a sealed binary frame, which this version cannot open.")]
    SealedFrame,
    /// A character that `char::is_control` calls so, inside the trimmed text.
    #[error("The payload has a control character after its first {at} characters.")]
    ControlCharacter {
        /// How many characters of the trimmed text stand before it.
        at: u32,
    },
    /// Neither of the short forms, nor an event.
    #[error("The payload begins with {prefix:?}, and only hxb, hxe and event are known.")]
    UnknownPrefix {
        /// What stands before the first `:` or `|`.
        prefix: String,
    },
    /// A short form that has not exactly four fields.
    #[error("A payload of the form hxb:BATCH:LF:UHF has four fields, and this one has {found}.")]
    FieldCount {
        /// Fields between the colons, the prefix being one.
        found: u32,
    },
    /// A field with nothing after its `:`, or (the name is empty then) nothing before it.
    #[error("{}", empty_field(.field))]
    EmptyField {
        /// The key, or in a short form `batch`, `lf` or `epc`.
        field: String,
    },
    /// A key or value of more than [`MAX_FIELD_CHARS`](super::MAX_FIELD_CHARS).
    #[error("The field {field:?} has {chars} characters, and at most {} are allowed.", super::MAX_FIELD_CHARS)]
    FieldTooLong {
        /// The key, or in a short form `batch`, `lf` or `epc`. A key that is itself too long is cut.
        field: String,
        /// Characters of what is too long.
        chars: u32,
    },
    /// A field of an event without a `:`.
    #[error("{}", field_without_value(.field))]
    FieldWithoutValue {
        /// The whole field, cut at 64 characters; empty where two bars meet or one ends the payload.
        field: String,
    },
    /// Two fields that say the same thing.
    #[error("The field {key:?} is given more than once.")]
    RepeatedKey {
        /// The key; `batch or lot` where an export names its batch by both.
        key: String,
    },
    /// An event id that is not `hxb` or `hxe`, letters, and a counter of digits that fits in 64 bits.
    #[error("The event id {id:?} is not of the form hxbind000001.")]
    BadEventId {
        /// The id as received.
        id: String,
    },
    /// An event id of a kind that this grammar does not know.
    #[error("The event is of the kind {kind:?}, and only ind, pai, chi, rep and exp are known.")]
    UnknownEventKind {
        /// The letters between `hxb` or `hxe` and the counter.
        kind: String,
    },
    /// An event with neither lid nor tag.
    #[error("The event names no animal: it has neither a lid nor a tag.")]
    NoAnimalNamed,
    /// An event without what its kind is about.
    #[error("The event has no {field}, which its kind needs.")]
    MissingField {
        /// The key, or the keys of which one is needed.
        field: String,
    },
    /// A tag of which nothing remains as a key, such as `EPC:`.
    #[error("The tag in the field {field:?} has no number.")]
    BadTag {
        /// The key, or in a short form `lf` or `epc`.
        field: String,
    },
    /// Given by the judge: the id was used in this reader group and era for another content.
    #[error(
        "Payload {of} came with the same event id and another content: accept this one by a correction, or start a \
         new reader era if the reader was replaced."
    )]
    EventIdReused {
        /// Sequence of the change that has the id.
        of: u64,
    },
    /// Given by the judge: the payload's tags are known, each on another animal.
    #[error("The tags are of two animals, {first} and {second}: merge them if they are one.")]
    TagsOfTwoAnimals {
        /// The animal that has the first tag.
        first: u64,
        /// The animal that has the other.
        second: u64,
    },
    /// Given by the judge: the tag is of an animal with another lid.
    #[error("The event names lid {lid:?}, and its tag is of animal {tag_animal}, which has lid {tag_lid:?}.")]
    LidOfAnother {
        /// The lid that the event names.
        lid: String,
        /// The animal that has the tag.
        tag_animal: u64,
        /// The lid of that animal.
        tag_lid: String,
    },
    /// Given by the judge: the tag that a repair takes off is known, and is another animal's.
    #[error("The repair takes tag {tag:?} off animal {named}, and that tag is of animal {owner}.")]
    OldTagOfAnother {
        /// The old tag as received.
        tag: String,
        /// The animal that the repair names.
        named: u64,
        /// The animal that has the tag.
        owner: u64,
    },
}

impl Rejection {
    /// The reason's name in JSON and in metrics. Stable.
    pub const fn code(&self) -> &'static str {
        self.number_and_code().1
    }

    /// The reason's number in stored changes. Stable.
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
            Self::BadTag { .. } => (15, "bad_tag"),
            Self::EventIdReused { .. } => (16, "event_id_reused"),
            Self::TagsOfTwoAnimals { .. } => (17, "tags_of_two_animals"),
            Self::LidOfAnother { .. } => (18, "lid_of_another"),
            Self::OldTagOfAnother { .. } => (19, "old_tag_of_another"),
        }
    }
}

fn empty_field(field: &str) -> String {
    if field.is_empty() {
        "A field has no name before its colon.".to_owned()
    } else {
        format!("The field {field:?} is empty.")
    }
}

fn field_without_value(field: &str) -> String {
    if field.is_empty() {
        "The event has an empty field: nothing stands after one of its bars.".to_owned()
    } else {
        format!("The field {field:?} has no colon, so it has no value.")
    }
}
