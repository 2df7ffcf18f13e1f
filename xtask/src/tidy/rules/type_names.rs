//! Names of types.

use crate::syntax::declared_types;
use crate::tidy::{Finding, Rule, TidyError};
use crate::tree::Tree;

/// Participles, pronouns and other words that are not nouns.
///
/// A type may start with one (`HeldRow`) but not end in one (`EventTold`).
const BANNED: &str = "\
    About Accepted Acknowledged Added Admits Afterwards Amended Anew Answering Anything Applied Applying Asked Bare \
    Began Begun Broken Closed Come Coming Copied Counted Dealing Delivered Drained Due Ended Everything Expected \
    Failed Found Given Gone Guarded Happening Heard Hears Held Interrupted Judged Kept Known Late Later Left Loaded \
    Made May Merged Moved Moving Named Noticed Opened Own Packed Placed Plugged Posted Promised Pulled Ran Refused \
    Rejected Removed Repeated Resolved Restored Retold Running Said Seen Sent Shared Shown Spoken Staged Standing \
    Started Taken Told Touched Tried Unaccounted Unread Unreadable Unsynced Used Verified Voided Waiting Watched \
    What Which Who Whole Wired Written Yet";
/// Change kinds. The wire, the API and the pages know them by these names.
const OUTWARD: [&str; 6] = ["ClockStepped", "Corrected", "Epoch", "Received", "Reprocessed", "Suppressed"];

pub(super) const RULE: Rule = Rule {
    name: "type-names",
    reason: "a type is a thing, so its name is a noun; a participle tells when the value came, not what it is",
    mend: "name the value: `Request` instead of `Asked`, `Reply` instead of `Told`; `#[serde(rename)]` keeps an \
           outward name",
    find,
};

fn find(tree: &Tree) -> Result<Vec<Finding>, TidyError> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let strays = declared_types(source.syntax()?).into_iter().filter_map(|declared| {
            let word = banned_word(&declared.name)?;
            let message = format!("`{}` ends in \"{word}\", which is not a noun", declared.name);
            Some(Finding::at(source.path(), declared.line, message))
        });
        findings.extend(strays);
    }
    Ok(findings)
}

/// Returns the last word of the name if it is banned.
fn banned_word(name: &str) -> Option<&str> {
    let last = &name[name.rfind(char::is_uppercase).unwrap_or(0)..];
    (BANNED.split_whitespace().any(|banned| banned == last) && !OUTWARD.contains(&name)).then_some(last)
}
