//! Ear tags: the text as read, and the key by which two readings are one tag.
//!
//! # Decisions
//!
//! - **The key depends on the kind.** 16 hexadecimal digits are an identity of ISO 11784 in an LF tag, and a number of 64 bits
//!   in a UHF tag.
//! - **A text that is no identity and no number keeps its hyphens and dots.** Tags of a yard's own may differ in these alone.

mod epc;
mod iso;

pub(super) use epc::is_number_with_colons;
pub use iso::Issuer;

use super::blank;
use crate::text::Text;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// Kind of a tag. The numbers are part of table keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TagKind {
    /// Low frequency, ISO 11784 in the field.
    Lf = 0,
    /// Ultra high frequency, an EPC.
    Epc = 1,
}

impl TagKind {
    /// Returns the name in JSON. Stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::Epc => "epc",
        }
    }
}

/// A tag as received, with its key. Tags with equal **keys** are one tag. `==` compares the text as well, because it is
/// used to compare events.
///
/// Serialized as `(text, Option<key>)`; `None` means that the key equals the text. A stored key is used as it is and never
/// computed again: a later rule for keys must not change the meaning of an old change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    text: Text,
    /// `None` if the key equals the text, as that of most tags does.
    key: Option<Text>,
}

/// Why a text cannot be a tag: a spreadsheet has rounded its number, as in `9.82E+14`. The lost digits are the animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a spreadsheet has rounded the number")]
pub struct RoundedTagError;

impl Tag {
    /// Reads a tag. `None` if the text says nothing, as readers do that have read no tag.
    ///
    /// The caller checks the length; the grammar allows [`MAX_FIELD_CHARS`](super::MAX_FIELD_CHARS).
    pub fn read(kind: TagKind, text: &str) -> Result<Option<Self>, RoundedTagError> {
        let text = blank::trimmed(text);
        let key = key(kind, text);
        if blank::says_nothing(text) || blank::says_nothing(&key) {
            return Ok(None);
        }
        if is_rounded(&key) {
            return Err(RoundedTagError);
        }
        Ok(Some(Self { text: text.into(), key: (key != text).then(|| key.as_ref().into()) }))
    }

    /// Returns the tag as received, trimmed. People are shown this.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the key for comparisons and look-ups. Never empty.
    pub fn key(&self) -> &str {
        self.key.as_ref().unwrap_or(&self.text)
    }

    /// Splits a key of exactly 15 digits into its two parts by ISO 11784.
    ///
    /// These are three digits for country or manufacturer (`124` is Canada) and twelve for the number, with leading zeros.
    pub fn code_and_number(&self) -> Option<(&str, &str)> {
        iso::parts(self.key())
    }

    /// Returns the issuer of a tag with a valid identity of ISO 11784.
    pub fn issuer(&self) -> Option<Issuer> {
        iso::issuer(self.key())
    }

    /// Returns whether the key is an identity of ISO 11784 (LF), or a number in whole words or a URN (UHF).
    ///
    /// Another text is a tag all the same: a yard may have tags of its own, and a reader may lose a digit.
    pub fn is_well_formed(&self, kind: TagKind) -> bool {
        match kind {
            TagKind::Lf => self.issuer().is_some(),
            TagKind::Epc => epc::is_well_formed(self.key()),
        }
    }
}

/// Returns the key of a trimmed text.
fn key(kind: TagKind, text: &str) -> Cow<'_, str> {
    if kind == TagKind::Epc && epc::is_urn(text) {
        return Cow::Borrowed(text);
    }
    match letters(text) {
        Cow::Borrowed(letters) => key_of_letters(kind, letters),
        Cow::Owned(letters) => Cow::Owned(key_of_letters(kind, &letters).into_owned()),
    }
}

fn key_of_letters(kind: TagKind, letters: &str) -> Cow<'_, str> {
    match kind {
        TagKind::Lf => iso::identity(letters).unwrap_or(Cow::Borrowed(letters)),
        // Some readers of UHF tags pad the identity of the animal to 16 digits, too.
        TagKind::Epc => match epc::number(letters) {
            Cow::Borrowed(number) => Cow::Borrowed(iso::unpadded(number).unwrap_or(number)),
            Cow::Owned(number) => Cow::Owned(iso::unpadded(&number).map(str::to_owned).unwrap_or(number)),
        },
    }
}

/// Returns the text in upper case and without blanks.
fn letters(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_lowercase()) {
        return Cow::Borrowed(text);
    }
    let mut letters: String = text.chars().filter(|c| !blank::is_blank(*c)).collect();
    // ASCII only. Unicode upper case can change the length ("ß" becomes "SS") and follows the tables of the toolchain that
    // built the program, so barn and office, or today and next year, could disagree on a key.
    letters.make_ascii_uppercase();
    Cow::Owned(letters)
}

/// Returns whether a key is a number in scientific notation with a decimal mark or a plus: `9.82E+14`, `3,01E23`.
fn is_rounded(key: &str) -> bool {
    let Some((mantissa, exponent)) = key.split_once('E') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) =
        mantissa.split_once(['.', ',']).map_or((mantissa, None), |(whole, rest)| (whole, Some(rest)));
    let (exponent, has_plus) = exponent.strip_prefix('+').map_or((exponent, false), |rest| (rest, true));
    digits(whole) && digits(exponent) && fraction.is_none_or(digits) && (has_plus || fraction.is_some())
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.text, &self.key).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (text, key) = <(Text, Option<Text>)>::deserialize(deserializer)?;
        if key.as_ref().unwrap_or(&text).is_empty() {
            return Err(de::Error::custom("a stored tag has an empty key: the bytes are damaged or of another type"));
        }
        Ok(Self { key: key.filter(|key| *key != text), text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: TagKind, text: &str) -> Tag {
        Tag::read(kind, text).unwrap().unwrap()
    }

    fn key(kind: TagKind, text: &str) -> String {
        tag(kind, text).key().to_owned()
    }

    #[test]
    fn case_19_three_spellings_of_one_tag_have_one_key() {
        for text in ["124000224161433", "124 000 224161433", "0124000224161433"] {
            let tag = tag(TagKind::Lf, text);
            assert_eq!(tag.text(), text);
            assert_eq!(tag.key(), "124000224161433");
        }
    }

    #[test]
    fn blanks_case_and_zero_width_marks_do_not_make_another_identity() {
        let spellings =
            ["la 982 000196588496", "982\u{200b}000196588496", "\u{feff}982.000.196588496", "0x8000f5800bb7b3d0"];
        for text in spellings {
            assert_eq!(key(TagKind::Lf, text), "982000196588496", "{text:?}");
        }
    }

    #[test]
    fn case_and_prefixes_do_not_make_another_uhf_tag() {
        assert_eq!(key(TagKind::Epc, "EPC:30143B7C84D500000000000"), "30143B7C84D500000000000");
        assert_eq!(key(TagKind::Epc, " epc: 30143b7c84d500000000000 "), "30143B7C84D500000000000");
        assert_eq!(key(TagKind::Epc, "EPC:EPC:AB"), "AB");
        assert_eq!(key(TagKind::Epc, "epc:0124000224161433"), "124000224161433");
        assert_eq!(key(TagKind::Epc, "e280 1160-6000:0204"), "E280116060000204");
    }

    #[test]
    fn a_urn_is_its_own_key() {
        let urn = "urn:epc:id:sgtin:0614141.112345.4 00-a";
        assert_eq!(key(TagKind::Epc, urn), urn);
    }

    #[test]
    fn only_ascii_letters_are_upper_cased() {
        assert_eq!(key(TagKind::Lf, "straße"), "STRAßE");
    }

    #[test]
    fn a_leading_zero_is_kept_except_before_15_digits() {
        for kind in [TagKind::Lf, TagKind::Epc] {
            assert_eq!(key(kind, "012345678901234"), "012345678901234"); // 15 digits: another identity
            assert_eq!(key(kind, "00124000224161433"), "00124000224161433"); // 17
            assert_eq!(key(kind, "0E2801160600004B"), "0E2801160600004B"); // 16 characters, not all digits
            assert_eq!(key(kind, "0900000000000003"), "900000000000003"); // seen in the field
        }
    }

    #[test]
    fn a_text_that_says_nothing_is_no_tag() {
        for kind in [TagKind::Lf, TagKind::Epc] {
            for text in ["", " ", "None", "000000000000000", "FFFFFFFFFFFFFFFF", "no read"] {
                assert_eq!(Tag::read(kind, text), Ok(None), "{text:?}");
            }
        }
        for text in ["EPC:", " e p c : ", "EPC:EPC:", "0x", "EPC:00000000", "EPC=None"] {
            assert_eq!(Tag::read(TagKind::Epc, text), Ok(None), "{text:?}");
        }
    }

    /// Catches a number whose last digits are lost, and which would be the tag of many animals.
    #[test]
    fn a_rounded_number_is_refused_and_a_tag_like_one_is_not() {
        for kind in [TagKind::Lf, TagKind::Epc] {
            for text in ["9.82E+14", "9,82e14", "3.01433E+23", "1E+15", "9.82 E+14"] {
                assert_eq!(Tag::read(kind, text), Err(RoundedTagError), "{text:?}");
            }
            for text in ["1E15", "12E-4", "E2801160", "E+5", "9.82E+", "A.1E+5"] {
                assert!(Tag::read(kind, text).unwrap().is_some(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_tag_that_is_not_well_formed_is_told_apart() {
        assert!(tag(TagKind::Lf, "0124000224161433").is_well_formed(TagKind::Lf));
        assert!(tag(TagKind::Epc, "E2801160600002044310B2E2").is_well_formed(TagKind::Epc));
        for text in ["LF123", "12400022416143", "000000000000001"] {
            assert!(!tag(TagKind::Lf, text).is_well_formed(TagKind::Lf), "{text}");
        }
        assert!(!tag(TagKind::Epc, "30143B7C84D500000000000").is_well_formed(TagKind::Epc));
    }

    #[test]
    fn only_15_digits_have_a_code_and_a_number() {
        assert_eq!(tag(TagKind::Lf, "0124000224161433").code_and_number(), Some(("124", "000224161433")));
        for text in ["12400022416143", "00124000224161433", "E28011606000020", "12400022416143٣"] {
            assert_eq!(tag(TagKind::Lf, text).code_and_number(), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_equal_to_its_text_costs_one_byte() {
        assert_eq!(postcard::to_stdvec(&tag(TagKind::Lf, "LF1")).unwrap(), b"\x03LF1\x00");
        assert_eq!(postcard::to_stdvec(&tag(TagKind::Lf, "lf 1")).unwrap(), b"\x04lf 1\x01\x03LF1");
    }

    #[test]
    fn a_stored_key_is_used_as_it_is() {
        let tag: Tag = postcard::from_bytes(b"\x04lf 1\x01\x02XY").unwrap();
        assert_eq!((tag.text(), tag.key()), ("lf 1", "XY"));
    }

    #[test]
    fn a_stored_empty_key_is_an_error() {
        assert!(postcard::from_bytes::<Tag>(b"\x00\x00").is_err());
        assert!(postcard::from_bytes::<Tag>(b"\x03LF1\x01\x00").is_err());
    }
}
