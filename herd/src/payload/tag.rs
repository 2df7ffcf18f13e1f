//! Ear tags: the text as read, and the key by which two readings are one tag.

use crate::text::Text;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// Number of digits of an ISO 11784 identity: 3 for country or manufacturer, 12 for the animal.
const ISO_11784_DIGITS: usize = 15;
/// Number of digits of its first part.
const COUNTRY_DIGITS: usize = 3;
/// Prefix that some readers write before the number of a UHF tag.
const EPC_PREFIX: &str = "EPC:";

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

impl Tag {
    /// Makes a tag from a text; `None` if the key would be empty (`""`, `"EPC:"`).
    ///
    /// The key is the text in upper case, without whitespace and without a leading `EPC:`. If it has 16 digits and begins
    /// with 0, that 0 is removed: readers pad the 15 digits of ISO 11784 to 16. The caller checks the length; the grammar
    /// allows [`MAX_FIELD_CHARS`](super::MAX_FIELD_CHARS).
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let letters = key_letters(text);
        let key = bare(&letters);
        (!key.is_empty()).then(|| Self { text: text.into(), key: (key != text).then(|| key.into()) })
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
    pub fn country_and_number(&self) -> Option<(&str, &str)> {
        let key = self.key();
        let is_iso = key.len() == ISO_11784_DIGITS && all_digits(key);
        is_iso.then(|| key.split_at(COUNTRY_DIGITS))
    }
}

/// Returns the text in upper case and without whitespace.
fn key_letters(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_lowercase()) {
        return Cow::Borrowed(text);
    }
    let mut key: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // ASCII only. Unicode upper case can change the length ("ß" becomes "SS") and follows the tables of the toolchain that
    // built the program, so barn and office, or today and next year, could disagree on a key.
    key.make_ascii_uppercase();
    Cow::Owned(key)
}

/// Removes what readers write before a number.
fn bare(letters: &str) -> &str {
    // Every prefix, so that the key of a key is that key.
    let mut bare = letters;
    while let Some(rest) = bare.strip_prefix(EPC_PREFIX) {
        bare = rest;
    }
    match bare.strip_prefix('0') {
        Some(rest) if rest.len() == ISO_11784_DIGITS && all_digits(rest) => rest,
        _ => bare,
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
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

    fn key(text: &str) -> String {
        Tag::new(text).unwrap().key().to_owned()
    }

    #[test]
    fn case_19_three_spellings_of_one_tag_have_one_key() {
        for text in ["124000224161433", "124 000 224161433", "0124000224161433"] {
            let tag = Tag::new(text).unwrap();
            assert_eq!(tag.text(), text);
            assert_eq!(tag.key(), "124000224161433");
        }
    }

    #[test]
    fn case_and_the_epc_prefix_do_not_make_another_tag() {
        assert_eq!(key("EPC:30143B7C84D500000000000"), "30143B7C84D500000000000");
        assert_eq!(key(" epc: 30143b7c84d500000000000 "), "30143B7C84D500000000000");
        assert_eq!(key("EPC:EPC:AB"), "AB");
        assert_eq!(key("epc:0124000224161433"), "124000224161433");
    }

    #[test]
    fn only_ascii_letters_are_upper_cased() {
        assert_eq!(key("straße"), "STRAßE");
    }

    #[test]
    fn a_leading_zero_is_kept_except_before_15_digits() {
        assert_eq!(key("012345678901234"), "012345678901234"); // 15 digits: another identity
        assert_eq!(key("00124000224161433"), "00124000224161433"); // 17
        assert_eq!(key("0E2801160600004B"), "0E2801160600004B"); // 16 characters, not all digits
        assert_eq!(key("0900000000000003"), "900000000000003"); // seen in the field
    }

    #[test]
    fn a_text_without_a_key_is_not_a_tag() {
        for text in ["", " ", "EPC:", " e p c : ", "EPC:EPC:"] {
            assert_eq!(Tag::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_15_digits_have_a_country_and_a_number() {
        assert_eq!(Tag::new("0124000224161433").unwrap().country_and_number(), Some(("124", "000224161433")));
        for text in ["12400022416143", "00124000224161433", "E28011606000020", "12400022416143٣"] {
            assert_eq!(Tag::new(text).unwrap().country_and_number(), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_equal_to_its_text_costs_one_byte() {
        assert_eq!(postcard::to_stdvec(&Tag::new("LF1").unwrap()).unwrap(), b"\x03LF1\x00");
        assert_eq!(postcard::to_stdvec(&Tag::new("lf 1").unwrap()).unwrap(), b"\x04lf 1\x01\x03LF1");
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
