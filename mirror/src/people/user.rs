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

/// Maximum length of a user's name, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Letters that look like a blank, or like nothing: the fillers of Hangul.
const UNSEEN_LETTERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

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
    pub(super) fn key(&self) -> String {
        // By way of upper case, because some letters have two forms in lower case, and some a form only there.
        self.0.to_uppercase().to_lowercase().nfkc().collect()
    }
}

impl FromStr for UserName {
    type Err = UserNameError;

    fn from_str(text: &str) -> Result<Self, UserNameError> {
        let name: String = text.trim().nfkc().take(MAX_NAME_CHARS + 1).collect();
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
            return Err(UserNameError::Length);
        }
        let is_sign = |c: char| matches!(c, ' ' | '.' | '_' | '-' | '@' | '\'');
        let is_allowed = |c: char| is_sign(c) || (c.is_alphanumeric() && !UNSEEN_LETTERS.contains(&c));
        let is_plain = name.chars().all(is_allowed) && !name.contains("  ");
        if is_plain { Ok(Self(name)) } else { Err(UserNameError::Character) }
    }
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
            ("ΑΝΑΣ", "ανας"),
        ] {
            assert_eq!(name(one), name(other), "{other}");
        }
        assert_eq!(name("\u{ff21}\u{ff4e}\u{ff41}").as_str(), "Ana");
        assert!("\u{fdfa}".repeat(4).parse::<UserName>().is_err(), "each is eighteen characters");
        assert!("a\u{2474}".parse::<UserName>().is_err(), "that is `a(1)`");
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
