//! Tags in a few bytes.
//!
//! Almost every tag is 15 digits, 24 hexadecimal digits or a short text, so 13 bytes hold it. A longer one is among the
//! texts that the catalog keeps apart.

use super::labels::{Labels, natural_key};
use crate::change::{HeldTag, TagKind, TagState};
use crate::payload::compared_label;
use crate::text::Text;
use std::fmt::Write as _;

/// Number of bytes beside the form.
const BYTES: usize = 12;
/// Number of signs of a tail that its key holds.
pub(super) const TAIL_SIGNS: usize = 15;
/// Number of digits of an identity of ISO 11784.
pub(super) const IDENTITY_DIGITS: usize = 15;

/// A text in 13 bytes. Equal texts of one catalog are packed equally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PackedText {
    form: Form,
    bytes: [u8; BYTES],
}

/// Meaning of the bytes of a [`PackedText`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    /// No text.
    #[default]
    Absent,
    /// 15 digits, as a number in the first eight bytes.
    Identity,
    /// 24 hexadecimal digits in upper case.
    Hexadecimal,
    /// A text with zeros behind it. It holds no zero itself.
    Short,
    /// The number of a long text.
    Long,
}

impl PackedText {
    /// Packs a text. One that does not fit is added to `long_texts`.
    pub(super) fn new(text: Option<&str>, long_texts: &mut Labels) -> Self {
        let Some(text) = text else { return Self::default() };
        identity(text).or_else(|| hexadecimal(text)).or_else(|| short(text)).unwrap_or_else(|| {
            let mut bytes = [0; BYTES];
            bytes[..4].copy_from_slice(&long_texts.intern(Some(text)).to_le_bytes());
            Self { form: Form::Long, bytes }
        })
    }

    /// Returns a text as it is packed; `None` if it is a long one that no animal has.
    pub(super) fn known(text: &str, long_texts: &Labels) -> Option<Self> {
        identity(text).or_else(|| hexadecimal(text)).or_else(|| short(text)).or_else(|| {
            let mut bytes = [0; BYTES];
            bytes[..4].copy_from_slice(&long_texts.find(text)?.to_le_bytes());
            Some(Self { form: Form::Long, bytes })
        })
    }

    /// Returns whether the text equals one that is compared as labels are.
    pub(super) fn is_label(self, compared: &str, long_texts: &Labels) -> bool {
        if self.form == Form::Short && self.bytes.is_ascii() {
            let signs = self.bytes.iter().filter(|byte| byte.is_ascii_graphic()).map(u8::to_ascii_lowercase);
            return signs.eq(compared.bytes());
        }
        self.text(long_texts).is_some_and(|text| compared_label(&text) == compared)
    }

    /// Returns whether there is a text.
    pub(super) fn is_present(self) -> bool {
        self.form != Form::Absent
    }

    /// Returns whether the text is 15 digits.
    pub(super) fn is_identity(self) -> bool {
        self.form == Form::Identity
    }

    /// Returns the number that 15 digits are.
    pub(super) fn number(self) -> Option<u64> {
        let number = u64::from_le_bytes(*self.bytes.first_chunk()?);
        (self.form == Form::Identity).then_some(number)
    }

    /// Returns the text.
    pub(super) fn text(self, long_texts: &Labels) -> Option<Text> {
        match self.form {
            Form::Absent => None,
            Form::Identity => {
                let mut text = Text::default();
                // Writing to a text does not fail.
                let _ = write!(text, "{:015}", self.number().unwrap_or_default());
                Some(text)
            }
            Form::Hexadecimal => {
                let digits = self.bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                Some(
                    digits
                        .filter_map(|digit| char::from_digit(digit.into(), 16))
                        .map(|c| c.to_ascii_uppercase())
                        .collect(),
                )
            }
            Form::Short => {
                let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(BYTES);
                std::str::from_utf8(&self.bytes[..end]).ok().map(Text::from)
            }
            Form::Long => long_texts.text(u32::from_le_bytes(*self.bytes.first_chunk()?)).cloned(),
        }
    }

    /// Returns the key of the text for sorting; `None` for no text.
    pub(super) fn sort_key(self, long_texts: &Labels) -> Option<u128> {
        match self.form {
            Form::Short => {
                let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(BYTES);
                std::str::from_utf8(&self.bytes[..end]).ok().map(natural_key)
            }
            Form::Long => long_texts.key(u32::from_le_bytes(*self.bytes.first_chunk()?)),
            _ => self.text(long_texts).map(|text| natural_key(&text)),
        }
    }

    /// Returns the key of the last signs; `None` for no text.
    pub(super) fn tail_key(self, long_texts: &Labels) -> Option<u128> {
        let (key, _) = match self.form {
            Form::Absent => return None,
            Form::Identity => {
                let number = self.number().unwrap_or_default();
                let digits = std::iter::successors(Some(number), |number| Some(number / 10)).take(IDENTITY_DIGITS);
                key_of_signs(digits.map(|number| b"0123456789"[(number % 10) as usize]))
            }
            Form::Hexadecimal => key_of_signs(self.hexadecimal_signs()),
            Form::Short => {
                let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(BYTES);
                key_of_signs(self.bytes[..end].iter().rev().copied())
            }
            Form::Long => tail_key(&self.text(long_texts)?),
        };
        Some(key)
    }

    /// Yields the signs of 24 hexadecimal digits, last first.
    fn hexadecimal_signs(&self) -> impl Iterator<Item = u8> {
        let digits = self.bytes.iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
        digits.map(|digit| b"0123456789ABCDEF"[usize::from(digit)])
    }

    /// Returns whether the text ends with these signs, which are in upper case. The whole text is no tail of itself.
    pub(super) fn has_tail(self, tail: &Tail, long_texts: &Labels) -> bool {
        match self.form {
            Form::Absent => false,
            Form::Identity => {
                tail.number.is_some_and(|(number, power)| self.number().unwrap_or_default() % power == number)
            }
            // Without making the text: nearly all tags differ in the last sign.
            Form::Hexadecimal => {
                let signs = tail.text.bytes().rev().zip(self.hexadecimal_signs());
                tail.text.len() < 2 * BYTES && signs.into_iter().all(|(sign, own)| sign == own)
            }
            Form::Short => {
                let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(BYTES);
                end > tail.text.len() && self.bytes[..end].ends_with(tail.text.as_bytes())
            }
            Form::Long => {
                self.text(long_texts).is_some_and(|text| text.len() > tail.text.len() && text.ends_with(&tail.text))
            }
        }
    }
}

/// Returns the key of the last signs of a text, and how many of them it holds. A text that ends with it has a key that begins
/// with these.
pub(super) fn tail_key(text: &str) -> (u128, usize) {
    key_of_signs(text.bytes().rev())
}

fn key_of_signs(signs: impl Iterator<Item = u8>) -> (u128, usize) {
    let (key, known) =
        signs.take(TAIL_SIGNS).fold((0, 0), |(key, known), sign| (key << 8 | u128::from(sign), known + 1));
    (key << (8 * (TAIL_SIGNS - known)), known)
}

/// The last signs of a tag.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    text: String,
    /// The number of the digits, and 10 to the power of their count, if all are digits.
    number: Option<(u64, u64)>,
}

impl Tail {
    /// Returns the signs.
    pub(super) fn signs(&self) -> &str {
        &self.text
    }

    /// Makes a tail of signs in upper case.
    pub(super) fn new(text: String) -> Self {
        let is_number =
            !text.is_empty() && text.len() < IDENTITY_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        let power = u32::try_from(text.len()).ok().and_then(|digits| 10_u64.checked_pow(digits));
        let number = text.parse().ok().zip(power).filter(|_| is_number);
        Self { text, number }
    }
}

fn identity(text: &str) -> Option<PackedText> {
    let is_identity = text.len() == IDENTITY_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = text.parse().ok().filter(|_| is_identity)?;
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Some(PackedText { form: Form::Identity, bytes })
}

fn hexadecimal(text: &str) -> Option<PackedText> {
    let is_upper = text.len() == 2 * BYTES && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let mut bytes = [0; BYTES];
    (is_upper && hex::decode_to_slice(text, &mut bytes).is_ok())
        .then_some(PackedText { form: Form::Hexadecimal, bytes })
}

fn short(text: &str) -> Option<PackedText> {
    let fits = !text.is_empty() && text.len() <= BYTES && !text.bytes().any(|byte| byte == 0);
    let mut bytes = [0; BYTES];
    fits.then(|| bytes[..text.len()].copy_from_slice(text.as_bytes()))?;
    Some(PackedText { form: Form::Short, bytes })
}

/// A past or unconfirmed tag of an animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherTag {
    pub(super) kind: TagKind,
    pub(super) state: TagState,
    pub(super) tag: PackedText,
}

impl OtherTag {
    /// Returns the tags of an animal that it does not wear.
    pub(super) fn of(held: &[HeldTag], long_texts: &mut Labels) -> Box<[Self]> {
        let others = held.iter().filter(|held| held.state != TagState::Current);
        let pack = |held: &HeldTag| Self {
            kind: held.kind,
            state: held.state,
            tag: PackedText::new(Some(held.tag.key()), long_texts),
        };
        others.map(pack).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a text that reads back as another one, and tags that are kept apart although 13 bytes hold them: each then takes
    /// a label, its entries in two maps, and several times the memory.
    #[test]
    fn a_text_reads_back_and_only_one_that_no_form_holds_is_kept_apart() {
        let mut long_texts = Labels::default();
        for (text, is_long) in [
            ("982000123456789", false),
            ("982000123456", false),
            ("98200012345678A", true),
            ("9820001234567", true),
            ("E2003412013456789ABCDEF0", false),
            ("e2003412013456789abcdef0", true),
            ("E2003412013456789ABCDEFG", true),
            ("Y-17", false),
            ("A", false),
            ("", true),
            ("Y\u{0}17", true),
        ] {
            let packed = PackedText::new(Some(text), &mut long_texts);
            assert_eq!(packed.text(&long_texts).as_deref(), Some(text));
            assert_eq!(PackedText::known(text, &long_texts), Some(packed));
            assert_eq!(packed.form == Form::Long, is_long, "{text:?}");
        }
    }
}
