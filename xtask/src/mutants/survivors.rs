//! The reasons why known mutants live.

use super::MutantsError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file with the reasons, from the root.
const FILE: &str = "xtask/src/mutants/survivors.toml";

/// Known survivors with their reasons, by [`key`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Survivors {
    /// Mutants that nobody can observe.
    equivalent: BTreeMap<String, String>,
    /// Mutants that a test of the crate could observe, and does not.
    accepted: BTreeMap<String, String>,
}

/// Why a known mutant lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reason<'a> {
    pub(super) text: &'a str,
    /// Set if nobody can observe the mutant.
    pub(super) is_equivalent: bool,
}

impl Survivors {
    pub(super) fn load(root: &Path) -> Result<Self, MutantsError> {
        let path = root.join(FILE);
        let failed = |why: String| MutantsError::Reasons { path: path.clone(), why };
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&text).map_err(failed)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let survivors: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut reasons = survivors.equivalent.iter().chain(&survivors.accepted);
        match reasons.find(|(_, text)| text.trim().is_empty()) {
            Some((key, _)) => Err(format!("`{key}` has no reason")),
            None => Ok(survivors),
        }
    }

    /// Returns the reason why a mutant lives, if one is known.
    pub(super) fn reason(&self, mutant: &str) -> Option<Reason<'_>> {
        self.reason_of_key(&key(mutant))
    }

    fn reason_of_key(&self, key: &str) -> Option<Reason<'_>> {
        let equivalent = self.equivalent.get(key).map(|text| Reason { text, is_equivalent: true });
        equivalent.or_else(|| self.accepted.get(key).map(|text| Reason { text, is_equivalent: false }))
    }

    /// Returns the keys of reasons about a crate that fit none of its mutants.
    pub(super) fn stale<'a>(&'a self, name: &str, mutants: &[String]) -> Vec<&'a str> {
        let is_stale = |known: &&str| {
            known.split('/').next() == Some(name) && !mutants.iter().any(|mutant| key(mutant) == **known)
        };
        self.keys().filter(is_stale).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.equivalent.keys().chain(self.accepted.keys()).map(String::as_str)
    }
}

/// Returns the name of a mutant without line and column. Mutants of one function that are alike share a key.
pub(super) fn key(mutant: &str) -> String {
    let (place, change) = mutant.split_once(": ").unwrap_or((mutant, ""));
    format!("{}: {change}", place.split(':').next().unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTANT: &str = "herd/src/a.rs:107:5: replace < with <= in Store::fits";

    fn survivors() -> Survivors {
        let text = "[equivalent]\n\"herd/src/a.rs: replace < with <= in Store::fits\" = \"both ends are equal\"\n\
                    [accepted]\n\"herd/src/b.rs: replace f with ()\" = \"it only logs\"\n";
        Survivors::parse(text).unwrap()
    }

    /// Catches a reason that is lost when a line is added above its mutant, and one that excuses another mutant.
    #[test]
    fn a_reason_belongs_to_its_mutant_wherever_that_moves() {
        let survivors = survivors();
        assert_eq!(survivors.reason(MUTANT), Some(Reason { text: "both ends are equal", is_equivalent: true }));
        assert_eq!(survivors.reason(&MUTANT.replace("107:5", "9:30")), survivors.reason(MUTANT));
        assert_eq!(survivors.reason(&MUTANT.replace("<=", ">")), None);
        let accepted = survivors.reason("herd/src/b.rs:1:1: replace f with ()").unwrap();
        assert!(!accepted.is_equivalent);
    }

    /// Catches a file that keeps the reasons of code that is gone.
    #[test]
    fn a_reason_without_its_mutant_is_stale() {
        let survivors = survivors();
        assert_eq!(survivors.stale("herd", &[MUTANT.to_owned()]), ["herd/src/b.rs: replace f with ()"]);
        assert_eq!(survivors.stale("radio", &[]), Vec::<&str>::new());
    }

    #[test]
    fn a_reason_without_words_is_refused() {
        assert!(Survivors::parse("[accepted]\n\"herd/src/b.rs: replace f with ()\" = \" \"\n").is_err());
    }
}
