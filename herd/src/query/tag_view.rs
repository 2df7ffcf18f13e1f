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
    /// `true` if the key is an identity of ISO 11784 (LF), or a number in whole words or a URN (UHF).
    pub well_formed: bool,
    /// Issuer of an identity of ISO 11784.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<IssuerView>,
    /// Last twelve of 15 digits: the number of the animal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// Issuer of an identity of ISO 11784.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuerView {
    /// `country`, `manufacturer` or `test`.
    pub kind: &'static str,
    /// First three of the 15 digits.
    pub code: String,
    /// Name in words: `Canada`, `manufacturer 982`, `test tag`.
    pub name: String,
}

impl TagView {
    /// Makes the view of a tag of this kind.
    pub(super) fn new(kind: TagKind, tag: &Tag) -> Self {
        let (code, number) = tag.code_and_number().unzip();
        let issuer = tag.issuer().zip(code).map(|(issuer, code)| IssuerView {
            kind: issuer.kind(),
            code: code.to_owned(),
            name: issuer.to_string(),
        });
        Self {
            text: tag.text().to_owned(),
            key: tag.key().to_owned(),
            well_formed: tag.is_well_formed(kind),
            issuer,
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
        Self { kind: held.kind.as_str(), tag: TagView::new(held.kind, &held.tag), since: held.since }
    }
}
