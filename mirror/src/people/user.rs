//! A user of the office: name, role, and the hash of the password.
//!
//! # Decisions
//!
//! - **Names that are compatible in Unicode are one name** (NFKC), which is also the form that is shown and recorded: letters of
//!   full width, ligatures, and letters with their accents beside them. So nobody is added as a second `Ana`. Names that
//!   only look alike in other scripts, such as a Cyrillic `А`, are still different. To refuse all scripts but one was rejected,
//!   because people have names in each.

use super::password::PasswordHash;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Maximum length of a user's name, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Maximum number of marks after one letter. Hebrew and Tibetan write up to four.
const MAX_MARKS: usize = 4;

/// Letters that look like a blank, or like nothing: the fillers of Hangul.
const UNSEEN_LETTERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// Marks that nobody sees, as the first and the last one of each range: the marks among the default ignorable code points of
/// Unicode, and the dot above, which vanishes on an `i` and is part of the letter on all that wear it.
const UNSEEN_MARKS: [(char, char); 7] = [
    ('\u{307}', '\u{307}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180d}'),
    ('\u{180f}', '\u{180f}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{e0100}', '\u{e01ef}'),
];

/// Permission of a user. A later role may do all that the ones before it may.
///
/// The order of the variants is frozen: rows in `local.redb` store their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Also corrects.
    Operator,
    /// Also manages users, sites and keys.
    Owner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        })
    }
}

/// The name of a user in NFKC, as it is shown and recorded with corrections. Two names that differ in case, in the encoding of
/// their letters or in blanks at their ends are one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// Reason why a text is not the name of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// The text is empty.
    #[error("a user has a name of 1 to {MAX_NAME_CHARS} characters")]
    Length,
    /// A character that is not shown, or that changes the direction of text.
    #[error("a user's name has letters, digits, single blanks and the signs . _ - @ ' only")]
    Character,
}

impl UserName {
    /// Returns the name as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form by which names are compared.
    pub(crate) fn key(&self) -> String {
        // By way of upper case, because some letters have two forms in lower case, and some a form only there. Before that
        // in lower case, because `ẞ` has no other upper case than itself.
        self.0.to_lowercase().to_uppercase().to_lowercase().nfkc().collect()
    }
}

impl FromStr for UserName {
    type Err = UserNameError;

    fn from_str(text: &str) -> Result<Self, UserNameError> {
        // Some keyboards write this apostrophe. Some characters are blanks only in NFKC.
        let name: String = text.chars().map(|c| if c == '\u{2019}' { '\'' } else { c }).nfkc().collect();
        let name = name.trim();
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
            return Err(UserNameError::Length);
        }
        let is_plain = are_allowed(name) && !name.contains("  ");
        if is_plain { Ok(Self(name.to_owned())) } else { Err(UserNameError::Character) }
    }
}

/// Returns whether a text has only characters that a name may have.
fn are_allowed(name: &str) -> bool {
    // Number of marks that may follow.
    let mut marks_left = 0_usize;
    name.chars().all(|c| {
        if is_combining_mark(c) {
            let is_seen = !UNSEEN_MARKS.iter().any(|(first, last)| (*first..=*last).contains(&c));
            let is_allowed = is_seen && marks_left > 0;
            marks_left = marks_left.saturating_sub(1);
            return is_allowed;
        }
        let is_letter = c.is_alphanumeric() && !UNSEEN_LETTERS.contains(&c);
        marks_left = if is_letter { MAX_MARKS } else { 0 };
        is_letter || matches!(c, ' ' | '.' | '_' | '-' | '@' | '\'')
    })
}

impl TryFrom<String> for UserName {
    type Error = UserNameError;

    fn try_from(text: String) -> Result<Self, UserNameError> {
        text.parse()
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for UserName {}

/// A user as stored. The order of the fields is frozen in `local.redb`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UserRow {
    pub(super) name: UserName,
    pub(super) role: Role,
    pub(super) password: PasswordHash,
    /// Time of creation by the office's clock, in microseconds since the Unix epoch.
    pub(super) made_at_us: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_blanks_at_the_ends_are_one() {
        let name = |text: &str| text.parse::<UserName>().unwrap();
        assert_eq!(name(" Ana Pérez "), name("ANA PÉREZ"));
        assert_ne!(name("ana"), name("anna"));
        assert_eq!(name(" Ana ").as_str(), "Ana");
    }

    /// Catches a second user whose name looks like that of the first.
    #[test]
    fn names_that_are_compatible_in_unicode_are_one() {
        let name = |text: &str| text.parse::<UserName>().unwrap();
        for (one, other) in [
            ("Ana", "\u{ff21}\u{ff4e}\u{ff41}"),
            ("Pérez", "Pe\u{301}rez"),
            ("Griffin", "Gri\u{fb03}n"),
            ("2nd", "²nd"),
            ("Kim", "\u{212a}im"),
            ("Strauss", "Strauß"),
            ("Strauß", "STRAUẞ"),
            ("O'Neill", "O\u{2019}Neill"),
            ("Ana", "\u{3000}Ana\u{2003}"),
            ("ΑΝΑΣ", "ανας"),
        ] {
            assert_eq!(name(one), name(other), "{other}");
        }
        assert_eq!(name("\u{ff21}\u{ff4e}\u{ff41}").as_str(), "Ana");
        assert!("\u{fdfa}".repeat(4).parse::<UserName>().is_err(), "each is eighteen characters");
        assert!("a\u{2474}".parse::<UserName>().is_err(), "that is `a(1)`");
    }

    /// Catches people whose script writes vowels, tones or the end of a syllable as marks after a letter.
    #[test]
    fn names_of_scripts_with_marks_are_welcome() {
        for text in ["श्रीकृष्ण", "ธัญญ์ ปิ่น", "தமிழ்", "Ọlọ\u{301}run", "דָּוִד", "مُحَمَّد", "ကျော်"]
        {
            assert_eq!(text.parse::<UserName>().map(|_| ()), Ok(()), "{text}");
        }
    }

    /// Catches a mark that nobody sees, that stands on nothing, or that covers the lines around it.
    #[test]
    fn a_mark_follows_a_letter_and_is_seen() {
        for text in [
            "\u{301}ana",
            "ana \u{301}b",
            "ana-\u{301}",
            "ana\u{fe0f}",
            "ana\u{e0101}",
            "ana\u{34f}",
            "\u{1820}\u{180b}",
            "\u{1780}\u{17b5}",
            "ali\u{307}",
            &format!("a{}", "\u{330}".repeat(MAX_MARKS + 1)),
        ] {
            assert_eq!(text.parse::<UserName>().err(), Some(UserNameError::Character), "{text:?}");
        }
        assert_eq!("\u{3000} ".parse::<UserName>().err(), Some(UserNameError::Length));
        assert!(format!("a{}", "\u{330}".repeat(MAX_MARKS)).parse::<UserName>().is_ok());
        assert!("n".repeat(MAX_NAME_CHARS).parse::<UserName>().is_ok());
        let cut = format!("{} b", "a".repeat(MAX_NAME_CHARS));
        assert_eq!(cut.parse::<UserName>().err(), Some(UserNameError::Length), "nothing of a name is dropped");
    }

    /// Catches a name that looks like another one, or that leaves its place in a log or on a page.
    #[test]
    fn a_name_has_no_hidden_characters() {
        for text in
            ["", "  ", "a\nb", "a\u{202e}b", "a<b", "a/b", "a\"b", "a  b", "a\u{3164}", &"n".repeat(MAX_NAME_CHARS + 1)]
        {
            assert!(text.parse::<UserName>().is_err(), "{text:?}");
        }
        assert!("j.o'neill_2-x@yard".parse::<UserName>().is_ok());
    }

    #[test]
    fn a_later_role_may_do_more() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Owner);
    }
}
