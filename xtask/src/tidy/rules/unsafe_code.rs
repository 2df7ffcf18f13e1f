//! Unsafe code.

use super::words::naming;
use crate::tidy::Rule;

/// The one file with unsafe code: it tells glibc to give freed memory back, which no safe crate does.
const REASONED: &str = "service/src/process/free_memory.rs";

pub(super) const RULE: Rule = Rule {
    name: "no-unsafe",
    reason: "unsafe code is only where no safe crate does the same, and each place says why it is sound",
    mend: "use a safe crate such as rustix; if there is none, list the file in this rule with the reason",
    find: |tree| Ok(naming(tree, &["unsafe"], |source| source.path() != REASONED)),
};
