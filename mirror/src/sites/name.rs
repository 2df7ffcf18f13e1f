//! The name of a site at the office: a directory, a part of URLs, a word in messages.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Its length at most, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// What a barn is called whose own name has no character that can stand here.
const NAMELESS: &str = "barn";

/// A checked name: 1 to 64 letters, digits, `.`, `_` or `-`, no dot in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(String);

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name for a site: use 1 to {MAX_NAME_CHARS} letters, digits, `.`, `_` or `-`, no `.` in front")]
pub struct NoName(String);

fn stands(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl SiteName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name like the one that the barn has for itself, and that no other site bears.
    pub fn like(barns_own: &str, taken: impl Fn(&Self) -> bool) -> Self {
        let replaced: String = barns_own.trim().chars().map(|c| if stands(c) { c } else { '-' }).collect();
        let trimmed: String = replaced.trim_start_matches(['.', '-']).chars().take(MAX_NAME_CHARS).collect();
        let base = if trimmed.is_empty() { NAMELESS.to_owned() } else { trimmed };
        let first = Self(base.clone());
        if !taken(&first) {
            return first;
        }
        let numbered = (2_u32..).map(|n| {
            let end = format!("-{n}");
            let start: String = base.chars().take(MAX_NAME_CHARS - end.len()).collect();
            Self(start + &end)
        });
        // The sites are bounded, so one of as many names as there are numbers is free.
        numbered.into_iter().find(|name| !taken(name)).unwrap_or(first)
    }
}

impl FromStr for SiteName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let fits = (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(stands) && !text.starts_with('.');
        if fits { Ok(Self(text.to_owned())) } else { Err(NoName(text.chars().take(MAX_NAME_CHARS + 1).collect())) }
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SiteName {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
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
    fn a_barn_keeps_its_own_name_as_far_as_that_can_stand_in_a_path() {
        let free = |_: &SiteName| false;
        for (own, name) in
            [("north-barn", "north-barn"), ("North Barn #2", "North-Barn--2"), ("../etc", "etc"), ("  ", "barn")]
        {
            assert_eq!(SiteName::like(own, free).as_str(), name);
        }
    }

    #[test]
    fn a_second_barn_of_one_name_gets_a_number() {
        let taken = ["barn", "barn-2"];
        assert_eq!(SiteName::like("barn", |name| taken.contains(&name.as_str())).as_str(), "barn-3");
    }

    #[test]
    fn what_could_leave_its_directory_is_no_name() {
        for text in ["", ".", "..", "a/b", ".hidden", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(text.parse::<SiteName>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_barn_calls_itself_a_name_comes_of_it(own in "\\PC{0,80}", twice in any::<bool>()) {
            let first = SiteName::like(&own, |_| false);
            prop_assert_eq!(first.as_str().parse::<SiteName>(), Ok(first.clone()));
            let name = SiteName::like(&own, |name| twice && *name == first);
            prop_assert_eq!(name.as_str().parse::<SiteName>(), Ok(name.clone()));
            prop_assert_eq!(name == first, !twice);
        }
    }
}
