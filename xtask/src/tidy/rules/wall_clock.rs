//! The wall clock.

use super::words::naming;
use crate::tidy::Rule;

pub(super) const RULE: Rule = Rule {
    name: "one-wall-clock",
    reason: "the clock is a seam: a seed replays exactly, and a barn without a set clock is no special case",
    mend: "take a `Clock` (herd/src/clock.rs) as an argument",
    find: |tree| {
        let words = ["SystemTime", "now_utc", "now_local"];
        Ok(naming(tree, &words, |source| source.path() != "herd/src/clock.rs"))
    },
};
