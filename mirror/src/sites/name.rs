//! Names of sites at the office. A name is also a directory, a part of URLs and a word in messages.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Maximum length of a name, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Name of a barn whose own name has no allowed character.
const FALLBACK: &str = "barn";

/// A valid name: 1 to 64 ASCII letters, digits, `.`, `_` or `-`, not starting with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(String);

/// A text that is not a valid name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid site name `{0}`: use 1 to {MAX_NAME_CHARS} letters, digits, `.`, `_` or `-`, not starting with `.`")]
pub struct SiteNameError(String);

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl SiteName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a valid name close to the barn's own name that is not taken.
    pub fn derive(barn_name: &str, taken: impl Fn(&Self) -> bool) -> Self {
        let replaced: String = barn_name.trim().chars().map(|c| if is_allowed(c) { c } else { '-' }).collect();
        let trimmed: String = replaced.trim_start_matches(['.', '-']).chars().take(MAX_NAME_CHARS).collect();
        let base = if trimmed.is_empty() { FALLBACK.to_owned() } else { trimmed };
        let first = Self(base.clone());
        if !taken(&first) {
            return first;
        }
        let numbered = (2_u32..).map(|n| {
            let suffix = format!("-{n}");
            let stem: String = base.chars().take(MAX_NAME_CHARS - suffix.len()).collect();
            Self(stem + &suffix)
        });
        // The number of sites is bounded, so one of the numbered names is free.
        numbered.into_iter().find(|name| !taken(name)).unwrap_or(first)
    }
}

impl FromStr for SiteName {
    type Err = SiteNameError;

    fn from_str(text: &str) -> Result<Self, SiteNameError> {
        let valid =
            (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(is_allowed) && !text.starts_with('.');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(SiteNameError(text.chars().take(MAX_NAME_CHARS + 1).collect()))
        }
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SiteName {
    type Error = SiteNameError;

    fn try_from(text: String) -> Result<Self, SiteNameError> {
        text.parse()
    }
}

impl From<SiteName> for String {
    fn from(name: SiteName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_derived_name_keeps_the_characters_that_are_safe_in_a_path() {
        let free = |_: &SiteName| false;
        for (own, name) in
            [("north-barn", "north-barn"), ("North Barn #2", "North-Barn--2"), ("../etc", "etc"), ("  ", "barn")]
        {
            assert_eq!(SiteName::derive(own, free).as_str(), name);
        }
    }

    #[test]
    fn a_barn_whose_name_is_taken_gets_a_number() {
        let taken = ["barn", "barn-2"];
        assert_eq!(SiteName::derive("barn", |name| taken.contains(&name.as_str())).as_str(), "barn-3");
        let longest = "x".repeat(MAX_NAME_CHARS);
        let other = SiteName::derive(&longest, |name| name.as_str() == longest);
        assert_eq!(other.as_str(), format!("{}-2", &longest[..MAX_NAME_CHARS - 2]));
    }

    #[test]
    fn names_that_could_escape_their_directory_are_rejected() {
        for text in ["", ".", "..", "a/b", ".hidden", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(text.parse::<SiteName>().is_err(), "{text:?}");
        }
        for text in ["a", "a.b_c-D9", "-", &"x".repeat(64)] {
            assert_eq!(text.parse::<SiteName>().unwrap().to_string(), text);
        }
        let error = "x".repeat(1_000).parse::<SiteName>().unwrap_err().to_string();
        assert!(error.starts_with("invalid site name `xxx") && error.len() < 200, "{error}");
    }

    proptest! {
        #[test]
        fn every_name_of_a_barn_derives_a_valid_name(own in "\\PC{0,80}", twice in any::<bool>()) {
            let first = SiteName::derive(&own, |_| false);
            prop_assert_eq!(first.as_str().parse::<SiteName>(), Ok(first.clone()));
            let name = SiteName::derive(&own, |name| twice && *name == first);
            prop_assert_eq!(name.as_str().parse::<SiteName>(), Ok(name.clone()));
            prop_assert_eq!(name == first, !twice);
        }
    }
}
