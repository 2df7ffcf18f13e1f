//! Unsafe code.

use super::words::naming;
use crate::tidy::Rule;

pub(super) const RULE: Rule = Rule {
    name: "no-unsafe",
    reason: "nothing here has needed unsafe code yet",
    mend: "use a safe crate such as rustix; if there is none, list the file in this rule with the reason",
    find: |tree| Ok(naming(tree, &["unsafe"], |_| true)),
};
