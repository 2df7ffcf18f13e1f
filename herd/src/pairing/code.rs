//! The one-time pairing code: a secret that office and barn share before they have met.
//!
//! # Decisions
//!
//! - **160 random bits.** Nobody types the code: a program writes it into the file on the barn's card. So it can be long
//!   enough that a recorded proof cannot be searched offline, and a MAC suffices. A short code that a person types would
//!   need a PAKE, and a crate for it that somebody maintains.
//! - **Crockford's base32 in groups of four**: without `i`, `l`, `o` and `u`. The file is edited by people with all
//!   sorts of editors, so upper case, look-alikes, and dashes that an editor "improved" are forgiven.
//! - **20 check bits** name a damaged code where it is read, in front of a person. Without them it would only be a barn
//!   that never pairs.
//! - **Barn and office store [`CodeKey`], not the code.** The code itself can then be shown nowhere later.

use crate::randomness::{Randomness, RandomnessError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Start of every code. Another form would start differently.
const PREFIX: &str = "pair-";
/// Random bytes of a code.
const SECRET_BYTES: usize = 20;
/// Characters after the prefix: 32 for the secret, 4 for the check bits.
const SYMBOLS: usize = 36;
/// Characters between two dashes.
const GROUP: usize = 4;
/// Maximum length of a text that is read as a code. A code has 49 characters.
const MAX_TEXT_BYTES: usize = 256;

/// Crockford's base32 alphabet, in the order of the values.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// BLAKE3 contexts, which keep the uses of the secret apart.
const CHECK_CONTEXT: &str = "HerdLinx pairing code 1: check bits";
const KEY_CONTEXT: &str = "HerdLinx pairing code 1: key of the proofs";

/// A one-time pairing code. `Display` writes it; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    secret: [u8; SECRET_BYTES],
}

impl PairingCode {
    /// Generates a code.
    pub fn generate(randomness: &mut dyn Randomness) -> Result<Self, RandomnessError> {
        let mut secret = [0; SECRET_BYTES];
        randomness.fill(&mut secret)?;
        Ok(Self { secret })
    }

    /// Returns the key that proves the code. The code cannot be computed from it.
    pub fn key(&self) -> CodeKey {
        CodeKey(blake3::derive_key(KEY_CONTEXT, &self.secret))
    }

    /// Returns the secret, and after it a digest whose first 20 bits are the check bits.
    fn checked_bytes(&self) -> [u8; SECRET_BYTES + 3] {
        let check = blake3::derive_key(CHECK_CONTEXT, &self.secret);
        let mut bytes = [0; SECRET_BYTES + 3];
        bytes[..SECRET_BYTES].copy_from_slice(&self.secret);
        bytes[SECRET_BYTES..].copy_from_slice(&check[..3]);
        bytes
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(hidden)")
    }
}

/// The key that proves a code. It is as secret as the code itself; `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeKey(pub(super) [u8; 32]);

impl CodeKey {
    /// Returns a digest that identifies the code and proves nothing.
    pub fn id(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKey(hidden)")
    }
}

/// Reason why a text is not a pairing code. No message contains the text, because it may contain a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingCodeError {
    /// The text starts with something else.
    #[error("a pairing code starts with `{PREFIX}`: copy it from the file that `herdlinx-mirror prepare` wrote")]
    WrongPrefix,
    /// A character is not in the alphabet.
    #[error("character {position} of the pairing code is none that a code can have: copy the code again")]
    InvalidCharacter {
        /// Place of the character in the text, counted from 1.
        position: usize,
    },
    /// Characters are missing, or there are too many.
    #[error(
        "this pairing code has {found} letters and digits after `{PREFIX}`, but a code has {SYMBOLS}: copy it again"
    )]
    WrongLength {
        /// Number of letters and digits after the prefix.
        found: usize,
    },
    /// The text is far longer than a code.
    #[error("this text has {0} bytes, but a pairing code has 49: copy the code alone")]
    TooLong(usize),
    /// A character was changed.
    #[error("a letter or digit of this pairing code is wrong, or two are swapped: copy the code again")]
    WrongCheck,
}

impl fmt::Display for PairingCode {
    /// Writes the code: print it only where the operator reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.checked_bytes();
        let mut text = PREFIX.to_owned();
        for symbol in 0..SYMBOLS {
            if symbol > 0 && symbol % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(five_bits(&bytes, symbol))]));
        }
        f.write_str(&text)
    }
}

/// Returns the five bits at position `5 * symbol`, the most significant first.
fn five_bits(bytes: &[u8], symbol: usize) -> u8 {
    (0..5).map(|bit| symbol * 5 + bit).fold(0, |value, bit| value << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1))
}

impl FromStr for PairingCode {
    type Err = PairingCodeError;

    /// Parses a code. Case, whitespace, and the place and kind of dashes do not matter. Never panics.
    fn from_str(text: &str) -> Result<Self, PairingCodeError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(PairingCodeError::TooLong(text.len()));
        }
        let blanks = text.chars().take_while(|character| is_separator(*character)).count();
        let rest: String = text.chars().skip(blanks).collect();
        let prefix: String = rest.chars().take(PREFIX.len() - 1).collect();
        if !prefix.eq_ignore_ascii_case(&PREFIX[..PREFIX.len() - 1]) {
            return Err(PairingCodeError::WrongPrefix);
        }
        let symbols = symbols_of(&rest, prefix.len(), blanks)?;
        if symbols.len() != SYMBOLS {
            return Err(PairingCodeError::WrongLength { found: symbols.len() });
        }
        let mut bytes = [0; SECRET_BYTES + 3];
        for (bit, byte) in (0..SYMBOLS * 5).map(|bit| (bit, symbols[bit / 5] >> (4 - bit % 5) & 1)) {
            bytes[bit / 8] |= byte << (7 - bit % 8);
        }
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(&bytes[..SECRET_BYTES]);
        let code = Self { secret };
        let expected = code.checked_bytes();
        let is_right = (0..SYMBOLS).all(|symbol| five_bits(&bytes, symbol) == five_bits(&expected, symbol));
        if is_right { Ok(code) } else { Err(PairingCodeError::WrongCheck) }
    }
}

/// Returns the values of the letters and digits after the prefix.
fn symbols_of(rest: &str, prefix_chars: usize, blanks: usize) -> Result<Vec<u8>, PairingCodeError> {
    let characters = rest.chars().enumerate().skip(prefix_chars).filter(|(_, character)| !is_separator(*character));
    characters
        .map(|(at, character)| {
            value_of(character).ok_or(PairingCodeError::InvalidCharacter { position: blanks + at + 1 })
        })
        .collect()
}

/// Returns whether a character separates groups. Word processors replace dashes by longer ones.
fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{feff}')
}

fn value_of(character: char) -> Option<u8> {
    let alike = match character.to_ascii_lowercase() {
        'i' | 'l' => '1',
        'o' => '0',
        other => other,
    };
    let at = ALPHABET.iter().position(|symbol| char::from(*symbol) == alike)?;
    u8::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::randomness::SeededRandomness;
    use proptest::prelude::*;

    fn code() -> PairingCode {
        PairingCode { secret: std::array::from_fn(|n| u8::try_from(n * 7 + 3).unwrap()) }
    }

    /// Catches a change of the text or of the key, after which a card that was prepared earlier would never pair.
    #[test]
    fn text_and_key_are_frozen() {
        // Computed by a Python program with the `blake3` package from the 20 bytes above.
        assert_eq!(code().to_string(), "pair-0c51-260z-4rpk-8et2-9585-eqk5-dhsq-n0c8-vtb2");
        assert_eq!(hex::encode(code().key().0), "607fd8100dcab9d09b27ca95e1fd870d006fb5ce3fdb5d7a9fb9ebdea5f17ab2");
        assert_eq!(hex::encode(code().key().id()), "59db220d95564b7cd4ca783380c814e2a1e58c023661838e1da6939a67d74679");
    }

    /// Catches a parser that refuses what an editor or a person made of the code.
    #[test]
    fn case_dashes_blanks_and_look_alikes_are_forgiven() {
        let text = code().to_string();
        for written in [
            text.to_uppercase(),
            format!("  {text}\r\n"),
            text.replace('-', "\u{2013}"),
            text.replace('-', ""),
            text.replace('-', " "),
            text.replace('0', "O").replace('1', "l"),
        ] {
            assert_eq!(written.parse(), Ok(code()), "{}", written.len());
        }
    }

    /// Catches a message that names the wrong fault.
    #[test]
    fn each_fault_has_its_own_error() {
        let text = code().to_string();
        let parse = |text: &str| text.parse::<PairingCode>().unwrap_err();
        assert_eq!(parse(""), PairingCodeError::WrongPrefix);
        assert_eq!(parse("herdlinx:1:abc"), PairingCodeError::WrongPrefix);
        assert_eq!(parse(&format!("\u{201c}{text}\u{201d}")), PairingCodeError::WrongPrefix);
        assert_eq!(parse(&format!("{text}\u{201d}")), PairingCodeError::InvalidCharacter { position: 50 });
        assert_eq!(parse(&format!("  {text}!")), PairingCodeError::InvalidCharacter { position: 52 });
        assert_eq!(parse(&text[..text.len() - 2]), PairingCodeError::WrongLength { found: 34 });
        assert_eq!(parse(&format!("{text}0")), PairingCodeError::WrongLength { found: 37 });
        assert_eq!(parse(&"x".repeat(256)), PairingCodeError::WrongPrefix);
        assert_eq!(parse(&"x".repeat(257)), PairingCodeError::TooLong(257));
    }

    /// Catches a code or its key in a log or a panic message.
    #[test]
    fn debug_outputs_and_errors_hide_the_code() {
        let text = code().to_string();
        let error = text[..text.len() - 1].parse::<PairingCode>().unwrap_err();
        let shown = format!("{:?} {:?} {error} {error:?}", code(), code().key());
        assert!(text["pair-".len()..].split('-').all(|group| !shown.contains(group)), "{shown}");
        assert!(!shown.contains(&hex::encode(code().key().0)), "{shown}");
    }

    proptest! {
        /// Catches an encoding that loses bits.
        #[test]
        fn written_codes_are_read_back(secret in any::<[u8; SECRET_BYTES]>()) {
            let code = PairingCode { secret };
            prop_assert_eq!(code.to_string().len(), 49);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
        }

        /// Catches a typo that is taken for another code. Two codes share their check bits once in a million.
        #[test]
        fn a_typo_is_noticed(seed in any::<u64>(), at in 5_usize..49, with in 0_usize..32) {
            let code = PairingCode::generate(&mut SeededRandomness::new(seed)).unwrap();
            let mut text = code.to_string().into_bytes();
            prop_assume!(text[at] != b'-' && text[at] != ALPHABET[with]);
            text[at] = ALPHABET[with];
            let parsed = String::from_utf8(text).unwrap().parse::<PairingCode>();
            prop_assert!(parsed.is_err_and(|error| error == PairingCodeError::WrongCheck));
        }

        /// Catches a panic on a text that somebody typed.
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in ".{0,200}", tail in "[0-9A-Za-z -]{0,60}") {
            let _ = text.parse::<PairingCode>();
            let _ = format!("pair-{tail}").parse::<PairingCode>();
        }
    }
}
