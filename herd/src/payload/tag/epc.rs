//! Spellings of the number of a UHF tag.
//!
//! Its memory is read in words of 16 bits, so a number is hexadecimal and 16 digits or longer. Readers write `0x`, `EPC:` or
//! `EPC=` before it, and hyphens, colons and blanks between its digits. A URN (`urn:epc:id:sgtin:...`, `urn:epc:id:giai:...`)
//! is another form of the number, which only a table of company prefixes can translate. Its text is the key.

use std::borrow::Cow;

/// Texts that readers write before a number, in upper case.
const PREFIXES: [&str; 3] = ["EPC:", "EPC=", "0X"];
/// Beginning of a URN, in lower case.
const URN: &str = "urn:epc:";
/// Number of hexadecimal digits of the shortest number, 64 bits.
const MIN_HEX_DIGITS: usize = 16;
/// Number of hexadecimal digits of a word of the tag's memory.
const WORD_HEX_DIGITS: usize = 4;

/// Returns whether a text is a URN.
pub(super) fn is_urn(text: &str) -> bool {
    text.get(..URN.len()).is_some_and(|start| start.eq_ignore_ascii_case(URN))
}

/// Returns the number in a text that is in upper case and without blanks. A text that is no number loses its prefixes only.
pub(super) fn number(letters: &str) -> Cow<'_, str> {
    let bare = without_prefixes(letters);
    let digits: Cow<'_, str> = if bare.contains(['-', ':']) {
        bare.chars().filter(|c| !matches!(c, '-' | ':')).collect::<String>().into()
    } else {
        bare.into()
    };
    if digits.len() >= MIN_HEX_DIGITS && is_hexadecimal(&digits) { digits } else { bare.into() }
}

/// Returns whether a text in a short form, which separates its fields by colons, is one number for all its colons.
pub(in super::super) fn is_number_with_colons(text: &str) -> bool {
    let letters = super::letters(text);
    is_urn(text) || is_hexadecimal(&number(&letters)) || !without_prefixes(&letters).contains(':')
}

/// Returns whether a key is a whole number of words, or a URN.
pub(super) fn is_well_formed(key: &str) -> bool {
    let is_words = key.len() >= MIN_HEX_DIGITS && key.len().is_multiple_of(WORD_HEX_DIGITS);
    is_urn(key) || is_words && is_hexadecimal(key)
}

/// Removes every prefix, so that the key of a key is that key.
fn without_prefixes(letters: &str) -> &str {
    let mut bare = letters;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| bare.strip_prefix(prefix)) {
        bare = rest;
    }
    bare
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "E2801160600002044310B2E2";

    #[test]
    fn prefixes_and_separators_do_not_make_another_number() {
        let spellings = [
            NUMBER.to_owned(),
            format!("EPC:{NUMBER}"),
            format!("EPC={NUMBER}"),
            format!("0X{NUMBER}"),
            format!("EPC:0X{NUMBER}"),
            "E280-1160-6000-0204-4310-B2E2".to_owned(),
            "E2:80:11:60:60:00:02:04:43:10:B2:E2".to_owned(),
        ];
        for letters in spellings {
            assert_eq!(number(&letters), NUMBER, "{letters}");
        }
    }

    /// Catches two tags of a yard's own that become one, because they differ in a hyphen.
    #[test]
    fn a_text_that_is_no_number_keeps_its_separators() {
        for (letters, key) in [("UHF-12", "UHF-12"), ("A-1", "A-1"), ("EPC:UHF:1", "UHF:1"), ("0X", "")] {
            assert_eq!(number(letters), key);
        }
    }

    #[test]
    fn only_a_number_may_have_colons_in_a_short_form() {
        for text in [NUMBER, "epc:E28011606000", "E2:80:11:60:60:00:02:04", "urn:epc:id:sgtin:0614141.112345.400", "U"]
        {
            assert!(is_number_with_colons(text), "{text}");
        }
        for text in ["U:X", "UHF456:E280", "epc:U:X", ":"] {
            assert!(!is_number_with_colons(text), "{text}");
        }
    }

    #[test]
    fn a_number_is_well_formed_if_it_is_whole_words() {
        for key in [NUMBER, "0123456789ABCDEF", "urn:epc:id:giai:0614141.12345400"] {
            assert!(is_well_formed(key), "{key}");
        }
        for key in ["30143B7C84D500000000000", "UHF456", "E2801160", ""] {
            assert!(!is_well_formed(key), "{key}");
        }
    }
}
