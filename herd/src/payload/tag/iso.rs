//! Spellings of the identity of ISO 11784: 3 digits for country or manufacturer, and 12 for the animal.
//!
//! Readers and their programs write one identity in many ways. These are recognized, with blanks, hyphens, underscores and
//! dots anywhere:
//!
//! ```text
//! 982000196588496                  15 digits
//! 0982000196588496                 padded to 16
//! LA 982 000196588496              LA or A: the animal bit
//! A 00000 0 982 000196588496       then 5 reserved digits and the data block bit, all 0
//! 00000 0 982 000196588496         the same without a letter
//! 8000F5800BB7B3D0                 the 64 bits in hexadecimal: animal bit, 14 reserved bits, data block bit, country
//!                                  (10 bits), number (38 bits); also with 0x
//! ```
//!
//! Reserved digits or bits that are not 0 hold a retagging counter or the maker's data. Such a text is not recognized, since
//! a tag with another counter is another tag.

use std::borrow::Cow;
use std::fmt;

/// Number of digits of an identity.
const DIGITS: usize = 15;
/// Number of digits of its first part.
const CODE_DIGITS: usize = 3;
/// Digits before an identity whose bits are written out: 5 reserved ones and the data block bit.
const NO_FLAGS: &str = "000000";
/// Letters before an identity that stand for the animal bit.
const ANIMAL_LETTERS: [&str; 2] = ["LA", "A"];
/// Number of hexadecimal digits of the 64 bits.
const HEX_DIGITS: usize = 16;
/// Number of bits of the animal's number.
const NUMBER_BITS: u32 = 38;
/// Highest number that fits.
const MAX_NUMBER: u64 = (1 << NUMBER_BITS) - 1;
/// Bits of the code.
const CODE_MASK: u64 = 0x3ff;
/// The upper 16 bits: the animal bit is 1, the reserved ones are 0, and the data block bit may be either.
const FLAG_BITS: (u64, u64) = (0xfffe, 0x8000);

/// Returns the 15 digits if a text spells an identity. `letters` is in upper case and without blanks.
pub(super) fn identity(letters: &str) -> Option<Cow<'_, str>> {
    if is_identity(letters) {
        return Some(Cow::Borrowed(letters));
    }
    let signs: String = letters.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    decimal(&signs).map(str::to_owned).or_else(|| hexadecimal(&signs)).map(Cow::Owned)
}

fn is_identity(text: &str) -> bool {
    text.len() == DIGITS && all_digits(text)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn decimal(signs: &str) -> Option<&str> {
    let digits = ANIMAL_LETTERS.iter().find_map(|letters| signs.strip_prefix(letters)).unwrap_or(signs);
    let without_flags = digits.strip_prefix(NO_FLAGS).filter(|rest| rest.len() == DIGITS);
    let identity = without_flags.or_else(|| unpadded(digits)).unwrap_or(digits);
    is_identity(identity).then_some(identity)
}

/// Removes the 0 with which readers pad an identity to 16 digits.
pub(super) fn unpadded(digits: &str) -> Option<&str> {
    digits.strip_prefix('0').filter(|rest| is_identity(rest))
}

fn hexadecimal(signs: &str) -> Option<String> {
    let digits = signs.strip_prefix("0X").unwrap_or(signs);
    if digits.len() != HEX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let bits = u64::from_str_radix(digits, 16).ok()?;
    let (mask, flags) = FLAG_BITS;
    let code = (bits >> NUMBER_BITS) & CODE_MASK;
    let is_animal = (bits >> 48) & mask == flags && Issuer::of(u16::try_from(code).ok()?).is_some();
    is_animal.then(|| format!("{code:03}{:012}", bits & MAX_NUMBER))
}

/// Splits an identity into its code and its number.
pub(super) fn parts(key: &str) -> Option<(&str, &str)> {
    is_identity(key).then(|| key.split_at(CODE_DIGITS))
}

/// Returns the issuer of an identity. `None` if the text is no identity, or has a code or number that ISO 11784 does not define.
pub(super) fn issuer(key: &str) -> Option<Issuer> {
    let (code, number) = parts(key)?;
    let fits = number.parse().is_ok_and(|number: u64| number <= MAX_NUMBER);
    fits.then(|| Issuer::of(code.parse().ok()?)).flatten()
}

/// Origin of an identity, by its first three digits (ISO 11784, ICAR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// A country, by its number in ISO 3166: 1 to 899.
    Country(u16),
    /// A manufacturer, by the code that ICAR gave it: 900 to 998.
    Manufacturer(u16),
    /// 999: a tag for tests, which may exist more than once.
    Test,
}

impl Issuer {
    fn of(code: u16) -> Option<Self> {
        match code {
            1..=899 => Some(Self::Country(code)),
            900..=998 => Some(Self::Manufacturer(code)),
            999 => Some(Self::Test),
            _ => None,
        }
    }

    /// Returns `country`, `manufacturer` or `test`: the name in JSON. Stable.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Country(_) => "country",
            Self::Manufacturer(_) => "manufacturer",
            Self::Test => "test",
        }
    }
}

/// Name in words: `Canada`, `country 104`, `manufacturer 982`, `test tag`.
impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(code) => match COUNTRIES.iter().find(|(number, _)| number == code) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "country {code:03}"),
            },
            Self::Manufacturer(code) => write!(f, "manufacturer {code}"),
            Self::Test => f.write_str("test tag"),
        }
    }
}

/// Countries whose tags are likely to reach a yard, by their numbers in ISO 3166.
const COUNTRIES: [(u16, &str); 24] = [
    (32, "Argentina"),
    (36, "Australia"),
    (40, "Austria"),
    (56, "Belgium"),
    (76, "Brazil"),
    (124, "Canada"),
    (152, "Chile"),
    (208, "Denmark"),
    (250, "France"),
    (276, "Germany"),
    (372, "Ireland"),
    (380, "Italy"),
    (392, "Japan"),
    (484, "Mexico"),
    (528, "Netherlands"),
    (554, "New Zealand"),
    (600, "Paraguay"),
    (616, "Poland"),
    (710, "South Africa"),
    (724, "Spain"),
    (756, "Switzerland"),
    (826, "United Kingdom"),
    (840, "United States"),
    (858, "Uruguay"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "982000196588496";

    fn found(letters: &str) -> Option<String> {
        identity(letters).map(Cow::into_owned)
    }

    /// Catches one animal that becomes several, because its readers spell its tag in different ways.
    #[test]
    fn all_spellings_of_an_identity_are_recognized() {
        let bits = (1_u64 << 63) + (982 << NUMBER_BITS) + 196_588_496;
        let spellings = [
            IDENTITY.to_owned(),
            format!("0{IDENTITY}"),
            format!("LA{IDENTITY}"),
            format!("A000000{IDENTITY}"),
            format!("LA000000{IDENTITY}"),
            format!("000000{IDENTITY}"),
            "982-000-196_588.496".to_owned(),
            format!("{bits:016X}"),
            format!("0X{bits:016X}"),
            format!("{:016X}", bits | 1 << 48),
            format!("{:04X}-{:012X}", bits >> 48, bits & 0xffff_ffff_ffff),
        ];
        for text in spellings {
            assert_eq!(found(&text).as_deref(), Some(IDENTITY), "{text}");
        }
        assert_eq!(format!("{bits:X}"), "8000F5800BB7B3D0");
    }

    /// Catches a rule that makes one tag of two.
    #[test]
    fn other_texts_are_not() {
        let others = [
            "",
            "98200019658849",
            "00982000196588496",
            "B982000196588496",
            "100000982000196588496",
            "000001982000196588496",
            "0000F5800BB7B3D0",
            "8002F5800BB7B3D0",
            "800000000BB7B3D0",
            "8000FE400BB7B3D0",
            "008000F5800BB7B3D0",
            "+8000F5800BB7B3D0",
            "E2801160600002044310B2E2",
            "LF_EAR_0001",
            "98200019658849٣",
        ];
        for text in others {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn countries_manufacturers_and_test_codes_are_told_apart() {
        let cases = [
            ("124000224161433", Some(("country", "Canada"))),
            ("840003123456789", Some(("country", "United States"))),
            ("104000224161433", Some(("country", "country 104"))),
            ("036000224161433", Some(("country", "Australia"))),
            ("899000000000001", Some(("country", "country 899"))),
            ("900000000000003", Some(("manufacturer", "manufacturer 900"))),
            (IDENTITY, Some(("manufacturer", "manufacturer 982"))),
            ("998000000000001", Some(("manufacturer", "manufacturer 998"))),
            ("999000000000001", Some(("test", "test tag"))),
            ("000000000000001", None),
            ("982274877906943", Some(("manufacturer", "manufacturer 982"))),
            ("982274877906944", None),
            ("98200019658849", None),
        ];
        for (key, expected) in cases {
            let found = issuer(key).map(|issuer| (issuer.kind(), issuer.to_string()));
            assert_eq!(found, expected.map(|(kind, words)| (kind, words.to_owned())), "{key}");
        }
    }
}
