//! Views of tags.

use crate::change::HeldTag;
use crate::payload::Tag;
use crate::position::Sequence;
use crate::tables::TagKind;
use serde::Serialize;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagView {
    /// Text as it was received.
    pub text: String,
    /// Normalized text. Tags with the same key are the same tag.
    pub key: String,
    /// First three of 15 digits, after ISO 11784: the country (`124` is Canada) or the manufacturer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Last twelve of 15 digits: the number of the animal.
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

/// A past or unconfirmed tag of an animal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherTagView {
    /// `lf` or `epc`.
    pub kind: &'static str,
    /// The tag.
    #[serde(flatten)]
    pub tag: TagView,
    /// Change that made it past or unconfirmed.
    pub since: Sequence,
}

impl From<&HeldTag> for OtherTagView {
    fn from(held: &HeldTag) -> Self {
        Self { kind: kind_name(held.kind), tag: TagView::from(&held.tag), since: held.since }
    }
}

/// Returns the name of a kind in JSON.
fn kind_name(kind: TagKind) -> &'static str {
    match kind {
        TagKind::Lf => "lf",
        TagKind::Epc => "epc",
    }
}
