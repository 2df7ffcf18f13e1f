//! Lengths of files.

use crate::tidy::{Finding, Rule};
use crate::tree::Source;

/// About nine screens. Most files that grew past it held two things.
const MAX_LINES: usize = 450;

pub(super) const RULE: Rule = Rule {
    name: "file-length",
    reason: "nobody reads a long file to its end, and it usually holds a second thing",
    mend: "split the file by meaning, so that each half has a name of its own",
    find: |tree| {
        Ok(tree.rust().chain(tree.scripts().filter(|file| !file.has_extension("rs"))).filter_map(stray).collect())
    },
};

fn stray(source: &Source) -> Option<Finding> {
    let lines = source.text().lines().count();
    (lines > MAX_LINES).then(|| Finding::of(source.path(), format!("{lines} lines; at most {MAX_LINES} are allowed")))
}
