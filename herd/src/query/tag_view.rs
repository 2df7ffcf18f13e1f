//! Tags as they are shown.

use crate::payload::Tag;
use crate::position::Sequence;
use crate::tables::{AnimalTag, TagKind};
use serde::Serialize;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagView {
    /// As it was received.
    pub text: String,
    /// What it is looked up by.
    pub key: String,
    /// Of 15 digits the first three, after ISO 11784: the country (`124` is Canada) or the maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Of 15 digits the other twelve: the animal's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl From<&Tag> for TagView {
    fn from(tag: &Tag) -> Self {
        let (country, number) = tag.country_and_number().unzip();
        Self {
            text: tag.text().to_owned(),
            key: tag.key().to_owned(),
            country: country.map(str::to_owned),
            number: number.map(str::to_owned),
        }
    }
}

/// A tag that an animal wore, or was read beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherTagView {
    /// `lf` or `epc`.
    pub kind: &'static str,
    /// The tag.
    #[serde(flatten)]
    pub tag: TagView,
    /// The change since which it is so.
    pub since: Sequence,
}

impl OtherTagView {
    pub(super) fn new(kind: TagKind, row: &AnimalTag) -> Self {
        Self { kind: kind_name(kind), tag: TagView::from(&row.tag), since: row.since }
    }
}

/// The kind's name in JSON.
pub(super) fn kind_name(kind: TagKind) -> &'static str {
    match kind {
        TagKind::Lf => "lf",
        TagKind::Epc => "epc",
    }
}
